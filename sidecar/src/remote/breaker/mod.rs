//! A tier that is left alone while it does not answer.
//!
//! Guarantees: while the circuit is open a call costs nothing and says that
//! nothing was done; one probe at a time finds out whether the tier is back.
//! Only silence counts against it: a conflict, nothing found and a refusal (it
//! is full, it wants a password) are answers, and a tier that refuses puts may
//! well answer reads. Each part of a tier (a server of several) is judged by
//! itself. Does not bound the time of a call: it stands around what
//! does, or a stalled tier would look healthy.

mod circuit;

use crate::telemetry::remote::{Breaker as Phase, RemoteCounts};
use bytes::Bytes;
use circuit::{Circuit, Pass};
use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use unstale_engine::clock::{Clock, Moment};
use unstale_engine::key::NameHash;
use unstale_engine::random::Random;
use unstale_engine::remote::{Expect, PutOutcome, Read, Remote, RemoteError, Revision};

/// A tier behind a circuit breaker.
pub struct Breaker {
    inner: Arc<dyn Remote>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    /// A call that was given up after so long without an answer has failed.
    patience: Duration,
    /// One circuit for each part of the tier that was called.
    state: Mutex<HashMap<u16, Broken>>,
    counts: Arc<RemoteCounts>,
}

/// The circuit of calls that are about no key. A tier of one part has no other.
const WHOLE: u16 = 0;

struct Broken {
    circuit: Circuit,
    /// What the last failure said.
    why: String,
}

impl Broken {
    fn closed() -> Self {
        let (circuit, why) = (Circuit::closed(), String::new());
        Self { circuit, why }
    }
}

impl Breaker {
    /// `inner`, behind a closed circuit.
    pub fn new(
        inner: Arc<dyn Remote>,
        patience: Duration,
        (clock, random): (Arc<dyn Clock>, Arc<dyn Random>),
        counts: Arc<RemoteCounts>,
    ) -> Self {
        Self {
            inner,
            clock,
            random,
            patience,
            state: Mutex::default(),
            counts,
        }
    }

    async fn guarded<T>(
        &self,
        part: u16,
        call: impl Future<Output = Result<T, RemoteError>>,
    ) -> Result<T, RemoteError> {
        let mut out = self.admit(part)?;
        let answer = call.await;
        out.judge(answer.as_ref().err());
        answer
    }

    fn admit(&self, part: u16) -> Result<Out<'_>, RemoteError> {
        let began = self.clock.now();
        let pass = self.change(part, |broken| match broken.circuit.admit(began) {
            Some(pass) => Ok(pass),
            // Nothing is sent while the circuit is open, so nothing is unknown.
            None => Err(RemoteError::Unavailable(format!(
                "the remote tier is left alone for a moment: {}",
                broken.why
            ))),
        })?;
        Ok(Out {
            breaker: self,
            part,
            pass: Some(pass),
            began,
        })
    }

    /// Changes a circuit, and tells if that opened or closed it.
    fn change<T>(&self, part: u16, change: impl FnOnce(&mut Broken) -> T) -> T {
        let mut all = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let broken = all.entry(part).or_insert_with(Broken::closed);
        let before = broken.circuit.phase();
        let changed = change(broken);
        let after = broken.circuit.phase();
        if before != after {
            self.tell(before, after, &broken.why);
            let worst = all.values().map(|broken| broken.circuit.phase()).max();
            self.counts.turn(after, worst.unwrap_or(after));
        }
        changed
    }

    fn tell(&self, before: Phase, after: Phase, why: &str) {
        let tier = self.inner.name();
        match (before, after) {
            (Phase::Closed, _) => tracing::warn!(tier, "it is left alone: {why}"),
            (_, Phase::Closed) => tracing::info!(tier, "it answers again"),
            // Whether it is back is asked again and again.
            (Phase::Open | Phase::HalfOpen, _) => {}
        }
    }

    fn failed(&self, part: u16, pass: Pass, now: Moment, why: String) {
        let chance = self.random.bits() as u64;
        self.change(part, |broken| {
            broken.why = why;
            broken.circuit.failed(pass, now, chance);
        });
    }
}

/// A call under way; one that is dropped without an answer gives its place back.
struct Out<'a> {
    breaker: &'a Breaker,
    part: u16,
    pass: Option<Pass>,
    began: Moment,
}

impl Out<'_> {
    fn judge(&mut self, error: Option<&RemoteError>) {
        let Some(pass) = self.pass.take() else { return };
        let now = self.breaker.clock.now();
        match error {
            Some(RemoteError::Unavailable(why) | RemoteError::Unknown(why)) => {
                self.breaker.failed(self.part, pass, now, why.clone());
            }
            None | Some(RemoteError::Refused(_) | RemoteError::Misconfigured(_)) => {
                self.breaker
                    .change(self.part, |broken| broken.circuit.succeeded(pass, now));
            }
        }
    }
}

impl Drop for Out<'_> {
    /// The caller went away. Callers that wait less long than the timeout would
    /// otherwise never find out that a tier is stalled.
    fn drop(&mut self) {
        let Some(pass) = self.pass.take() else { return };
        let now = self.breaker.clock.now();
        if now.since(self.began) >= self.breaker.patience {
            let why = "no answer while anybody waited".to_owned();
            return self.breaker.failed(self.part, pass, now, why);
        }
        self.breaker
            .change(self.part, |broken| broken.circuit.abandoned(pass, now));
    }
}

#[async_trait::async_trait]
impl Remote for Breaker {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    async fn get(&self, key: NameHash) -> Read {
        self.guarded(self.part(key), self.inner.get(key)).await
    }

    /// One call: it was answered if any of its keys was.
    async fn get_many(&self, keys: &[NameHash]) -> Vec<Read> {
        let Some(first) = keys.first() else {
            return Vec::new();
        };
        let mut out = match self.admit(self.part(*first)) {
            Ok(out) => out,
            Err(error) => return keys.iter().map(|_| Err(error.clone())).collect(),
        };
        let reads = self.inner.get_many(keys).await;
        let answered = reads.iter().any(Result::is_ok);
        let mut errors = reads.iter().filter_map(|read| read.as_ref().err());
        out.judge(errors.next().filter(|_| !answered));
        reads
    }

    async fn put(
        &self,
        key: NameHash,
        expect: Expect,
        record: Bytes,
        ttl: Duration,
    ) -> Result<PutOutcome, RemoteError> {
        let put = self.inner.put(key, expect, record, ttl);
        self.guarded(self.part(key), put).await
    }

    async fn delete(&self, key: NameHash, revision: Revision) -> Result<(), RemoteError> {
        let delete = self.inner.delete(key, revision);
        self.guarded(self.part(key), delete).await
    }

    async fn ping(&self) -> Result<(), RemoteError> {
        self.guarded(WHOLE, self.inner.ping()).await
    }

    fn hint(&self, key: NameHash) {
        self.inner.hint(key);
    }

    async fn hinted(&self, key: NameHash) {
        self.inner.hinted(key).await;
    }

    fn part(&self, key: NameHash) -> u16 {
        self.inner.part(key)
    }

    fn distrust(&self, key: NameHash) {
        self.inner.distrust(key);
    }
}
