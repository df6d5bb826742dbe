//! A tier that is left alone while it does not answer.
//!
//! Guarantees: while the circuit is open a call costs nothing and says that
//! nothing was done; one probe at a time finds out whether the tier is back. A
//! conflict, and nothing found, are answers. Does not bound the time of a call:
//! it stands around what does, or a stalled tier would look healthy.

mod circuit;

use bytes::Bytes;
use circuit::{Circuit, Pass};
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use unstale_engine::clock::Clock;
use unstale_engine::key::NameHash;
use unstale_engine::random::Random;
use unstale_engine::remote::{Expect, PutOutcome, Remote, RemoteError, Revision, Stored};

/// A tier behind a circuit breaker.
pub struct Breaker {
    inner: Arc<dyn Remote>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    state: Mutex<Broken>,
}

struct Broken {
    circuit: Circuit,
    /// What the last failure said.
    why: Option<RemoteError>,
}

impl Breaker {
    /// `inner`, behind a closed circuit.
    pub fn new(inner: Arc<dyn Remote>, clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Self {
        Self {
            inner,
            clock,
            random,
            state: Mutex::new(Broken {
                circuit: Circuit::closed(),
                why: None,
            }),
        }
    }

    async fn guarded<T>(
        &self,
        call: impl Future<Output = Result<T, RemoteError>>,
    ) -> Result<T, RemoteError> {
        let mut out = self.admit()?;
        let answer = call.await;
        out.judge(answer.as_ref().err());
        answer
    }

    fn admit(&self) -> Result<Out<'_>, RemoteError> {
        let mut state = self.lock();
        match state.circuit.admit(self.clock.now()) {
            Some(pass) => Ok(Out {
                breaker: self,
                pass: Some(pass),
            }),
            None => Err(refusal(state.why.as_ref())),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Broken> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Nothing is sent while the circuit is open, so nothing is unknown.
fn refusal(why: Option<&RemoteError>) -> RemoteError {
    let text = |why: &str| format!("the remote tier is left alone for a moment: {why}");
    match why {
        Some(RemoteError::Misconfigured(why)) => RemoteError::Misconfigured(text(why)),
        Some(RemoteError::Unavailable(why) | RemoteError::Unknown(why)) => {
            RemoteError::Unavailable(text(why))
        }
        None => RemoteError::Unavailable(text("it is being asked whether it is back")),
    }
}

/// A call under way; one that is dropped without an answer gives its place back.
struct Out<'a> {
    breaker: &'a Breaker,
    pass: Option<Pass>,
}

impl Out<'_> {
    fn judge(&mut self, error: Option<&RemoteError>) {
        let Some(pass) = self.pass.take() else { return };
        let mut state = self.breaker.lock();
        let Some(error) = error else {
            return state.circuit.succeeded(pass);
        };
        state.why = Some(error.clone());
        let now = self.breaker.clock.now();
        let chance = self.breaker.random.bits() as u64;
        if state.circuit.failed(pass, now, chance) {
            tracing::warn!(
                tier = self.breaker.inner.name(),
                "{error}: it is left alone"
            );
        }
    }
}

impl Drop for Out<'_> {
    fn drop(&mut self) {
        if let Some(pass) = self.pass.take() {
            let now = self.breaker.clock.now();
            self.breaker.lock().circuit.abandoned(pass, now);
        }
    }
}

#[async_trait::async_trait]
impl Remote for Breaker {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    async fn get(&self, key: NameHash) -> Result<Option<Stored>, RemoteError> {
        self.guarded(self.inner.get(key)).await
    }

    async fn put(
        &self,
        key: NameHash,
        expect: Expect,
        record: Bytes,
        ttl: Duration,
    ) -> Result<PutOutcome, RemoteError> {
        self.guarded(self.inner.put(key, expect, record, ttl)).await
    }

    async fn delete(&self, key: NameHash, revision: Revision) -> Result<(), RemoteError> {
        self.guarded(self.inner.delete(key, revision)).await
    }

    async fn ping(&self) -> Result<(), RemoteError> {
        self.guarded(self.inner.ping()).await
    }

    fn hint(&self, key: NameHash) {
        self.inner.hint(key);
    }

    async fn hinted(&self, key: NameHash) {
        self.inner.hinted(key).await;
    }

    fn distrust(&self, key: NameHash) {
        self.inner.distrust(key);
    }
}
