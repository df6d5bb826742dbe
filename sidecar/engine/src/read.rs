//! Reading: L1, then the remote tier, each judged by the hit rule.
//!
//! The entry is taken first and judged after; missing is always a legal
//! answer, so whatever keeps a tier away is a miss that says it is degraded.

use crate::clock::Moment;
use crate::coherence::{Freshness, Source};
use crate::engine::{Engine, lock};
use crate::entry::{self, Content, Entry, Marker};
use crate::error::Error;
use crate::key::Key;
use crate::position::Position;
use crate::remote::{Remote, RemoteError, Revision, Stored};
use crate::request::{Answer, Degraded, Found, Get, Tier};
use std::future::Future;
use std::sync::Arc;

/// What the remote tier holds under a key, when it is no hit.
pub(crate) enum Remains {
    Nothing,
    /// Something that may be replaced: dead, expired, not ours.
    Dead(Revision),
    /// Somebody's right to load.
    Marker(Revision, Marker),
    /// Cannot be judged now: pending, or the session is not fresh.
    Unjudged,
}

/// The outcome of looking a key up.
pub(crate) enum Lookup {
    Hit(Found),
    Miss(Remains),
    /// The tier did not answer.
    Unavailable(RemoteError),
}

pub(crate) async fn get(engine: &Engine, get: Get) -> Result<Answer<Option<Found>>, Error> {
    if let Some(position) = get.min_position {
        reach(engine, position, get.deadline).await?;
    }
    let mut degraded = Degraded::default();
    let result = match look_up(engine, &get.key, get.deadline).await {
        Lookup::Hit(found) => Some(found),
        Lookup::Miss(_) => {
            degraded.session = !engine.ask(|machine, now| machine.session_fresh(now));
            None
        }
        Lookup::Unavailable(_) => {
            degraded.remote = true;
            None
        }
    };
    if result.is_none() {
        engine.meter.miss();
    }
    Ok(Answer {
        result,
        position: engine.position(),
        degraded,
    })
}

/// Looks in L1, then in the remote tier.
pub(crate) async fn look_up(engine: &Engine, key: &Key, deadline: Moment) -> Lookup {
    if let Some(held) = engine.l1.get(key.hash()) {
        let now = engine.now();
        match engine.ask(|machine, now| machine.judge(&held.entry.facts, Source::L1, now)) {
            Freshness::Fresh if now < held.deadline => {
                engine.meter.hit_l1();
                return Lookup::Hit(found(
                    engine,
                    &held.entry,
                    Tier::L1,
                    held.deadline.since(now),
                ));
            }
            Freshness::Fresh | Freshness::Dead => engine.l1.remove(key.hash()),
            Freshness::Pending | Freshness::NoSession => return Lookup::Miss(Remains::Unjudged),
            Freshness::Future => {}
        }
    }
    if !engine.ask(|machine, now| machine.session_fresh(now)) {
        return Lookup::Miss(Remains::Unjudged);
    }
    look_in_remote(engine, key, deadline).await
}

async fn look_in_remote(engine: &Engine, key: &Key, deadline: Moment) -> Lookup {
    let stored = match read(engine, key, deadline).await {
        Ok(Some(stored)) => stored,
        Ok(None) => return Lookup::Miss(Remains::Nothing),
        Err(error) => return Lookup::Unavailable(error),
    };
    let content = match entry::decode(key, &stored.record) {
        Ok(content) => content,
        Err(entry::BadRecord) => {
            engine.meter.bad_record();
            return Lookup::Miss(Remains::Dead(stored.revision));
        }
    };
    if judge(engine, &content) == Freshness::Future && !barrier(engine, deadline).await {
        return Lookup::Miss(Remains::Unjudged);
    }
    settle(engine, key, stored.revision, content)
}

fn judge(engine: &Engine, content: &Content) -> Freshness {
    engine.ask(|machine, now| machine.judge(content.facts(), Source::Remote, now))
}

/// Turns what was read into a hit or what remains.
fn settle(engine: &Engine, key: &Key, revision: Revision, content: Content) -> Lookup {
    let freshness = judge(engine, &content);
    match (freshness, content) {
        (Freshness::Fresh, Content::Entry(entry)) => fresh(engine, key, revision, entry),
        (Freshness::Fresh, Content::Marker(marker)) => {
            Lookup::Miss(Remains::Marker(revision, marker))
        }
        // After a barrier still in the future: of a log that lost its tail.
        (Freshness::Dead | Freshness::Future, _) => Lookup::Miss(Remains::Dead(revision)),
        (Freshness::Pending | Freshness::NoSession, _) => Lookup::Miss(Remains::Unjudged),
    }
}

fn fresh(engine: &Engine, key: &Key, revision: Revision, entry: Entry) -> Lookup {
    let Some(left) = engine.ask(|machine, now| machine.time_left(entry.expires, now)) else {
        return Lookup::Miss(Remains::Dead(revision));
    };
    engine.meter.hit_remote();
    let found = found(engine, &entry, Tier::Remote, left);
    engine
        .l1
        .insert(entry, key.name().len(), engine.now().plus(left));
    Lookup::Hit(found)
}

/// What a caller is told of an entry.
pub(crate) fn found(
    engine: &Engine,
    entry: &Entry,
    tier: Tier,
    ttl_left: std::time::Duration,
) -> Found {
    let age = engine.ask(|machine, now| machine.log_time(now).since(entry.stored));
    Found {
        value: entry.value.clone(),
        version: entry.version.to_string(),
        tags: entry.tags.clone(),
        tier,
        age,
        ttl_left,
    }
}

/// One read of the remote tier, shared by all who ask for the key meanwhile.
async fn read(engine: &Engine, key: &Key, deadline: Moment) -> Result<Option<Stored>, RemoteError> {
    let hash = key.hash();
    let owner = engine.me.upgrade().expect("the caller holds the engine");
    let start = || -> futures::future::BoxFuture<'static, _> {
        Box::pin(async move {
            // The flight's own deadline: no single caller's.
            let until = owner.now().plus(owner.options.remote_timeout);
            call(&owner, until, owner.ports.remote.get(hash)).await
        })
    };
    let flight = engine.flights.join(hash, start);
    tokio::select! {
        biased;
        read = flight => read,
        () = engine.ports.clock.sleep_until(deadline) => Err(late()),
    }
}

/// A call to the remote tier, bounded by its timeout and the deadline.
pub(crate) async fn call<T>(
    engine: &Engine,
    deadline: Moment,
    call: impl Future<Output = Result<T, RemoteError>>,
) -> Result<T, RemoteError> {
    let until = deadline.min(engine.now().plus(engine.options.remote_timeout));
    let result = tokio::select! {
        biased;
        result = call => result,
        () = engine.ports.clock.sleep_until(until) => Err(late()),
    };
    *lock(&engine.remote_error) = result.as_ref().err().map(ToString::to_string);
    result
}

fn late() -> RemoteError {
    RemoteError::Unavailable("the remote tier did not answer in time".into())
}

/// Waits until an own Beat appended from now on was processed here: then all
/// that had been appended before was, too. False: not before the deadline.
pub(crate) async fn barrier(engine: &Engine, deadline: Moment) -> bool {
    let number = engine.with(|machine, now| machine.barrier(now));
    engine.background.wake();
    let mut progress = engine.progress.subscribe();
    let reached = progress.wait_for(|progress| progress.echoed >= number);
    tokio::select! {
        biased;
        reached = reached => reached.is_ok(),
        () = engine.ports.clock.sleep_until(deadline) => false,
    }
}

/// Waits until `position` was processed here.
pub(crate) async fn reach(
    engine: &Engine,
    position: Position,
    deadline: Moment,
) -> Result<(), Error> {
    let mut progress = engine.progress.subscribe();
    let reached =
        progress.wait_for(|p| p.epoch == Some(position.epoch) && p.processed >= position.sequence);
    tokio::select! {
        biased;
        reached = reached => reached.map(|_| ()).map_err(|_| Error::PositionNotReached),
        () = engine.ports.clock.sleep_until(deadline) => Err(Error::PositionNotReached),
    }
}

/// The tier as an owned handle, for futures that outlive the call.
pub(crate) fn remote(engine: &Engine) -> Arc<dyn Remote> {
    Arc::clone(&engine.ports.remote)
}
