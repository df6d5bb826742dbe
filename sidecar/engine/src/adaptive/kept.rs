//! What was learned survives a restart: a record for each namespace in the remote
//! tier, read once by a pod that starts, written when it has learned more, at most
//! once a minute, and when it leaves.
//!
//! The pods of a fleet share the record, the last one's stands: each had taken it
//! in when it began. A pod that could not read it yet does not write.

use super::Place;
use crate::clock::Moment;
use crate::engine::{Engine, lock};
use crate::key::{NameHash, Namespace};
use crate::limits;
use crate::remote::{Expect, PutOutcome, RemoteError};
use crate::tier;
use futures::future::join_all;
use std::sync::Arc;
use std::time::Duration;

/// Between two writes of one pod; up to a quarter more, so that pods do not come
/// in step.
const KEPT_EVERY: Duration = Duration::from_secs(60);
/// A tier that did not answer is asked again after this.
const AGAIN: Duration = Duration::from_secs(2);

#[derive(Default)]
pub(super) struct Kept {
    /// What there was has been taken in.
    is_read: bool,
    is_busy: bool,
    /// Observations that are in the record.
    seen: u64,
    due: Moment,
}

/// Somebody reads or writes the record.
struct Busy(Arc<Place>);

impl Busy {
    fn new(place: Arc<Place>) -> Self {
        lock(&place.kept).is_busy = true;
        Self(place)
    }
}

/// Also when the queue had no room for the job.
impl Drop for Busy {
    fn drop(&mut self) {
        lock(&self.0.kept).is_busy = false;
    }
}

/// Has the record read or written, if it is time.
pub(super) fn look(engine: &Arc<Engine>, namespace: Namespace, place: Arc<Place>) {
    let now = engine.now();
    // What is old is told by the log's time.
    let knows_time = engine.ask(|machine, _| machine.position()).is_some();
    let is_away = lock(&engine.remote_error).is_some();
    {
        let mut kept = lock(&place.kept);
        let has_learned = lock(&place.learned).seen() != kept.seen;
        let wanted = !kept.is_read || has_learned;
        if kept.is_busy || now < kept.due || !wanted || !knows_time || is_away {
            return;
        }
        kept.due = now.plus(match kept.is_read {
            true => KEPT_EVERY + jitter(engine),
            false => AGAIN,
        });
    }
    let (busy, owner) = (Busy::new(place), Arc::clone(engine));
    engine.background.clean(Box::pin(async move {
        let is_read = lock(&busy.0.kept).is_read;
        // A tier that does not answer is noted by the call; it is asked again.
        let _ = match is_read {
            true => write(&owner, &namespace, &busy.0).await,
            false => read(&owner, &namespace, &busy.0).await,
        };
    }));
}

fn jitter(engine: &Engine) -> Duration {
    let part = engine.ports.random.bits() as u32;
    (KEPT_EVERY / 4).mul_f64(f64::from(part) / f64::from(u32::MAX))
}

/// Writes what was learned since, of every namespace, before the pod leaves.
pub(crate) async fn keep_all(engine: &Engine) {
    let all = engine.adaptive.all();
    if lock(&engine.remote_error).is_some() {
        return;
    }
    let all = all.iter().map(|(namespace, place)| async move {
        let wanted = {
            let kept = lock(&place.kept);
            kept.is_read && lock(&place.learned).seen() != kept.seen
        };
        if wanted {
            let _ = write(engine, namespace, place).await;
        }
    });
    join_all(all).await;
}

async fn read(engine: &Engine, namespace: &Namespace, place: &Place) -> Result<(), RemoteError> {
    let deadline = engine.now().plus(engine.options.remote_timeout);
    let remote = tier::remote(engine);
    let get = remote.get(NameHash::of_learned(namespace));
    let stored = tier::call(engine, deadline, get).await?;
    if let Some(stored) = stored {
        let now = engine.ask(|machine, now| machine.log_time(now));
        let mut learned = lock(&place.learned);
        match learned.adopt(namespace.as_str(), now, &stored.record) {
            Ok(()) => engine.meter.learned_read(),
            Err(_) => engine.meter.learned_unreadable(),
        }
    }
    lock(&place.kept).is_read = true;
    Ok(())
}

async fn write(engine: &Engine, namespace: &Namespace, place: &Place) -> Result<(), RemoteError> {
    let deadline = engine.now().plus(engine.options.remote_timeout);
    let at = engine.ask(|machine, now| machine.log_time(now));
    let (record, seen) = {
        let learned = lock(&place.learned);
        (learned.record(namespace.as_str(), at), learned.seen())
    };
    let (remote, name) = (tier::remote(engine), NameHash::of_learned(namespace));
    let there = tier::call(engine, deadline, remote.get(name)).await?;
    let expect = there.map_or(Expect::Absent, |there| Expect::Revision(there.revision));
    let put = remote.put(name, expect, record, limits::TTL_MAX);
    // Another pod was faster: its record will do until the next time.
    if let PutOutcome::Stored(_) = tier::call(engine, deadline, put).await? {
        engine.meter.learned_kept();
        lock(&place.kept).seen = seen;
    }
    Ok(())
}
