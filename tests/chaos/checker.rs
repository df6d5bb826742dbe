//! The checker of what reads must satisfy (unstale-checker, which `unstale
//! verify` uses too), shared by the clients of all pods, and given the time.
//! A call's time is taken before it, an answer's after it, so that no rule binds
//! earlier than it may. Beside it the registers, keys that are written rather
//! than loaded (clients/swap.rs).

pub(crate) use unstale_checker::{Reached, Required, Violation};

use crate::clients::REGISTERS;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};
use unstale_checker::Names;
use unstale_checker::linear::{Registers, Verdict};

/// Keys of the origin.
pub(crate) const KEYS: usize = 64;
/// Every eighth key carries the same tag and begins with the same prefix.
pub(crate) const GROUPS: usize = 8;

/// The name of a key.
pub(crate) fn name(key: usize) -> String {
    names().key(key)
}

fn names() -> Names {
    Names::new("", KEYS, GROUPS)
}

/// What a call on a pod began under.
pub(crate) struct Began {
    pub(crate) pod: usize,
    pub(crate) at: Instant,
    under: unstale_checker::Began,
}

/// The origin and what was promised of it.
pub(crate) struct Checker {
    epoch: Instant,
    bound: Duration,
    rules: Mutex<unstale_checker::Checker>,
    registers: Mutex<Registers>,
}

impl Checker {
    /// For so many pods with this bound D.
    pub(crate) fn new(pods: usize, bound: Duration) -> Self {
        Self {
            epoch: Instant::now(),
            bound,
            rules: Mutex::new(unstale_checker::Checker::new(names(), pods, bound)),
            registers: Mutex::new(Registers::new("register-", REGISTERS)),
        }
    }

    /// D, as the pods say it.
    pub(crate) fn bound(&self) -> Duration {
        self.bound
    }

    /// The origin's value now.
    pub(crate) fn origin(&self, key: usize) -> u64 {
        self.rules().origin(key)
    }

    /// The origin commits a change.
    pub(crate) fn change(&self, key: usize) -> u64 {
        self.rules().change(key)
    }

    /// A call on `pod` begins.
    pub(crate) fn begin(&self, pod: usize) -> Began {
        let at = Instant::now();
        let under = self.rules().begin(pod, at - self.epoch);
        Began { pod, at, under }
    }

    /// What a read that began so must satisfy.
    pub(crate) fn required(&self, began: &Began, keys: &[usize]) -> Vec<Required> {
        self.rules().required(&began.under, keys)
    }

    /// A position that promised something of the key, and what.
    pub(crate) fn position(&self, key: usize) -> Option<(String, Required)> {
        self.rules().position(key)
    }

    /// An invalidation that began as `began` says was answered OK: `values`
    /// are the changes of the origin it followed.
    pub(crate) fn promised(
        &self,
        began: &Began,
        values: &[(usize, u64)],
        reached: Reached,
        position: &str,
    ) {
        let mut rules = self.rules();
        let now = self.now();
        rules.promised(&began.under, values, reached, position, now);
    }

    /// An answer named this position: an epoch that nobody saw before ends a
    /// loss, or is a surprise. Says which.
    pub(crate) fn saw(&self, position: &str) -> Option<&'static str> {
        let mut rules = self.rules();
        let now = self.now();
        rules.saw(position, now)
    }

    /// The log is about to lose acknowledged records.
    pub(crate) fn loses_records(&self) {
        self.rules().loses_records();
        self.registers().forget();
    }

    /// It turned out that the log still has what it was thought to lose.
    pub(crate) fn lost_nothing(&self) {
        self.rules().lost_nothing();
    }

    /// Whether a loss has not been answered by a new epoch.
    pub(crate) fn suspect(&self) -> bool {
        self.rules().suspect()
    }

    /// Epochs that followed no loss that was injected.
    pub(crate) fn unexpected(&self) -> Vec<String> {
        self.rules().unexpected().to_vec()
    }

    /// A pod ends or starts: what it promised of itself is over.
    pub(crate) fn restarted(&self, pod: usize) {
        self.rules().restarted(pod);
    }

    /// Judges a text that was returned for `key`; the counter in it.
    pub(crate) fn judge(
        &self,
        began: &Began,
        of: (usize, Required),
        text: &str,
        fresh: bool,
    ) -> u64 {
        self.rules().judge(&began.under, of, text, fresh)
    }

    /// A promise was broken.
    pub(crate) fn broke(&self, rule: &'static str, key: Option<usize>, what: String) {
        let pod = None;
        self.rules().broke(Violation {
            rule,
            key,
            pod,
            what,
        });
    }

    /// The promises broken so far.
    pub(crate) fn broken(&self) -> Vec<Violation> {
        self.rules().broken().to_vec()
    }

    /// How many answers were older than promised.
    pub(crate) fn stale(&self) -> usize {
        self.count(Violation::is_stale)
    }

    /// How many answers were stored for another key, or never.
    pub(crate) fn wrong_key(&self) -> usize {
        self.count(Violation::is_wrong_key)
    }

    fn count(&self, kind: fn(&Violation) -> bool) -> usize {
        let rules = self.rules();
        rules.broken().iter().filter(|broken| kind(broken)).count()
    }

    /// Whether nothing is promised now.
    pub(crate) fn suspended(&self) -> bool {
        self.rules().suspended(self.now())
    }

    /// Time since the fleet began.
    pub(crate) fn now(&self) -> Duration {
        self.epoch.elapsed()
    }

    /// The keys that are written rather than loaded.
    pub(crate) fn registers(&self) -> MutexGuard<'_, Registers> {
        self.registers.lock().expect("no panic")
    }

    /// Searches every register's history for an order (I-8).
    pub(crate) fn judge_registers(&self) {
        let broken = self.registers().finish();
        for (key, verdict) in broken {
            if let Verdict::Illegal(illegal) = verdict {
                self.broke("I-8 not linearizable", None, format!("{key}: {illegal}"));
            }
        }
    }

    fn rules(&self) -> MutexGuard<'_, unstale_checker::Checker> {
        self.rules.lock().expect("no panic")
    }
}
