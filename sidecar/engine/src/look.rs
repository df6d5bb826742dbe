//! Looking a key up: L1, then the remote tier, each judged by the hit rule.
//!
//! The entry is taken first and judged after; missing is always a legal
//! answer, so whatever keeps a tier away is a miss that says it is degraded.
//! What is not fresh but may be served comes back beside the miss.

use crate::clock::Moment;
use crate::coherence::{Bug, Facts, Freshness, Source};
use crate::engine::Engine;
use crate::entry::{Content, Entry, Marker};
use crate::key::Key;
use crate::position::Position;
use crate::read;
use crate::remote::{Read, RemoteError, Revision};
use crate::request::{Found, StaleReason, Tier};
use crate::tier;

/// What the remote tier holds under a key, when it is no hit.
pub(crate) enum Remains {
    Nothing,
    /// Something that may be replaced: dead, stale, not ours.
    Dead(Revision),
    /// Somebody's right to load.
    Marker(Revision, Box<Marker>),
    /// An own write or invalidation of it is under way.
    Pending,
    /// Cannot be judged now: not replayed yet, or the session is not fresh.
    Unjudged,
}

/// An entry that may be served, flagged.
#[derive(Clone, Debug)]
pub(crate) struct Stale {
    pub(crate) entry: Entry,
    pub(crate) reason: StaleReason,
    pub(crate) tier: Tier,
    /// This pod's position when it was judged.
    pub(crate) position: Position,
}

/// No fresh entry.
pub(crate) struct Missed {
    /// What is in its place, or why the tier did not say.
    pub(crate) remains: Result<Remains, RemoteError>,
    pub(crate) stale: Option<Stale>,
    /// The source version of what is or was there, servable or not.
    pub(crate) source_version: Option<u64>,
}

/// The outcome of looking a key up.
pub(crate) enum Lookup {
    Hit(Found),
    Miss(Box<Missed>),
}

impl Lookup {
    fn miss(remains: Remains, stale: Option<Stale>) -> Self {
        Self::Miss(Box::new(Missed {
            remains: Ok(remains),
            stale,
            source_version: None,
        }))
    }

    /// A miss that tells how far the origin was known to be.
    fn knows(mut self, source_version: Option<u64>) -> Self {
        if let Self::Miss(missed) = &mut self {
            missed.source_version = source_version;
        }
        self
    }
}

/// What looking in L1 came to.
pub(crate) enum Near {
    /// Nobody else has to be asked.
    Settled(Lookup),
    /// The remote tier has to be; this may be served stale.
    Ask(Option<Stale>),
}

/// Looks in L1, then in the remote tier. `wants_stale`: what is not fresh is
/// of use, so the tier is asked even while the session is not fresh.
pub(crate) async fn look_up(
    engine: &Engine,
    key: &Key,
    wants_stale: impl FnOnce() -> bool,
    deadline: Moment,
) -> Lookup {
    match look_near(engine, key, wants_stale) {
        Near::Settled(lookup) => lookup,
        Near::Ask(held) => {
            let read = tier::read(engine, key, deadline).await;
            settle(engine, key, (held, read), deadline).await
        }
    }
}

/// Looks in L1, and says whether the remote tier has to be asked.
pub(crate) fn look_near(engine: &Engine, key: &Key, wants_stale: impl FnOnce() -> bool) -> Near {
    let mut held_stale = None;
    if let Some(held) = engine.l1.get(key.hash()) {
        let (freshness, position) = judge_at(engine, &held.facts, Source::L1);
        match freshness {
            Freshness::Fresh => {
                engine.meter.hit_l1();
                return Near::Settled(Lookup::Hit(found(engine, &held, Tier::L1, position)));
            }
            Freshness::Stale(reason) => {
                let (entry, tier) = (Entry::clone(&held), Tier::L1);
                held_stale = Some(Stale {
                    entry,
                    reason,
                    tier,
                    position,
                });
            }
            Freshness::Dead => engine.l1.remove(key.hash()),
            Freshness::Pending => return Near::Settled(Lookup::miss(Remains::Pending, None)),
            // The tier may have a newer one.
            Freshness::Future | Freshness::Unjudged => {}
        }
    }
    let fresh = engine.ask(|machine, now| machine.session_fresh(now));
    match !fresh && (held_stale.is_some() || !wants_stale()) {
        true => Near::Settled(Lookup::miss(Remains::Unjudged, held_stale)),
        false => Near::Ask(held_stale),
    }
}

/// Judges what the remote tier answered, and L1 if that is no hit.
pub(crate) async fn settle(
    engine: &Engine,
    key: &Key,
    (held, read): (Option<Stale>, (Source, Read)),
    deadline: Moment,
) -> Lookup {
    match settle_read(engine, key, read, deadline).await {
        Lookup::Hit(found) => Lookup::Hit(found),
        Lookup::Miss(mut missed) => {
            missed.stale = missed.stale.or(held);
            Lookup::Miss(missed)
        }
    }
}

async fn settle_read(
    engine: &Engine,
    key: &Key,
    (source, read): (Source, Read),
    deadline: Moment,
) -> Lookup {
    let stored = match read {
        Ok(Some(stored)) => stored,
        Ok(None) => return Lookup::miss(Remains::Nothing, None),
        Err(error) => {
            return Lookup::Miss(Box::new(Missed {
                remains: Err(error),
                stale: None,
                source_version: None,
            }));
        }
    };
    let Ok(content) = tier::decode(engine, key, &stored) else {
        return Lookup::miss(Remains::Dead(stored.revision), None);
    };
    let mut judged = judge_at(engine, content.facts(), source);
    if judged.0 == Freshness::Future {
        if !read::barrier(engine, deadline).await {
            return Lookup::miss(Remains::Unjudged, None);
        }
        judged = judge_at(engine, content.facts(), source);
    }
    match content {
        Content::Entry(entry) => settle_entry(engine, (judged, stored.revision), entry),
        Content::Marker(marker) => {
            settle_marker(engine, source, (judged.0, stored.revision), marker)
        }
    }
}

/// What L1 holds and may call fresh now.
pub(crate) fn fresh_in_l1(engine: &Engine, key: &Key) -> Option<Found> {
    let held = engine.l1.get(key.hash())?;
    let (freshness, position) = judge_at(engine, &held.facts, Source::L1);
    if freshness != Freshness::Fresh {
        return None;
    }
    engine.meter.hit_l1();
    Some(found(engine, &held, Tier::L1, position))
}

/// The judgement and the position at which it was made. One that is taken later
/// may lie above what covers the entry meanwhile: what is made of the entry with
/// that position would stand over the cover.
pub(crate) fn judge_at(engine: &Engine, facts: &Facts, source: Source) -> (Freshness, Position) {
    engine.ask(|machine, now| {
        let position = machine.position().unwrap_or_default();
        (machine.judge(facts, source, now), position)
    })
}

fn settle_entry(
    engine: &Engine,
    ((freshness, position), revision): ((Freshness, Position), Revision),
    entry: Entry,
) -> Lookup {
    let version = entry.facts.source_version;
    let lookup = match freshness {
        Freshness::Fresh => {
            engine.meter.hit_remote();
            let found = found(engine, &entry, Tier::Remote, position);
            engine.l1.insert(entry);
            Lookup::Hit(found)
        }
        Freshness::Stale(reason) => {
            engine.l1.insert(entry.clone());
            let tier = Tier::Remote;
            let stale = Stale {
                entry,
                reason,
                tier,
                position,
            };
            Lookup::miss(Remains::Dead(revision), Some(stale))
        }
        // After a barrier still in the future: of a log that lost its tail.
        Freshness::Dead | Freshness::Future => Lookup::miss(Remains::Dead(revision), None),
        Freshness::Pending => Lookup::miss(Remains::Pending, None),
        Freshness::Unjudged => Lookup::miss(Remains::Unjudged, None),
    };
    lookup.knows(version)
}

fn settle_marker(
    engine: &Engine,
    source: Source,
    (judged, revision): (Freshness, Revision),
    mut marker: Marker,
) -> Lookup {
    let mut stale = None;
    let version = marker.source_version;
    if let Some(entry) = marker.stale.as_deref_mut() {
        if engine.options.bugs.has(Bug::StaleByMarker) {
            entry.facts.as_of = marker.facts.as_of;
        }
        let (freshness, position) = judge_at(engine, &entry.facts, source);
        match freshness {
            // Another pod's clock had it expire a moment earlier.
            Freshness::Fresh => {
                engine.meter.hit_remote();
                return Lookup::Hit(found(engine, entry, Tier::Remote, position));
            }
            Freshness::Stale(reason) => {
                let (entry, tier) = (entry.clone(), Tier::Remote);
                stale = Some(Stale {
                    entry,
                    reason,
                    tier,
                    position,
                });
            }
            _ => {}
        }
    }
    let remains = match judged {
        Freshness::Fresh | Freshness::Stale(StaleReason::SessionNotFresh) => {
            Remains::Marker(revision, Box::new(marker))
        }
        Freshness::Dead | Freshness::Future | Freshness::Stale(_) => Remains::Dead(revision),
        Freshness::Pending => Remains::Pending,
        Freshness::Unjudged => Remains::Unjudged,
    };
    Lookup::miss(remains, stale).knows(version)
}

/// What a caller is told of an entry that may be served stale.
pub(crate) fn found_stale(engine: &Engine, stale: &Stale) -> Found {
    engine.meter.hit_stale();
    let flag = match engine.options.bugs.has(Bug::StaleUnflagged) {
        true => None,
        false => Some(stale.reason),
    };
    Found {
        stale: flag,
        ..found(engine, &stale.entry, stale.tier, stale.position)
    }
}

/// What a caller is told of an entry that was judged at `position`.
pub(crate) fn found(engine: &Engine, entry: &Entry, tier: Tier, position: Position) -> Found {
    let times = engine.ask(|machine, now| machine.times(entry.stored, &entry.facts, now));
    let [age, ttl_left, stale_left] = times;
    Found {
        payload: entry.payload.clone(),
        version: entry.version.to_string(),
        etag: entry.etag,
        source_version: entry.facts.source_version,
        tags: entry.tags.clone(),
        tier,
        stale: None,
        position,
        age,
        ttl_left,
        stale_left,
    }
}
