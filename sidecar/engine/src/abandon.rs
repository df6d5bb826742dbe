//! Abandon: the load failed.
//!
//! Plainly, the next caller becomes the loader at once. As fail-safe, what is
//! stale may be served for longer, and nobody loads before `retry_after` has
//! passed: a marker that no token opens stands in the key's place until then.

use crate::clock::{LogTime, Moment};
use crate::engine::Engine;
use crate::entry::{Content, Entry};
use crate::envelope;
use crate::error::Error;
use crate::key::Key;
use crate::lease::NewMarker;
use crate::leases::Grant;
use crate::limits;
use crate::policy::ttl::Giver;
use crate::remote::{Expect, Revision};
use crate::request::{Abandon, LeaseToken};
use crate::tier;
use std::time::Duration;

pub(crate) async fn abandon(engine: &Engine, abandon: Abandon) -> Result<(), Error> {
    let taken = engine.leases.take(abandon.token).await?;
    let mut grant = taken.end();
    let serve = abandon.serve_stale_for;
    let rest = abandon
        .retry_after
        .or(serve.map(|_| limits::RETRY_AFTER_DEFAULT));
    let Some(rest) = rest else {
        release(engine, &grant, abandon.deadline).await;
        return Ok(());
    };
    engine.meter.fail_safe();
    if let (Some(stale), Some(serve)) = (&mut grant.stale, serve) {
        prolong(engine, stale, serve);
        engine.l1.insert(Entry::clone(stale));
    }
    throttle(engine, (abandon.token, grant), rest, abandon.deadline).await;
    Ok(())
}

/// Moves the end of what may be served stale, never beyond `valid_for`.
fn prolong(engine: &Engine, stale: &mut Entry, serve: Duration) {
    let now: LogTime = engine.ask(|machine, now| machine.log_time(now));
    let gone = now.plus(serve).min(stale.valid_until);
    if gone > stale.facts.gone {
        stale.facts.gone = gone;
        stale.why.stale_for_by = Giver::FailSafe;
    }
}

/// Nobody is granted the lease before `rest` has passed. If the tier is away,
/// that holds in this pod only.
pub(crate) async fn throttle(
    engine: &Engine,
    (old, grant): (LeaseToken, Grant),
    rest: Duration,
    deadline: Moment,
) {
    // A new token, told to nobody.
    let token = LeaseToken(engine.ports.random.bits());
    let Some((revision, _)) = grant.marker else {
        let now = engine.now();
        let (term, until) = (rest, now.plus(rest));
        let resting = Grant {
            term,
            until,
            ..grant
        };
        // Not over a newer loader's.
        engine.leases.give_after(Some(old), token, resting);
        return;
    };
    let marker = NewMarker {
        key: &grant.key,
        position: grant.position,
        token,
        renewal: 0,
        term: rest,
        source_version: grant.source_version,
        stale: grant.stale.clone(),
    };
    // If it is lost, the old marker's term ends the lease.
    let _ = marker
        .put(engine, Expect::Revision(revision), deadline)
        .await;
    engine.ports.remote.hint(grant.key.hash());
}

/// Removes the marker, so that the next caller becomes the loader at once. If
/// the tier is away the term's end does the same.
pub(crate) async fn release(engine: &Engine, grant: &Grant, deadline: Moment) {
    match grant.marker {
        Some((revision, _)) => {
            let stale = grant.stale.as_deref();
            remove(engine, &grant.key, revision, stale, deadline).await;
        }
        None => engine.ports.remote.hint(grant.key.hash()),
    }
}

/// Removes a marker, puts back what it carried, and tells who waits.
pub(crate) async fn remove(
    engine: &Engine,
    key: &Key,
    marker: Revision,
    stale: Option<&Entry>,
    deadline: Moment,
) {
    let hash = key.hash();
    let remote = tier::remote(engine);
    if let Some(stale) = stale {
        let now = engine.ask(|machine, now| machine.log_time(now));
        let record = envelope::encode(&Content::Entry(Entry::clone(stale)));
        let kept = stale.facts.gone.since(now).max(limits::TTL_MIN);
        let put = remote.put(hash, Expect::Revision(marker), record, kept);
        let _ = tier::call(engine, deadline, put).await;
    } else {
        let _ = tier::call(engine, deadline, remote.delete(hash, marker)).await;
    }
    remote.hint(hash);
}
