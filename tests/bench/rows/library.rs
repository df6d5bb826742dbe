//! A library cache with a backplane: no process beside the application, and no
//! promise that an invalidation has reached anybody.

use crate::figure::Figure;
use crate::part::Part;
use crate::samples::Samples;
use crate::scripts::Client;
use crate::{ROUNDS, Result, rounds};

/// Calls of one kind in one round.
const CALLS: usize = 300;
const WORDS: &str = "bentocache (Node) in two processes: L1 in each, Redis behind it, Redis' channels as the backplane. An L1 hit \
makes no trip at all. A deletion is told to the others without an answer: one that is lost leaves them stale until the ttl \
ends.";

/// L1 hits, hits of Redis, stores, and deletions until the other process has them.
pub(super) async fn part() -> Result<Part> {
    let script = std::env::var("UNSTALE_BENCH_NODE");
    let script = script.map_err(|_| "tests/bench/run installs what it needs")?;
    let redis = unstale_tests::Redis::start();
    let url = redis.url();
    let mut one = Client::start("node", &[&script, &url])?;
    let mut other = Client::start("node", &[&script, &url])?;
    let calls = rounds::some(CALLS);
    let mut samples: [Samples; 4] = Default::default();
    for round in 0..=ROUNDS {
        let hits = one.measure("get", calls)?;
        let stores = one.measure("set", calls)?;
        let far = other.measure("far", calls)?;
        let applied = applied(&mut one, &mut other, calls)?;
        if round > 0 {
            let [a, b, c, d] = &mut samples;
            a.extend(hits);
            b.extend(far);
            c.extend(stores);
            d.extend(applied);
        }
    }
    let mut part = Part::new("library", "A library with a backplane", WORDS);
    let rows = [
        "Get, L1 hit, in process",
        "Get, 1 KiB in Redis",
        "Set",
        "Publish to apply",
    ];
    let figures = rows
        .iter()
        .zip(&samples)
        .map(|(row, samples)| Figure::of(row, "bentocache", samples));
    part.figures.extend(figures);
    Ok(part)
}

/// From a deletion in one process until the other has applied it.
fn applied(one: &mut Client, other: &mut Client, calls: usize) -> Result<Vec<std::time::Duration>> {
    other.measure("forget", 1)?;
    let begins = one.measure("delete", calls)?;
    let seen = other.measure("seen", calls)?;
    let pairs = begins.into_iter().zip(seen);
    Ok(pairs
        .map(|(begin, seen)| seen.saturating_sub(begin))
        .collect())
}
