//! The parts of the run, one kind of work per file.

mod arrivals;
mod batches;
mod delivery;
mod library;
mod loads;
mod log;
mod mix;
mod nats;
mod own;
mod reads;
mod redis_benchmark;
mod remote;
mod sdk;
mod stampede;
mod start;
mod swaps;
mod writes;

pub(crate) use own::Own;
pub(crate) use reads::hit;

use crate::part::Part;
use crate::{Error, Result};

/// What is measured, and what it needs.
pub(crate) struct Programs<'a> {
    pub(crate) sidecar: &'a str,
    pub(crate) nats: &'a str,
}

/// The names of all parts, in the order of the table.
const PARTS: [&str; 14] = [
    "reads",
    "batches",
    "writes",
    "swaps",
    "loads",
    "remote",
    "log",
    "delivery",
    "stampede",
    "mix",
    "start",
    "sdk",
    "library",
    "redis-benchmark",
];

/// These parts; all when none is named.
pub(crate) fn named(names: &[&str]) -> Result<Vec<&'static str>> {
    if names.is_empty() {
        return Ok(PARTS.to_vec());
    }
    let known = |name: &&str| PARTS.iter().find(|part| *part == name).copied();
    let unknown = |name: &str| format!("no part {name:?}; there are {}", PARTS.join(", "));
    let all = names
        .iter()
        .map(|name| known(name).ok_or(Error::from(unknown(name))));
    all.collect()
}

/// Whether all of them are named.
pub(crate) fn is_all(names: &[&str]) -> bool {
    names.len() == PARTS.len()
}

/// Measures one part.
pub(crate) async fn part(name: &str, programs: &Programs<'_>) -> Result<Part> {
    let Programs { sidecar, nats } = *programs;
    match name {
        "reads" => reads::part(sidecar).await,
        "batches" => batches::part(sidecar).await,
        "writes" => writes::part(sidecar, nats).await,
        "swaps" => swaps::part(sidecar, nats).await,
        "loads" => loads::part(sidecar, nats).await,
        "remote" => remote::part(sidecar, nats).await,
        "log" => log::part(sidecar, nats).await,
        "delivery" => delivery::part(sidecar, nats).await,
        "stampede" => stampede::part(sidecar, nats).await,
        "mix" => mix::part(sidecar).await,
        "start" => start::part(sidecar, nats).await,
        "sdk" => sdk::part(sidecar).await,
        "library" => library::part().await,
        "redis-benchmark" => redis_benchmark::part(),
        other => Err(format!("no part {other:?}").into()),
    }
}
