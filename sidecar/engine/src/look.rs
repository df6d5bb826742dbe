//! Looking a key up: L1, then the remote tier, each judged by the hit rule.
//!
//! The entry is taken first and judged after; missing is always a legal
//! answer, so whatever keeps a tier away is a miss that says it is degraded.
//! What is not fresh but may be served comes back beside the miss.

use crate::adaptive;
use crate::clock::Moment;
use crate::coherence::{At, Bug, Facts, Freshness, Machine, Source};
use crate::engine::Engine;
use crate::entry::{Content, Entry, Marker};
use crate::key::{Key, Prefixes};
use crate::lease;
use crate::position::Position;
use crate::read;
use crate::remote::{Read, RemoteError, Revision};
use crate::request::{Found, StaleReason, Tier};
use crate::tier;
use std::sync::Arc;

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

impl Stale {
    /// As it was judged again: others were waited for, and it may be covered now,
    /// at a position that the answer has reached.
    pub(crate) fn again(
        mut self: Box<Self>,
        freshness: Freshness,
        vantage: &Vantage,
    ) -> Option<Box<Self>> {
        match freshness {
            Freshness::Stale(reason) => self.reason = reason,
            // The session is fresh again; the caller is told how it was found.
            Freshness::Fresh => {}
            _ => return None,
        }
        self.position = vantage.position;
        Some(self)
    }
}

/// No fresh entry.
pub(crate) struct Missed {
    /// What is in its place, or why the tier did not say.
    pub(crate) remains: Result<Remains, RemoteError>,
    pub(crate) stale: Option<Stale>,
    /// The source version of what is or was there, servable or not.
    pub(crate) source_version: Option<u64>,
}

impl Missed {
    fn new(remains: Result<Remains, RemoteError>) -> Self {
        Self {
            remains,
            stale: None,
            source_version: None,
        }
    }

    fn of(remains: Result<Remains, RemoteError>) -> Box<Self> {
        Box::new(Self::new(remains))
    }
}

/// From where things were judged: this pod's position, and the moment. A
/// position that is taken later may lie above what covers an entry meanwhile:
/// what is made of the entry with that position would stand over the cover.
#[derive(Clone, Copy)]
pub(crate) struct Vantage {
    pub(crate) position: Position,
    pub(crate) at: At,
}

/// The outcome of looking a key up.
#[expect(clippy::large_enum_variant, reason = "a box for every hit costs more")]
pub(crate) enum Lookup {
    Hit(Found),
    Miss(Box<Missed>),
}

impl Lookup {
    fn miss(remains: Remains, stale: Option<Stale>) -> Self {
        let mut missed = Missed::of(Ok(remains));
        missed.stale = stale;
        Self::Miss(missed)
    }

    /// What could not be judged.
    pub(crate) fn unjudged() -> Self {
        Self::miss(Remains::Unjudged, None)
    }

    /// The same, or what L1 holds and may be served stale.
    pub(crate) fn or_stale(mut self, held: Option<Box<Stale>>) -> Self {
        if let Self::Miss(missed) = &mut self
            && let Some(held) = held
        {
            missed.stale.get_or_insert(*held);
        }
        self
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
    /// It is fresh.
    Hit(Arc<Entry>),
    /// Nobody else has to be asked.
    Missed(Box<Missed>),
    /// The remote tier has to be; this may be served stale.
    Ask(Option<Box<Stale>>),
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
        Ok(lookup) => lookup,
        // Boxed, as all that waits on the way of a hit: or every hit would carry,
        // and move, what only a miss needs.
        Err(held) => Box::pin(ask(engine, key, held, deadline)).await,
    }
}

/// Looks in L1; what may be served stale if the remote tier has to be asked.
pub(crate) fn look_near(
    engine: &Engine,
    key: &Key,
    wants_stale: impl FnOnce() -> bool,
) -> Result<Lookup, Option<Box<Stale>>> {
    let held = engine.l1.get(key.hash());
    let judged = held.map(|held| {
        let (freshness, vantage) = judge_at(engine, &held.facts, Source::L1);
        (held, freshness, vantage)
    });
    let vantage = judged.as_ref().map(|(.., vantage)| *vantage);
    match near(engine, key, judged, wants_stale) {
        Near::Hit(held) => Ok(hit(engine, &held, &vantage.expect("a hit was judged"))),
        Near::Missed(missed) => Ok(Lookup::Miss(missed)),
        Near::Ask(held) => Err(held),
    }
}

/// Asks the remote tier; L1 holds what may be served stale.
pub(crate) async fn ask(
    engine: &Engine,
    key: &Key,
    held: Option<Box<Stale>>,
    deadline: Moment,
) -> Lookup {
    let read = tier::read(engine, key, deadline).await;
    settle(engine, key, (held, read), deadline).await
}

/// A hit in L1.
pub(crate) fn hit(engine: &Engine, held: &Entry, vantage: &Vantage) -> Lookup {
    if engine.meter.hit_l1() {
        adaptive::read(engine, held.facts.key.hash());
    }
    Lookup::Hit(found(held, Tier::L1, vantage))
}

/// What is made of what L1 holds, as it was judged; whether the remote tier has
/// to be asked.
pub(crate) fn near(
    engine: &Engine,
    key: &Key,
    judged: Option<(Arc<Entry>, Freshness, Vantage)>,
    wants_stale: impl FnOnce() -> bool,
) -> Near {
    let mut held_stale = None;
    if let Some((held, freshness, vantage)) = judged {
        match freshness {
            Freshness::Fresh => return Near::Hit(held),
            Freshness::Stale(reason) => {
                held_stale = Some(Stale {
                    entry: Entry::clone(&held),
                    reason,
                    tier: Tier::L1,
                    position: vantage.position,
                });
            }
            Freshness::Dead => engine.l1.remove(key.hash()),
            Freshness::Pending => return Near::Missed(Missed::of(Ok(Remains::Pending))),
            // The tier may have a newer one.
            Freshness::Future | Freshness::Unjudged => {}
        }
    }
    let fresh = engine.ask(|machine, now| machine.session_fresh(now));
    match !fresh && (held_stale.is_some() || !wants_stale()) {
        true => Near::Missed(Box::new(Missed {
            stale: held_stale,
            ..Missed::new(Ok(Remains::Unjudged))
        })),
        false => Near::Ask(held_stale.map(Box::new)),
    }
}

/// Judges what the remote tier answered, and L1 if that is no hit.
async fn settle(
    engine: &Engine,
    key: &Key,
    (held, read): (Option<Box<Stale>>, (Source, Read)),
    deadline: Moment,
) -> Lookup {
    let brought = unpack(engine, key, read, &mut tier::prefixes(engine));
    let lookup = settle_brought(engine, brought, deadline).await;
    lookup.or_stale(held.and_then(|held| {
        let (freshness, vantage) = judge_at(engine, &held.entry.facts, Source::L1);
        held.again(freshness, &vantage)
    }))
}

async fn settle_brought(
    engine: &Engine,
    brought: Result<Brought, Box<Missed>>,
    deadline: Moment,
) -> Lookup {
    let brought = match brought {
        Ok(brought) => brought,
        Err(missed) => return Lookup::Miss(missed),
    };
    let (mut freshness, mut vantage) = judge_at(engine, brought.facts(), brought.source);
    if freshness == Freshness::Future {
        if !read::barrier(engine, deadline).await {
            return Lookup::unjudged();
        }
        (freshness, vantage) = judge_at(engine, brought.facts(), brought.source);
    }
    brought.settle(engine, freshness, &vantage)
}

/// What the remote tier brought, to be judged.
pub(crate) struct Brought {
    pub(crate) source: Source,
    revision: Revision,
    content: Content,
}

impl Brought {
    pub(crate) fn facts(&self) -> &Facts {
        self.content.facts()
    }

    /// What is made of it, as it was judged.
    pub(crate) fn settle(self, engine: &Engine, freshness: Freshness, vantage: &Vantage) -> Lookup {
        let judged = (freshness, self.revision);
        match self.content {
            Content::Entry(entry) => settle_entry(engine, judged, vantage, entry),
            Content::Marker(marker) => settle_marker(engine, self.source, judged, marker),
        }
    }
}

/// Unpacks what was read, or says what it comes to without a judgement.
pub(crate) fn unpack<'a>(
    engine: &Engine,
    key: &'a Key,
    (source, read): (Source, Read),
    prefixes: &mut Prefixes<'a>,
) -> Result<Brought, Box<Missed>> {
    let stored = match read {
        Ok(Some(stored)) => stored,
        Ok(None) => return Err(Missed::of(Ok(Remains::Nothing))),
        Err(error) => {
            return Err(Missed::of(Err(error)));
        }
    };
    let revision = stored.revision;
    match tier::decode_next(engine, key, &stored, prefixes) {
        Ok(content) => Ok(Brought {
            source,
            revision,
            content,
        }),
        Err(_) => Err(Missed::of(Ok(Remains::Dead(revision)))),
    }
}

/// What L1 holds and may call fresh now.
pub(crate) fn fresh_in_l1(engine: &Engine, key: &Key) -> Option<Found> {
    let held = engine.l1.get(key.hash())?;
    let (freshness, vantage) = judge_at(engine, &held.facts, Source::L1);
    if freshness != Freshness::Fresh {
        return None;
    }
    if engine.meter.hit_l1() {
        adaptive::read(engine, key.hash());
    }
    Some(found(&held, Tier::L1, &vantage))
}

/// The judgement, and from where it was made.
pub(crate) fn judge_at(engine: &Engine, facts: &Facts, source: Source) -> (Freshness, Vantage) {
    engine.ask(|machine, now| {
        let vantage = vantage(machine, now);
        (machine.judge_at(facts, source, &vantage.at), vantage)
    })
}

/// Judges many from one place.
pub(crate) fn judge_all<'a>(
    engine: &Engine,
    all: impl Iterator<Item = (&'a Facts, Source)>,
) -> (Vec<Freshness>, Vantage) {
    let all: Vec<_> = all.collect();
    engine.ask(|machine, now| {
        let vantage = vantage(machine, now);
        (machine.judge_many(&all, &vantage.at), vantage)
    })
}

pub(crate) fn vantage(machine: &Machine, now: Moment) -> Vantage {
    Vantage {
        position: machine.position().unwrap_or_default(),
        at: machine.at(now),
    }
}

/// Here and now.
fn here(engine: &Engine) -> Vantage {
    engine.ask(vantage)
}

fn settle_entry(
    engine: &Engine,
    (freshness, revision): (Freshness, Revision),
    vantage: &Vantage,
    entry: Entry,
) -> Lookup {
    let version = entry.facts.source_version;
    let lookup = match freshness {
        Freshness::Fresh => {
            if engine.meter.hit_remote() {
                adaptive::read(engine, entry.facts.key.hash());
            }
            let found = found(&entry, Tier::Remote, vantage);
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
                position: vantage.position,
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
        let (freshness, vantage) = judge_at(engine, &entry.facts, source);
        match freshness {
            // Refreshed early, or another pod's clock had it expire before.
            Freshness::Fresh => {
                if engine.meter.hit_remote() {
                    adaptive::read(engine, entry.facts.key.hash());
                }
                let found = found(entry, Tier::Remote, &vantage);
                let entry = Entry::clone(entry);
                // Its term counts from here, for who misses the entry later.
                lease::marker_left(engine, &entry.facts.key, &marker);
                engine.l1.insert(entry);
                return Lookup::Hit(found);
            }
            Freshness::Stale(reason) => {
                let (entry, tier) = (entry.clone(), Tier::Remote);
                stale = Some(Stale {
                    entry,
                    reason,
                    tier,
                    position: vantage.position,
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
    if engine.meter.hit_stale() {
        adaptive::read(engine, stale.entry.facts.key.hash());
    }
    let flag = match engine.options.bugs.has(Bug::StaleUnflagged) {
        true => None,
        false => Some(stale.reason),
    };
    Found {
        stale: flag,
        position: stale.position,
        ..found_now(engine, &stale.entry, stale.tier)
    }
}

/// What a caller is told of an entry that was not judged, or long ago.
pub(crate) fn found_now(engine: &Engine, entry: &Entry, tier: Tier) -> Found {
    found(entry, tier, &here(engine))
}

/// What a caller is told of an entry that was judged from there.
pub(crate) fn found(entry: &Entry, tier: Tier, vantage: &Vantage) -> Found {
    let [age, ttl_left, stale_left] = vantage.at.times(entry.stored, &entry.facts);
    Found {
        payload: entry.payload.clone(),
        version: entry.version,
        etag: entry.etag,
        source_version: entry.facts.source_version,
        tags: entry.tags.clone(),
        tier,
        stale: None,
        position: vantage.position,
        age,
        ttl_left,
        stale_left,
        load_time: entry.load_time,
    }
}
