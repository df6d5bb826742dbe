//! The hit ratio of L1, and what it takes in memory.
//!
//! `bench SIDECAR NATS_SERVER ratio [memory|hits]` prints both and writes them into
//! docs/scale.md. L1 is driven through the shipped engine, with its own weigher
//! and bound (`l1.rs`); moka alone, LRU and S3-FIFO (`rivals.rs`) get the same
//! accesses and as many weighed bytes. Nothing is timed here: another run gives
//! the same figures but for the random seeds of moka's sketch.

mod l1;
mod memory;
mod rivals;
mod traces;

use crate::Result;
use crate::scale::page;
use traces::{Access, Trace};

/// Cache sizes, as parts of what all keys of the trace weigh.
const SHARES: [(&str, f64); 3] = [("0.1 %", 0.001), ("1 %", 0.01), ("10 %", 0.1)];
/// L1 may be below moka alone by so much.
const GOAL_POINTS: f64 = 1.0;

/// What is measured: a bounded cache that loads what it misses.
pub(crate) trait Cache {
    /// Reads, and stores after a miss; whether it was a hit.
    fn access(&mut self, access: Access, weight: u32) -> bool;
}

/// The parts that are named, or both.
pub(crate) fn run(sidecar: &str, parts: &[&str]) -> Result<()> {
    let wanted = |part| parts.is_empty() || parts.contains(&part);
    if wanted("memory") {
        page::write("bytes per entry", &memory::table(sidecar)?)?;
    }
    match wanted("hits") {
        true => page::write("hit ratio", &hit_ratios()?),
        false => Ok(()),
    }
}

fn hit_ratios() -> Result<String> {
    let mut table = String::from(
        "| accesses | size | L1 | moka alone | LRU | S3-FIFO | L1 less moka | goal |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    let engine = l1::Weighing::new()?;
    for trace in traces::all() {
        for size in SHARES {
            table += &row(&engine, &trace, size)?;
        }
    }
    Ok(table)
}

fn row(engine: &l1::Weighing, trace: &Trace, (share, part): (&str, f64)) -> Result<String> {
    let weight = |access: &Access| engine.weight(access);
    let all: u64 = trace.keys.iter().map(|key| u64::from(weight(key))).sum();
    // Sums of weights are far below 2^52.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss
    )]
    let bound = (all as f64 * part) as u64;
    let entries = trace.keys.len();
    let mut ratios = [0.0; 4];
    let mut caches: [Box<dyn Cache>; 4] = [
        Box::new(engine.l1(bound)?),
        Box::new(rivals::Moka::new(bound)),
        Box::new(rivals::Lru::new(bound)),
        Box::new(rivals::S3Fifo::new(bound, entries)),
    ];
    for (ratio, cache) in ratios.iter_mut().zip(&mut caches) {
        *ratio = hits(cache.as_mut(), trace, weight);
    }
    let [l1, moka, lru, s3_fifo] = ratios;
    let less = moka - l1;
    let goal = match less <= GOAL_POINTS {
        true => "≤ 1 point",
        false => "≤ 1 point, **missed**",
    };
    let name = &trace.name;
    Ok(format!(
        "| {name} | {share} | {l1:.1} % | {moka:.1} % | {lru:.1} % | {s3_fifo:.1} % | {less:.1} | {goal} |\n"
    ))
}

/// The hits of the second half in percent; the first one warms up.
fn hits(cache: &mut dyn Cache, trace: &Trace, weight: impl Fn(&Access) -> u32) -> f64 {
    let half = trace.accesses.len() / 2;
    let mut hits = 0_u32;
    for (at, key) in trace.accesses.iter().enumerate() {
        let access = trace.keys[*key as usize];
        let hit = cache.access(access, weight(&access));
        hits += u32::from(hit && at >= half);
    }
    let counted = u32::try_from(trace.accesses.len() - half).unwrap_or(u32::MAX);
    100.0 * f64::from(hits) / f64::from(counted)
}
