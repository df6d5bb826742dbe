//! A Get of many keys: waits once for what the call demands, looks all of them
//! up in L1, asks the remote tier once for those it has to be asked for, and
//! judges each as [`crate::read`] does.
//!
//! Guarantees: each key is answered as a Get of it would be that began and ended
//! with the call. The position is from before the first key was judged, so that
//! it is safe to give to Set for any of them.

use crate::engine::Engine;
use crate::error::Error;
use crate::look::{self, Lookup, Near};
use crate::read;
use crate::request::{Answer, Degraded, Found, Get, GetMany, GetOutcome};
use crate::tier;

pub(crate) async fn get_many(
    engine: &Engine,
    many: GetMany,
) -> Result<Answer<Vec<GetOutcome>>, Error> {
    if let Some(position) = many.min_position {
        read::reach(engine, position, many.deadline).await?;
    }
    let gets = many.each();
    let mut degraded = Degraded::default();
    let is_current = match gets.first() {
        Some(get) => read::is_current(engine, get).await,
        None => true,
    };
    let position = engine.position();
    let found = if is_current {
        find(engine, &gets, &mut degraded).await
    } else {
        degraded.session = true;
        gets.iter().map(|_| None).collect()
    };
    let outcomes = found.into_iter();
    Ok(Answer {
        result: outcomes.map(|f| read::outcome(engine, f, None)).collect(),
        position,
        degraded,
    })
}

async fn find(engine: &Engine, gets: &[Get], degraded: &mut Degraded) -> Vec<Option<Found>> {
    let near: Vec<_> = gets.iter().map(|get| look_near(engine, get)).collect();
    let asked = gets.iter().zip(&near);
    let asked = asked.filter(|(_, near)| matches!(near, Near::Ask(_)));
    let asked: Vec<_> = asked.map(|(get, _)| get.key.hash()).collect();
    let reads = match gets.first() {
        Some(get) => tier::read_many(engine, &asked, get.deadline).await,
        None => Vec::new(),
    };
    let mut reads = reads.into_iter();
    let mut all = Vec::with_capacity(gets.len());
    for (get, near) in gets.iter().zip(near) {
        let lookup = match near {
            Near::Settled(lookup) => lookup,
            Near::Ask(held) => {
                let read = reads.next().expect("one answer per key that was asked for");
                look::settle(engine, &get.key, (held, read), get.deadline).await
            }
        };
        all.push(read::serve(engine, get, lookup, degraded));
    }
    all
}

fn look_near(engine: &Engine, get: &Get) -> Near {
    match read::planted(engine, get) {
        Some(found) => Near::Settled(Lookup::Hit(found)),
        None => look::look_near(engine, &get.key, || read::wants_stale(engine, get)),
    }
}
