//! The table of faults and the figures of a run.

use crate::converge::Converged;
use crate::faults::Kind;
use crate::fleet::Fleet;
use crate::plan;
use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

/// What a run must have at least: faults at each session ttl.
const FAULTS: [(Duration, u64); 2] = [(plan::SHORT, 150), (plan::DEFAULT, 10)];
const OVERLAPPED: u64 = 100;
const OPERATIONS: u64 = 1_000_000;

/// What was done to all fleets of a run.
#[derive(Default)]
pub(crate) struct Report {
    faults: Mutex<BTreeMap<Kind, (u64, u64)>>,
    /// How many at each session ttl.
    by_ttl: Mutex<BTreeMap<Duration, u64>>,
    phases: Mutex<Vec<String>>,
    begun: AtomicU64,
    running: AtomicU64,
    overlapped: AtomicU64,
    operations: Mutex<u64>,
    bad: Mutex<u64>,
}

/// What was when a fault began.
pub(crate) struct Mark {
    begun: u64,
    others: u64,
}

impl Report {
    /// A fault begins; [`Report::over`] takes the mark.
    pub(crate) fn begins(&self) -> Mark {
        let begun = self.begun.fetch_add(1, SeqCst);
        let others = self.running.fetch_add(1, SeqCst);
        Mark { begun, others }
    }

    /// A fault of this kind is over, or none: it did not come about; of a fleet
    /// with this session ttl, in which `operations` were done meanwhile.
    pub(crate) fn over(&self, mark: Mark, kind: Option<Kind>, ttl: Duration, operations: u64) {
        self.running.fetch_sub(1, SeqCst);
        let Some(kind) = kind else { return };
        let joined = self.begun.load(SeqCst) > mark.begun + 1;
        if joined || mark.others > 0 {
            self.overlapped.fetch_add(1, SeqCst);
        }
        *self.by_ttl().entry(ttl).or_default() += 1;
        let mut faults = self.faults.lock().expect("no panic");
        let row = faults.entry(kind).or_default();
        row.0 += 1;
        row.1 += operations;
    }

    /// Faults so far.
    pub(crate) fn faults(&self) -> u64 {
        let faults = self.faults.lock().expect("no panic");
        faults.values().map(|row| row.0).sum()
    }

    fn by_ttl(&self) -> MutexGuard<'_, BTreeMap<Duration, u64>> {
        self.by_ttl.lock().expect("no panic")
    }

    /// A fleet's life is over.
    pub(crate) fn phase(&self, name: &str, fleet: &Fleet, converged: &[Converged]) {
        let (history, checker) = (&fleet.history, &fleet.checker);
        let operations = history.operations();
        let most = |of: fn(&Converged) -> Duration| {
            let most = converged.iter().map(of).max().unwrap_or_default();
            format!("{:.1} s", most.as_secs_f64())
        };
        let line = format!(
            "{name}: {operations} operations, {} hits, {} FLEET OK, {} stale, {} wrong-key, \
             {} times converged (log back within {}, fleet within {} of that; D {:?}), \
             {} epochs without a loss",
            history.hits.load(Relaxed),
            history.fleets.load(Relaxed),
            checker.stale(),
            checker.wrong_key(),
            converged.len(),
            most(|c| c.log),
            most(|c| c.fleet),
            checker.bound(),
            checker.unexpected().len(),
        );
        println!("{line}");
        let linear = checker.registers().tally();
        println!("{name}: searched for an order (I-8): {linear:?}");
        self.phases.lock().expect("no panic").push(line);
        *self.operations.lock().expect("no panic") += operations;
        *self.bad.lock().expect("no panic") += checker.broken().len() as u64;
    }

    /// Promises broken.
    pub(crate) fn bad(&self) -> u64 {
        *self.bad.lock().expect("no panic")
    }

    /// Operations of all fleets.
    pub(crate) fn operations(&self) -> u64 {
        *self.operations.lock().expect("no panic")
    }

    /// What a whole run must have and this one lacks.
    pub(crate) fn lacks(&self) -> Vec<String> {
        let faults = self.faults.lock().expect("no panic");
        let never = Kind::all().filter(|kind| !faults.contains_key(kind));
        let mut lacks: Vec<_> = never
            .map(|kind| format!("{kind:?} never happened"))
            .collect();
        drop(faults);
        let few = [
            (self.operations(), OPERATIONS, "operations"),
            (self.overlapped.load(SeqCst), OVERLAPPED, "overlaps"),
        ];
        let few = few.iter().filter(|(had, needed, _)| had < needed);
        lacks.extend(few.map(|(had, needed, what)| format!("{had} {what} of {needed}")));
        let by_ttl = self.by_ttl();
        let had = |ttl| by_ttl.get(&ttl).copied().unwrap_or_default();
        let few = FAULTS.map(|(ttl, needed)| (ttl, had(ttl), needed));
        let few = few.iter().filter(|(_, had, needed)| had < needed);
        lacks.extend(few.map(|(ttl, had, needed)| format!("{had} faults of {needed} at {ttl:?}")));
        lacks
    }

    /// Prints everything.
    pub(crate) fn print(&self) {
        println!(
            "\n{:<22} {:>6} {:>22}",
            "fault", "count", "operations meanwhile"
        );
        for (kind, (count, operations)) in self.faults.lock().expect("no panic").iter() {
            println!("{:<22} {count:>6} {operations:>22}", format!("{kind:?}"));
        }
        println!();
        for line in self.phases.lock().expect("no panic").iter() {
            println!("{line}");
        }
        let (faults, operations, bad) = (self.faults(), self.operations(), self.bad());
        let overlapped = self.overlapped.load(SeqCst);
        println!("faults at each session ttl: {:?}", self.by_ttl());
        println!(
            "{faults} faults, {overlapped} of them while another was under way; \
             {operations} operations, {bad} promises broken"
        );
    }
}
