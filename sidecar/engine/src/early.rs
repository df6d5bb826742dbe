//! Early refresh: a Lease of what is still fresh is a grant now and then, as the
//! namespace's policy draws ([`crate::policy::early`]).
//!
//! One loader in the fleet, as with every lease: the marker carries the entry,
//! which everybody else goes on reading until it expires. Whatever keeps this
//! caller from being that loader, it is answered as if it had not been due: the
//! tier is asked for a short time only, and not at all while it is away or a
//! loader is known.

use crate::clock::Moment;
use crate::coherence::{Freshness, Source};
use crate::engine::{Engine, lock};
use crate::entry::{Content, Entry};
use crate::lease;
use crate::look;
use crate::policy::early;
use crate::remote::{Expect, Revision};
use crate::request::{Found, Lease, LeaseOutcome, Payload, Tier};
use crate::tier;

/// Whether the caller of this Lease, who found this fresh, is to try.
pub(crate) fn is_due(engine: &Engine, lease: &Lease, found: &Found) -> bool {
    let (Some(load_time), Payload::Value(_)) = (found.load_time, &found.payload) else {
        return false;
    };
    let beta = engine.policy(lease.key.namespace()).early_refresh;
    let random = || engine.ports.random.bits() as u64;
    beta > 0.0 && early::is_due(load_time, found.ttl_left, beta, random()) && may_try(engine, lease)
}

/// Nobody is known to load it, and the tier answered last time.
fn may_try(engine: &Engine, lease: &Lease) -> bool {
    let fresh = engine.ask(|machine, now| machine.session_fresh(now));
    fresh
        && lock(&engine.remote_error).is_none()
        && !engine.leases.is_seen(lease.key.hash(), engine.now())
        && !lease::is_held_here(engine, &lease.key)
        && has_share(engine, lease)
}

/// No lease of the key was granted here within a second: the others are left to
/// those who miss it, and an origin that fails has some rest.
fn has_share(engine: &Engine, lease: &Lease) -> bool {
    let rate = lock(&engine.leases.rate);
    let allowed = rate.allows(lease.key.hash(), 1, engine.now());
    engine.leases.has_room() && allowed.is_ok()
}

/// The right to load it anew. None: somebody has it, or it cannot be had now;
/// time has passed, so the caller looks again.
pub(crate) async fn granted(engine: &Engine, lease: &Lease, found: &Found) -> Option<LeaseOutcome> {
    let within = lease
        .deadline
        .since(engine.now())
        .min(engine.options.remote_timeout)
        / 4;
    let deadline = engine.now().plus(within);
    let (revision, entry) = there(engine, (lease, deadline), found).await?;
    // Fixed before anybody reads the source, and not below the entry's own.
    let position = engine.ask(|machine, _| machine.position())?;
    let known = (Some(Box::new(entry.clone())), found.source_version);
    let expect = Expect::Revision(revision);
    let put = lease::put(engine, (lease, position, deadline), expect, known).await;
    let token = put.ok().flatten()?;
    engine.meter.early_refresh();
    Some(LeaseOutcome::Granted(
        token,
        lease.term,
        as_now(engine, &entry),
    ))
}

/// The entry as the remote tier has it, unless somebody loads it or it was
/// replaced; what replaced it is held here from now on.
async fn there(
    engine: &Engine,
    (lease, deadline): (&Lease, Moment),
    found: &Found,
) -> Option<(Revision, Entry)> {
    let key = &lease.key;
    let (source, read) = tier::read(engine, key, deadline).await;
    let stored = read.ok().flatten()?;
    let entry = match tier::decode(engine, key, &stored).ok()? {
        Content::Entry(entry) => entry,
        Content::Marker(marker) => {
            let left = lease::marker_left(engine, key, &marker);
            *marker.stale.filter(|_| left.is_zero())?
        }
    };
    if entry.version == found.version {
        return Some((stored.revision, entry));
    }
    if look::judge_at(engine, &entry.facts, source).0 == Freshness::Fresh {
        engine.l1.insert(entry);
    }
    None
}

/// What the loader may serve meanwhile, as it is judged now.
fn as_now(engine: &Engine, entry: &Entry) -> Option<Found> {
    let (freshness, vantage) = look::judge_at(engine, &entry.facts, Source::Remote);
    let stale = match freshness {
        Freshness::Fresh => None,
        Freshness::Stale(reason) => Some(reason),
        _ => return None,
    };
    Some(Found {
        stale,
        ..look::found(entry, Tier::Remote, &vantage)
    })
}
