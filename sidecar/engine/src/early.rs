//! Early refresh: a Lease of what is still fresh is a grant now and then, as the
//! namespace's policy draws ([`crate::policy::early`]).
//!
//! One loader in the fleet, as with every lease: the marker carries the entry,
//! which everybody else goes on reading until it expires. Whatever keeps this
//! caller from being that loader gives it the hit that it had.

use crate::clock::Moment;
use crate::engine::Engine;
use crate::entry::{Content, Entry};
use crate::lease::{self, Attempt};
use crate::policy::early;
use crate::position::Position;
use crate::remote::{Expect, Revision};
use crate::request::{Degraded, Found, Lease, LeaseOutcome, Payload};
use crate::tier;

/// The answer to a Lease that found a fresh entry; its fill would have
/// `position`.
pub(crate) async fn hit(
    engine: &Engine,
    (lease, position): (&Lease, Option<Position>),
    found: Found,
) -> Attempt {
    let mut outcome = None;
    if let Some(position) = position.filter(|_| is_due(engine, lease, &found)) {
        // Boxed: only few hits wait for it.
        outcome = Box::pin(granted(engine, (lease, position), &found)).await;
    }
    let outcome = outcome.unwrap_or(LeaseOutcome::Hit(found));
    (outcome, Degraded::default())
}

fn is_due(engine: &Engine, lease: &Lease, found: &Found) -> bool {
    let (Some(load_time), Payload::Value(_)) = (found.load_time, &found.payload) else {
        return false;
    };
    let beta = engine.policy(lease.key.namespace()).early_refresh;
    let random = || engine.ports.random.bits() as u64;
    beta > 0.0 && early::is_due(load_time, found.ttl_left, beta, random())
}

/// The right to load it anew. None: somebody has it, or it cannot be had now.
async fn granted(
    engine: &Engine,
    (lease, position): (&Lease, Position),
    found: &Found,
) -> Option<LeaseOutcome> {
    let fresh = engine.ask(|machine, now| machine.session_fresh(now));
    if !fresh || lease::is_held_here(engine, &lease.key) {
        return None;
    }
    let (revision, entry) = there(engine, lease, found).await?;
    // What limits others is no reason to fail, nor to wait: there is the entry.
    if !matches!(lease::limited(engine, lease, &None), Ok(None)) {
        return None;
    }
    let known = (Some(Box::new(entry)), found.source_version);
    let expect = Expect::Revision(revision);
    let put = lease::put(engine, (lease, position), expect, known).await;
    let token = put.ok().flatten()?;
    engine.meter.early_refresh();
    let found = Some(found.clone());
    Some(LeaseOutcome::Granted(token, lease.term, found))
}

/// The entry as the remote tier has it, unless somebody loads it or it was
/// replaced.
async fn there(engine: &Engine, lease: &Lease, found: &Found) -> Option<(Revision, Entry)> {
    let (key, deadline): (_, Moment) = (&lease.key, lease.deadline);
    let (_, read) = tier::read(engine, key, deadline).await;
    let stored = read.ok().flatten()?;
    let entry = match tier::decode(engine, key, &stored).ok()? {
        Content::Entry(entry) => entry,
        Content::Marker(marker) => {
            let left = lease::marker_left(engine, key, &marker);
            let entry = marker.stale.filter(|_| left.is_zero())?;
            *entry
        }
    };
    (entry.version == found.version).then_some((stored.revision, entry))
}
