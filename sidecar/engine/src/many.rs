//! A Get of many keys: waits once for what the call demands, looks all of them
//! up in L1, asks the remote tier once for those it has to be asked for, and
//! then judges all of them at one position, as [`crate::read`] judges one.
//!
//! Guarantees: what is answered as fresh reflects that position, which is the
//! answer's, and nothing that covers it lies at or below. So it is safe to give
//! to Set for any of the keys, and to a later read.

use crate::coherence::{Facts, Freshness, Source};
use crate::engine::Engine;
use crate::entry::Entry;
use crate::error::Error;
use crate::look::{self, Brought, Lookup, Near, Stale};
use crate::position::Position;
use crate::read;
use crate::request::{Answer, Degraded, Found, Get, GetMany, GetOutcome};
use crate::tier;
use std::sync::Arc;

/// Where one key stands before all are judged.
#[expect(
    clippy::large_enum_variant,
    reason = "a box for every key of a batch costs more"
)]
enum Stand {
    /// Nothing is to be judged.
    Settled(Lookup),
    /// L1 holds it.
    Held(Arc<Entry>),
    /// The remote tier brought it; L1 holds what may be served stale.
    Brought(Brought, Option<Stale>),
}

impl Stand {
    fn facts(&self) -> Option<(&Facts, Source)> {
        match self {
            Self::Settled(_) => None,
            Self::Held(held) => Some((&held.facts, Source::L1)),
            Self::Brought(brought, _) => Some((brought.facts(), brought.source)),
        }
    }
}

pub(crate) async fn get_many(
    engine: &Engine,
    many: GetMany,
) -> Result<Answer<Vec<GetOutcome>>, Error> {
    if let Some(position) = many.min_position {
        Box::pin(read::reach(engine, position, many.deadline)).await?;
    }
    let gets = many.each();
    let mut degraded = Degraded::default();
    let is_current = match gets.first() {
        Some(get) => read::is_current(engine, get).await,
        None => true,
    };
    let (found, position) = if is_current {
        find(engine, &gets, &mut degraded).await
    } else {
        degraded.session = true;
        (gets.iter().map(|_| None).collect(), engine.position())
    };
    let outcomes = found.into_iter();
    Ok(Answer {
        result: outcomes.map(|f| read::outcome(engine, f, None)).collect(),
        position,
        degraded,
    })
}

async fn find(
    engine: &Engine,
    gets: &[Get],
    degraded: &mut Degraded,
) -> (Vec<Option<Found>>, Position) {
    let (near, position) = look_near(engine, gets);
    let asks = near.iter().any(|near| matches!(near, Near::Ask(_)));
    let (lookups, position) = match asks {
        true => Box::pin(ask(engine, gets, near)).await,
        false => (
            near.into_iter().map(|n| settled(engine, n)).collect(),
            position,
        ),
    };
    let each = gets.iter().zip(lookups);
    let found = each.map(|(get, lookup)| read::serve(engine, get, lookup, degraded));
    (found.collect(), position)
}

/// What L1 has of each, judged at one position.
fn look_near(engine: &Engine, gets: &[Get]) -> (Vec<Near>, Position) {
    let held: Vec<_> = gets.iter().map(|g| engine.l1.get(g.key.hash())).collect();
    let facts = held.iter().flatten().map(|held| (&held.facts, Source::L1));
    let (judged, position) = look::judge_all(engine, facts);
    let mut judged = judged.into_iter();
    let near = gets.iter().zip(held).map(|(get, held)| {
        let judged = held.map(|held| {
            let freshness = judged.next().expect("each that is held was judged");
            (held, (freshness, position))
        });
        match read::planted(engine, get) {
            Some(found) => Near::Settled(Lookup::Hit(found)),
            None => look::near(engine, &get.key, judged, || read::wants_stale(engine, get)),
        }
    });
    (near.collect(), position)
}

/// Asks the remote tier for what L1 does not settle, and judges all of it at
/// one position: what is in L1 may have been covered while the tier was asked.
async fn ask(engine: &Engine, gets: &[Get], near: Vec<Near>) -> (Vec<Lookup>, Position) {
    let stands = read_rest(engine, gets, near).await;
    let came = await_future(engine, gets, &stands).await;
    let facts = stands.iter().filter_map(Stand::facts);
    let (judged, position) = look::judge_all(engine, facts);
    let mut judged = judged.into_iter();
    let lookups = gets.iter().zip(stands).map(|(get, stand)| {
        let mut next = || judged.next().expect("each that has facts was judged");
        match stand {
            Stand::Settled(lookup) => lookup,
            Stand::Held(held) => {
                let judged = Some((held, (next(), position)));
                let wants_stale = || read::wants_stale(engine, get);
                settled(engine, look::near(engine, &get.key, judged, wants_stale))
            }
            Stand::Brought(brought, held) => match next() {
                Freshness::Future if !came => Lookup::unjudged().or_stale(held),
                freshness => brought.settle(engine, (freshness, position)).or_stale(held),
            },
        }
    });
    (lookups.collect(), position)
}

/// Nobody is asked any more.
fn settled(engine: &Engine, near: Near) -> Lookup {
    match near {
        Near::Hit(held, position) => look::hit(engine, &held, position),
        Near::Settled(lookup) => lookup,
        Near::Ask(stale) => Lookup::unjudged().or_stale(stale),
    }
}

async fn read_rest(engine: &Engine, gets: &[Get], near: Vec<Near>) -> Vec<Stand> {
    let asked = gets.iter().zip(&near);
    let asked = asked.filter(|(_, near)| matches!(near, Near::Ask(_)));
    let asked: Vec<_> = asked.map(|(get, _)| get.key.hash()).collect();
    let reads = tier::read_many(engine, &asked, gets[0].deadline).await;
    let mut reads = reads.into_iter();
    let stands = gets.iter().zip(near).map(|(get, near)| match near {
        Near::Hit(held, _) => Stand::Held(held),
        Near::Settled(lookup) => Stand::Settled(lookup),
        Near::Ask(held) => {
            let read = reads.next().expect("one answer per key that was asked for");
            match look::unpack(engine, &get.key, read) {
                Ok(brought) => Stand::Brought(brought, held),
                Err(missed) => Stand::Settled(Lookup::Miss(missed).or_stale(held)),
            }
        }
    });
    stands.collect()
}

/// Waits for the records of what is newer than what was processed here. False:
/// they did not come in time.
async fn await_future(engine: &Engine, gets: &[Get], stands: &[Stand]) -> bool {
    let facts = stands.iter().filter_map(Stand::facts);
    let (judged, _) = look::judge_all(engine, facts);
    if !judged.contains(&Freshness::Future) {
        return true;
    }
    read::barrier(engine, gets[0].deadline).await
}
