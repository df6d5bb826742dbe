//! A cache in virtual time, with one ttl for all or with learned ones.

use super::origin::Origin;
use super::workload::Workload;
use std::sync::Arc;
use std::time::Duration;
use unstale_engine::clock::Moment;
use unstale_engine::key::{Delimiters, NameHash};
use unstale_engine::policy::adaptive_ttl::{AdaptiveTtl, Around, Family, HITS, Learned, Samples};
use unstale_engine::request::Etag;

/// Virtual seconds; the first hour is told apart.
const LASTS: f64 = 6.0 * 3600.0;
const FIRST: f64 = 3600.0;

/// Which ttl entries get.
#[derive(Clone, Copy)]
pub(crate) enum Ttl {
    /// So many seconds.
    Fixed(f64),
    /// Learned, within this budget.
    Learned(f64),
}

/// What it came to.
pub(crate) struct Outcome {
    /// Loads of the origin per second.
    pub(crate) loads: f64,
    /// The share of reads that were stale.
    pub(crate) stale: f64,
    /// The same of the first hour.
    pub(crate) first: (f64, f64),
    pub(crate) families: Vec<Family>,
}

#[derive(Default, Clone, Copy)]
struct Counts {
    reads: f64,
    loads: f64,
    stale: f64,
}

impl Counts {
    fn told(self, seconds: f64) -> (f64, f64) {
        (self.loads / seconds, self.stale / self.reads)
    }
}

#[derive(Clone, Copy, Default)]
struct Entry {
    version: u64,
    until: f64,
}

/// The policy with what it learns by, as the engine drives it.
struct Policy {
    learned: Learned,
    samples: Samples,
    hits: u32,
    made: f64,
}

pub(crate) fn run(workload: &Workload, ttl: Ttl) -> Outcome {
    let mut origin = Origin::new(workload, LASTS / 2.0);
    let mut entries = vec![Entry::default(); origin.keys.len()];
    let mut policy = match ttl {
        Ttl::Fixed(_) => None,
        Ttl::Learned(budget) => Some(Policy::new(budget)),
    };
    let mut counts = [Counts::default(); 2];
    let mut now = 0.0;
    while now < LASTS {
        let (wait, number) = origin.next();
        now += wait;
        let counts = &mut counts[usize::from(now >= FIRST)];
        counts.reads += 1.0;
        let told = origin.until(number, now);
        let entry = &mut entries[number];
        if let Some(told) = told {
            // It was dropped then.
            entry.until = 0.0;
            if let Some(policy) = &policy {
                policy.samples.told(hash(number), moment(told));
            }
        }
        let key = &origin.keys[number];
        if now < entry.until {
            counts.stale += f64::from(u8::from(entry.version != key.version));
            if let Some(policy) = &mut policy {
                policy.hit(number);
            }
            continue;
        }
        counts.loads += 1.0;
        let ttl = match (ttl, &mut policy) {
            (_, Some(policy)) => policy.load(number, &key.name, key.version, now),
            (Ttl::Fixed(ttl) | Ttl::Learned(ttl), None) => ttl,
        };
        *entry = Entry {
            version: key.version,
            until: now + ttl,
        };
    }
    let [first, later] = counts;
    let (loads, stale) = later.told(LASTS - FIRST);
    let families = policy.map(|policy| policy.learned.families().cloned().collect());
    Outcome {
        loads,
        stale,
        first: first.told(FIRST),
        families: families.unwrap_or_default(),
    }
}

impl Policy {
    fn new(stale_budget: f64) -> Self {
        let config = AdaptiveTtl {
            min: Duration::from_secs(1),
            max: Duration::from_secs(3600),
            stale_budget,
            families: Vec::new(),
        };
        Self {
            learned: Learned::new(Arc::new(config), moment(0.0)),
            samples: Samples::default(),
            hits: 0,
            made: 0.0,
        }
    }

    fn hit(&mut self, number: usize) {
        self.hits += 1;
        if self.hits.is_multiple_of(HITS) {
            self.samples.read(hash(number), HITS);
        }
    }

    fn load(&mut self, number: usize, name: &str, version: u64, now: f64) -> f64 {
        let keep = Duration::from_secs(2 * 3600);
        let etag = Etag(u128::from(version));
        let seen = self.samples.stored(hash(number), etag, moment(now), keep);
        if now >= self.made + 1.0 {
            self.made = now;
            let plan = self.learned.plan(&AROUND);
            self.learned.apply(plan.made(), plan.seen(), moment(now));
        }
        let delimiters = Delimiters::default();
        let ttl = self.learned.ttl(name, &delimiters, seen, &AROUND);
        ttl.as_secs_f64()
    }
}

const AROUND: Around = Around {
    default_ttl: Duration::from_secs(300),
    max_ttl: Duration::from_secs(86_400),
    pods: 1,
};

fn moment(seconds: f64) -> Moment {
    Moment::new(Duration::from_secs_f64(seconds))
}

/// Spread as hashes of names are.
fn hash(number: usize) -> NameHash {
    let number = number as u64 + 1;
    let mix = |salt: u64| {
        (number ^ salt)
            .wrapping_mul(0x9E37_79B9_7F4A_7C15)
            .rotate_left(31)
            .wrapping_mul(salt | 1)
    };
    NameHash(u128::from(mix(0xD6E8_FEB8_6659_FD93)) << 64 | u128::from(mix(0xA076_1D64_78BD_642F)))
}
