//! Many schedules on two threads, and what they showed together. Each one
//! depends on its seed alone.

use crate::schedule::{self, Outcome};
use crate::table::Table;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

const THREADS: usize = 2;

/// What all schedules showed together.
#[derive(Default)]
pub(crate) struct Sum {
    pub(crate) schedules: u64,
    pub(crate) reads: u64,
    pub(crate) hits: u64,
    /// Reads that were excused, and schedules with such.
    pub(crate) excused: (u64, u64),
    pub(crate) operations: u64,
    pub(crate) table: Table,
    pub(crate) traces: BTreeMap<u64, u64>,
}

impl Sum {
    fn add(&mut self, seed: u64, outcome: &Outcome, keep_trace: bool) {
        self.schedules += 1;
        self.reads += outcome.reads;
        self.hits += outcome.hits;
        self.excused.0 += outcome.excused;
        self.excused.1 += u64::from(outcome.excused > 0);
        self.operations += outcome.operations;
        self.table.add(&outcome.table);
        if keep_trace {
            self.traces.insert(seed, outcome.trace);
        }
    }
}

/// Runs these seeds without bugs until all are done or one fails; the traces of
/// every `sample`th are kept. The least seed that failed is returned: all below
/// it have passed.
pub(crate) fn all(seeds: Range<u64>, sample: u64) -> (Sum, Option<u64>) {
    let sum = Mutex::new(Sum::default());
    let failed = first(seeds, |seed| {
        let outcome = schedule::run(seed, None);
        let mut sum = sum.lock().expect("no panic under the lock");
        sum.add(seed, &outcome, seed % sample == 0);
        if sum.schedules % 10_000 == 0 {
            println!("{} schedules, {} reads", sum.schedules, sum.reads);
        }
        outcome.violation.is_some()
    });
    (sum.into_inner().expect("no panic under the lock"), failed)
}

/// The least seed in `seeds` for which `hit` holds.
pub(crate) fn first(seeds: Range<u64>, hit: impl Fn(u64) -> bool + Sync) -> Option<u64> {
    let (until, next) = (seeds.end, AtomicU64::new(seeds.start));
    let found = AtomicU64::new(u64::MAX);
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= until || seed > found.load(Ordering::Relaxed) {
                return;
            }
            if hit(seed) {
                found.fetch_min(seed, Ordering::Relaxed);
            }
        }
    };
    std::thread::scope(|scope| (0..THREADS).for_each(|_| drop(scope.spawn(work))));
    let found = found.into_inner();
    (found != u64::MAX).then_some(found)
}
