//! The accesses: Zipf, scans, a loop, and clusters of Twitter as published.
//!
//! All are generated from fixed seeds. Those of Twitter's clusters follow Yang
//! et al., "A large scale analysis of hundreds of in-memory cache clusters at
//! Twitter", OSDI '20, with the figures of its authors for March 2020
//! (github.com/twitter/cache-trace, stat/2020Mar.md): Zipf alpha, mean sizes of
//! key and value, and the share of keys that are read once. Sizes within a
//! cluster, and that popularity does not change over time, are assumed here.

use fastrand::Rng;

/// Keys of a trace, less those that are read once.
const KEYS: u32 = 100_000;
/// Accesses of a trace.
const ACCESSES: usize = 1_000_000;
/// Bytes of keys and values, unless published otherwise.
const SIZES: (u32, u32) = (16, 256);

/// A key, as far as a cache is concerned.
#[derive(Clone, Copy)]
pub(crate) struct Access {
    /// Which it is.
    pub(crate) key: u32,
    /// Bytes of its name.
    pub(crate) key_bytes: u32,
    /// Bytes of its value.
    pub(crate) value_bytes: u32,
}

/// Accesses in their order.
pub(crate) struct Trace {
    /// What they are.
    pub(crate) name: String,
    /// Every key that occurs.
    pub(crate) keys: Vec<Access>,
    /// Places in `keys`.
    pub(crate) accesses: Vec<u32>,
}

/// What is published of a cluster.
struct Cluster {
    number: u32,
    alpha: f64,
    once: f64,
    sizes: (u32, u32),
}

const CLUSTERS: [Cluster; 4] = [
    cluster(4, 1.1004, 0.2933, (67, 2439)),
    cluster(19, 0.735, 0.0746, (42, 101)),
    cluster(29, 1.2323, 0.2304, (36, 799)),
    cluster(34, 1.1401, 0.0026, (33, 322)),
];

const fn cluster(number: u32, alpha: f64, once: f64, sizes: (u32, u32)) -> Cluster {
    Cluster {
        number,
        alpha,
        once,
        sizes,
    }
}

/// All of them, one after the other.
pub(crate) fn all() -> impl Iterator<Item = Trace> {
    let zipf = [0.7, 0.9, 1.0].map(|alpha| move || zipf(alpha));
    let generated = zipf.into_iter().map(|make| make());
    generated
        .chain(
            [scans as fn() -> Trace, cycle]
                .into_iter()
                .map(|make| make()),
        )
        .chain(CLUSTERS.iter().map(twitter))
}

fn zipf(alpha: f64) -> Trace {
    let mut ranks = Ranks::new(KEYS, alpha, 1);
    let accesses = (0..ACCESSES).map(|_| ranks.next()).collect();
    trace(format!("Zipf {alpha:.1}"), accesses)
}

/// Every second access is one of a scan through ten times as many keys, none of
/// which comes again before its scan begins anew.
fn scans() -> Trace {
    let mut ranks = Ranks::new(KEYS, 0.9, 2);
    let scanned = (KEYS..KEYS * 11).cycle();
    let accesses = scanned.take(ACCESSES / 2);
    let accesses = accesses.flat_map(|scanned| [ranks.next(), scanned]);
    trace("Zipf 0.9, half of it scans".into(), accesses.collect())
}

/// All keys in turn, which gives an LRU nothing.
fn cycle() -> Trace {
    let accesses = (0..KEYS / 4).cycle().take(ACCESSES);
    trace("loop".into(), accesses.collect())
}

fn twitter(cluster: &Cluster) -> Trace {
    let mut ranks = Ranks::new(KEYS, cluster.alpha, 3);
    let mut rng = Rng::with_seed(4);
    // Of all keys that occur so many do once: those of the Zipf are the others.
    let seen = (0..ACCESSES).map(|_| ranks.next()).collect::<Vec<_>>();
    let distinct = distinct(&seen);
    let once = f64::from(distinct) * cluster.once / (1.0 - cluster.once);
    let chance = once / f64::from(u32::try_from(ACCESSES).unwrap_or(u32::MAX));
    let mut next_once = KEYS;
    let accesses = seen.into_iter().map(|key| {
        let once = rng.f64() < chance;
        next_once += u32::from(once);
        if once { next_once } else { key }
    });
    let name = format!("Twitter-like, cluster {}", cluster.number);
    let mut trace = trace(name, accesses.collect());
    let (key_bytes, mean) = cluster.sizes;
    for key in &mut trace.keys {
        key.key_bytes = key_bytes;
        // Exponential around the mean: many small ones, few large ones.
        let value = -rng.f64().max(1e-9).ln() * f64::from(mean);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let value = value as u32;
        key.value_bytes = value;
    }
    trace
}

fn distinct(keys: &[u32]) -> u32 {
    let mut keys = keys.to_vec();
    keys.sort_unstable();
    keys.dedup();
    u32::try_from(keys.len()).unwrap_or(u32::MAX)
}

/// Numbers the keys that occur from 0.
fn trace(name: String, mut accesses: Vec<u32>) -> Trace {
    let mut places = std::collections::HashMap::new();
    let mut keys = Vec::new();
    for access in &mut accesses {
        let place = places.entry(*access).or_insert_with(|| {
            let key = u32::try_from(keys.len()).unwrap_or(u32::MAX);
            let (key_bytes, value_bytes) = SIZES;
            keys.push(Access {
                key,
                key_bytes,
                value_bytes,
            });
            key
        });
        *access = *place;
    }
    Trace {
        name,
        keys,
        accesses,
    }
}

/// Draws ranks, the first of which is the most frequent.
struct Ranks {
    sums: Vec<f64>,
    rng: Rng,
}

impl Ranks {
    fn new(count: u32, alpha: f64, seed: u64) -> Self {
        let mut sum = 0.0;
        let sums = (1..=count).map(|rank| {
            sum += f64::from(rank).powf(-alpha);
            sum
        });
        Self {
            sums: sums.collect(),
            rng: Rng::with_seed(seed),
        }
    }

    fn next(&mut self) -> u32 {
        let all = self.sums.last().copied().unwrap_or_default();
        let drawn = self.rng.f64() * all;
        let rank = self.sums.partition_point(|sum| *sum < drawn);
        u32::try_from(rank).unwrap_or(u32::MAX)
    }
}
