//! A Get of many keys: waits once for what the call demands, looks all of them
//! up in L1, asks the remote tier once for those it has to be asked for, and
//! then judges all of them at one position, as [`crate::read`] judges one.
//!
//! Guarantees: what is answered as fresh reflects that position, which is the
//! answer's, and nothing that this pod has read covers it at or below. So it is
//! safe to give to Set here for any of the keys, and to a later read.

use crate::coherence::{Facts, Freshness, Source};
use crate::engine::Engine;
use crate::entry::Entry;
use crate::error::Error;
use crate::key::Key;
use crate::look::{self, Brought, Lookup, Missed, Near, Stale, Vantage};
use crate::position::Position;
use crate::read;
use crate::request::{Answer, Degraded, Demand, Found, GetMany, GetOutcome, Level};
use crate::tier;
use std::sync::Arc;

/// Where one key stands before all are judged.
#[expect(
    clippy::large_enum_variant,
    reason = "a box for every key of a batch costs more"
)]
enum Stand {
    /// Nothing is to be judged.
    Missed(Box<Missed>, Option<Box<Stale>>),
    /// L1 holds it.
    Held(Arc<Entry>),
    /// The remote tier brought it; L1 holds what may be served stale.
    Brought(Brought, Option<Box<Stale>>),
}

impl Stand {
    /// What is to be judged: itself, then what L1 holds beside it.
    fn facts(&self) -> impl Iterator<Item = (&Facts, Source)> {
        let (itself, beside) = match self {
            Self::Missed(_, beside) => (None, beside.as_ref()),
            Self::Held(held) => (Some((&held.facts, Source::L1)), None),
            Self::Brought(brought, beside) => {
                (Some((brought.facts(), brought.source)), beside.as_ref())
            }
        };
        let beside = beside.map(|held| (&held.entry.facts, Source::L1));
        itself.into_iter().chain(beside)
    }
}

/// A read of many that L1 alone does not answer.
pub struct GetManyFar {
    many: GetMany,
    /// What looking in L1 came to; none: something has to be waited for before.
    near: Option<Vec<Near>>,
}

/// What is asked for, of each key the same.
struct Ask<'a> {
    engine: &'a Engine,
    keys: &'a [Key],
    demand: Demand,
    /// Planted bugs only: what is answered without judging.
    planted: Vec<Option<Found>>,
}

/// Answers at once if nothing has to be waited for, as [`read::get_near`] does.
pub(crate) fn get_many_near(
    engine: &Engine,
    many: GetMany,
) -> Result<Answer<Vec<GetOutcome>>, GetManyFar> {
    let waits = many.min_position.is_some()
        || many.max_staleness.is_some()
        || many.level == Level::Strong
        || read::plants(engine);
    if waits {
        return Err(GetManyFar { many, near: None });
    }
    let ask = Ask::new(engine, &many);
    match ask.look() {
        Ok(answer) => Ok(answer),
        Err(near) => {
            drop(ask);
            let near = Some(near);
            Err(GetManyFar { many, near })
        }
    }
}

/// Waits for the rest.
pub(crate) async fn get_many_far(
    engine: &Engine,
    far: GetManyFar,
) -> Result<Answer<Vec<GetOutcome>>, Error> {
    let GetManyFar { many, near } = far;
    if let Some(near) = near {
        return Ok(Ask::new(engine, &many).far(near).await);
    }
    if let Some(position) = many.min_position {
        read::reach(engine, position, many.deadline).await?;
    }
    let is_current = many.keys.is_empty() || read::is_current(engine, &many.demand()).await;
    let ask = Ask::new(engine, &many);
    if !is_current {
        return Ok(ask.not_current());
    }
    match ask.look() {
        Ok(answer) => Ok(answer),
        Err(near) => Ok(ask.far(near).await),
    }
}

impl<'a> Ask<'a> {
    fn new(engine: &'a Engine, many: &'a GetMany) -> Self {
        let demand = many.demand();
        Self {
            engine,
            keys: &many.keys,
            demand,
            planted: read::planted_all(engine, &many.keys, &demand),
        }
    }

    /// The answer if L1 has it, or what L1 has.
    fn look(&self) -> Result<Answer<Vec<GetOutcome>>, Vec<Near>> {
        let (near, vantage) = self.look_near();
        if near.iter().any(|near| matches!(near, Near::Ask(_))) {
            return Err(near);
        }
        let lookups = near.into_iter().map(|near| self.settled(near, &vantage));
        Ok(self.answer(lookups, vantage.position))
    }

    /// Nothing may be called current: all are missing.
    fn not_current(&self) -> Answer<Vec<GetOutcome>> {
        let missing = |_| read::outcome(self.engine, None, None);
        Answer {
            result: self.keys.iter().map(missing).collect(),
            position: self.engine.position(),
            degraded: Degraded {
                remote: false,
                session: true,
            },
        }
    }

    /// What L1 has of each, judged from one place.
    fn look_near(&self) -> (Vec<Near>, Vantage) {
        let held = self.keys.iter().map(|key| self.engine.l1.get(key.hash()));
        let held: Vec<_> = held.collect();
        let facts = held.iter().flatten().map(|held| (&held.facts, Source::L1));
        let (judged, vantage) = look::judge_all(self.engine, facts);
        let mut judged = judged.into_iter();
        let near = self.keys.iter().zip(held).map(|(key, held)| {
            let judged = held.map(|held| {
                let freshness = judged.next().expect("each that is held was judged");
                (held, freshness, vantage)
            });
            self.near_of(key, judged)
        });
        (near.collect(), vantage)
    }

    fn near_of(&self, key: &Key, judged: Option<(Arc<Entry>, Freshness, Vantage)>) -> Near {
        let wants_stale = || read::wants_stale(self.engine, key, &self.demand);
        look::near(self.engine, key, judged, wants_stale)
    }

    /// Asks the remote tier for what L1 does not settle, and judges all of it
    /// from one place: what is in L1 may have been covered while the tier was
    /// asked.
    async fn far(&self, near: Vec<Near>) -> Answer<Vec<GetOutcome>> {
        let stands = self.read_rest(near).await;
        let judge = || look::judge_all(self.engine, stands.iter().flat_map(Stand::facts));
        let (mut judged, mut vantage) = judge();
        let mut came = true;
        if judged.contains(&Freshness::Future) {
            // The records of what is newer than what was processed here.
            came = read::barrier(self.engine, self.demand.deadline).await;
            (judged, vantage) = judge();
        }
        let mut judged = judged.into_iter();
        let mut next = || judged.next().expect("each that has facts was judged");
        let lookups = self.keys.iter().zip(stands).map(|(key, stand)| {
            let (lookup, beside) = match stand {
                Stand::Missed(missed, beside) => (Lookup::Miss(missed), beside),
                Stand::Held(held) => {
                    let near = self.near_of(key, Some((held, next(), vantage)));
                    (self.settled(near, &vantage), None)
                }
                Stand::Brought(brought, beside) => (
                    self.settled_brought(brought, (next(), came), &vantage),
                    beside,
                ),
            };
            lookup.or_stale(beside.and_then(|held| held.again(next(), &vantage)))
        });
        self.answer(lookups, vantage.position)
    }

    fn settled_brought(
        &self,
        brought: Brought,
        (freshness, came): (Freshness, bool),
        vantage: &Vantage,
    ) -> Lookup {
        match freshness {
            Freshness::Future if !came => Lookup::unjudged(),
            freshness => brought.settle(self.engine, freshness, vantage),
        }
    }

    async fn read_rest(&self, near: Vec<Near>) -> Vec<Stand> {
        let asked = self.keys.iter().zip(&near);
        let asked = asked.filter(|(_, near)| matches!(near, Near::Ask(_)));
        let asked: Vec<_> = asked.map(|(key, _)| key.hash()).collect();
        let reads = tier::read_many(self.engine, &asked, self.demand.deadline).await;
        let mut reads = reads.into_iter();
        let mut prefixes = tier::prefixes(self.engine);
        let stands = self.keys.iter().zip(near).map(|(key, near)| match near {
            Near::Hit(held) => Stand::Held(held),
            Near::Missed(mut missed) => {
                let beside = missed.stale.take().map(Box::new);
                Stand::Missed(missed, beside)
            }
            Near::Ask(held) => {
                let read = reads.next().expect("one answer per key that was asked for");
                match look::unpack(self.engine, key, read, &mut prefixes) {
                    Ok(brought) => Stand::Brought(brought, held),
                    Err(missed) => Stand::Missed(missed, held),
                }
            }
        });
        stands.collect()
    }

    /// Nobody is asked any more.
    fn settled(&self, near: Near, vantage: &Vantage) -> Lookup {
        match near {
            Near::Hit(held) => look::hit(self.engine, &held, vantage),
            Near::Missed(missed) => Lookup::Miss(missed),
            Near::Ask(stale) => Lookup::unjudged().or_stale(stale),
        }
    }

    fn answer(
        &self,
        lookups: impl Iterator<Item = Lookup>,
        position: Position,
    ) -> Answer<Vec<GetOutcome>> {
        let mut degraded = Degraded::default();
        let each = self.keys.iter().zip(lookups).enumerate();
        let outcomes = each.map(|(at, (key, lookup))| {
            let planted = self.planted.get(at).cloned().flatten();
            let serve = || read::serve(self.engine, key, &self.demand, lookup, &mut degraded);
            read::outcome(self.engine, planted.or_else(serve), None)
        });
        Answer {
            result: outcomes.collect(),
            position,
            degraded,
        }
    }
}
