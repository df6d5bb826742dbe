//! A mix as applications have it: 95 reads to 5 writes, keys by Zipf's law.

use super::own::Own;
use super::reads::IN_FLIGHT;
use crate::contender::Contender;
use crate::goal::Row;
use crate::part::{Part, of};
use crate::rounds::{self, compared};
use crate::stores::{Store, Stores};
use crate::{Result, calls};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use unstale::{Cache, Lookup, SetOutcome};

const ROW: &str = "Mix, 95 reads to 5 writes";
const KEYS: usize = 100_000;
const BYTES: usize = 256;
/// Every so many calls one is a write.
const WRITE: u64 = 20;
/// Draws of keys that are made before anything is measured.
const DRAWS: usize = 1 << 18;
const WORDS: &str = "100,000 keys of 256 B, drawn by Zipf's law with exponent 0.99 (one sequence for all), all of which fit \
everywhere: ours runs with 256 MiB each of `--l1-bytes`, `--memory-bytes` and `--floor-bytes`, which all count in its RSS. \
Every twentieth call is a Set of a new value, the others are reads; of ours one may miss while a Set of its key is \
under way, which an acknowledged write makes sure of, or because it shares its floors with keys that were set; more than one \
read in fifty and a hundred more that miss end the run.";

/// With every number in flight.
pub(super) async fn part(sidecar: &str) -> Result<Part> {
    let room = [
        "--l1-bytes",
        "256MiB",
        "--memory-bytes",
        "256MiB",
        "--floor-bytes",
        "256MiB",
    ];
    let (own, servers) = (Own::alone(sidecar, &room).await?, Stores::start()?);
    let stores = servers.clients_over_sockets().await?;
    let keys = calls::keys("mixed", rounds::some(KEYS));
    calls::fill_with(&own.uds, &keys, &calls::value(BYTES)).await?;
    for store in &stores {
        fill(store, &keys).await?;
    }
    let drawn: Arc<[u32]> = draws(keys.len()).into();
    let mut all = vec![
        of_client("unstale, stream", &own, own.stream().await?, &drawn),
        of_client("unstale, Unix socket", &own, unary(&own).await?, &drawn),
    ];
    all.extend(stores.iter().map(|store| of_store(store, &drawn)));
    let mut part = Part::new("mix", "A mix", WORDS);
    for in_flight in IN_FLIGHT {
        let figures = compared(ROW, &all, in_flight, 1).await?;
        part.figures
            .extend(figures.into_iter().map(|figure| figure.bytes(BYTES)));
    }
    for in_flight in IN_FLIGHT {
        let of = |what| of(&part.figures, what, BYTES, in_flight);
        let name = format!("Mix, stream, {in_flight} in flight: operations a second");
        part.goals.push(Row::rates(
            &name,
            of("unstale, stream"),
            of("Redis, Unix socket"),
        ));
    }
    Ok(part)
}

async fn unary(own: &Own) -> Result<Cache> {
    let unary = Cache::builder()
        .endpoint(own.process.uds())
        .strict()
        .unary();
    Ok(unary.connect().await?)
}

async fn fill(store: &Store, keys: &[String]) -> Result<()> {
    for keys in keys.chunks(calls::BATCH) {
        let sets = keys.iter().map(|key| store.set(key, calls::value(BYTES)));
        futures::future::try_join_all(sets).await?;
    }
    Ok(())
}

/// Ranks by Zipf's law: the inverse of its distribution at evenly spread points,
/// in an order that is the same in every run.
fn draws(keys: usize) -> Vec<u32> {
    let weights = (1..=keys).map(|rank| (rank as f64).powf(-0.99));
    let mut sum = 0.0;
    let sums: Vec<f64> = weights
        .map(|weight| {
            sum += weight;
            sum
        })
        .collect();
    let golden = 0.618_033_988_749_894_9_f64;
    let draw = |at: usize| {
        let point = (at as f64 * golden).fract() * sum;
        sums.partition_point(|sum| *sum < point).min(keys - 1) as u32
    };
    (0..DRAWS).map(draw).collect()
}

fn key(drawn: &[u32], number: u64) -> String {
    format!("mixed/{}", drawn[number as usize % drawn.len()])
}

fn of_client(name: &str, own: &Own, cache: Cache, drawn: &Arc<[u32]>) -> Contender {
    let (drawn, misses) = (drawn.clone(), Arc::new(Misses::default()));
    Contender::new(name, &[own.process.pid()], move |number| {
        let (cache, key, misses) = (cache.clone(), key(&drawn, number), misses.clone());
        async move {
            if number % WRITE == 0 {
                return match cache.set(key, calls::numbered(BYTES, number)).await?.result {
                    SetOutcome::Stored { .. } => Ok(()),
                    other => Err(format!("not stored: {other:?}").into()),
                };
            }
            match cache.get(key).await?.result {
                Lookup::Hit(entry) if entry.value.as_bytes().len() == BYTES => misses.add(0),
                Lookup::Miss => misses.add(1),
                other => Err(format!("not a hit: {other:?}").into()),
            }
        }
    })
}

/// Reads, and those that missed.
#[derive(Default)]
struct Misses(AtomicU64, AtomicU64);

impl Misses {
    /// A read; an error once more than one in fifty have missed.
    fn add(&self, missed: u64) -> Result<()> {
        let reads = self.0.fetch_add(1, Ordering::Relaxed) + 1;
        let misses = self.1.fetch_add(missed, Ordering::Relaxed) + missed;
        match misses * 50 > reads + 5_000 {
            true => Err(format!("{misses} misses in {reads} reads").into()),
            false => Ok(()),
        }
    }
}

fn of_store(store: &Store, drawn: &Arc<[u32]>) -> Contender {
    let (name, pid, store, drawn) = (store.name.clone(), store.pid, store.clone(), drawn.clone());
    Contender::new(&name, &[pid], move |number| {
        let (store, key) = (store.clone(), key(&drawn, number));
        async move {
            if number % WRITE == 0 {
                return store.set(&key, calls::numbered(BYTES, number)).await;
            }
            match store.read(&key).await? {
                Some(value) if value.len() == BYTES => Ok(()),
                other => Err(format!("not a hit: {:?}", other.map(|value| value.len())).into()),
            }
        }
    })
}
