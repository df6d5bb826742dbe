//! What a read must satisfy: the rules of the simulation's checker, judged
//! while real processes run. The origin is a counter per key in this process,
//! the stored text is "key:counter".
//! It demands less than it could where it cannot know (promises.rs), never
//! more. Violations are kept, not panicked on.

mod promises;

pub(crate) use promises::{Began, Reached, Required};

use promises::State;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

/// Keys of the origin.
pub(crate) const KEYS: usize = 64;
/// Every eighth key carries the same tag and begins with the same prefix.
pub(crate) const GROUPS: usize = 8;
/// The name of a key.
pub(crate) fn name(key: usize) -> String {
    format!("g{}:{key}", key % GROUPS)
}

/// A broken promise.
#[derive(Clone, Debug)]
pub(crate) struct Violation {
    pub(crate) rule: &'static str,
    pub(crate) key: Option<usize>,
    pub(crate) what: String,
}

/// The origin and what was promised of it.
pub(crate) struct Checker {
    origin: Vec<AtomicU64>,
    bound: Duration,
    state: Mutex<State>,
    broken: Mutex<Vec<Violation>>,
    pub(crate) wrong_key: AtomicU64,
    pub(crate) stale: AtomicU64,
}

impl Checker {
    /// For so many pods with this bound D.
    pub(crate) fn new(pods: usize, bound: Duration) -> Self {
        Self {
            origin: (0..KEYS).map(|_| AtomicU64::new(1)).collect(),
            bound,
            state: Mutex::new(State::new(pods)),
            broken: Mutex::default(),
            wrong_key: AtomicU64::new(0),
            stale: AtomicU64::new(0),
        }
    }

    /// D, as the pods say it.
    pub(crate) fn bound(&self) -> Duration {
        self.bound
    }

    /// The origin's value now.
    pub(crate) fn origin(&self, key: usize) -> u64 {
        self.origin[key].load(SeqCst)
    }

    /// The origin commits a change.
    pub(crate) fn change(&self, key: usize) -> u64 {
        self.origin[key].fetch_add(1, SeqCst) + 1
    }

    /// A call on `pod` begins.
    pub(crate) fn begin(&self, pod: usize) -> Began {
        self.state().begin(pod)
    }

    /// What a read that began so must satisfy.
    pub(crate) fn required(&self, began: &Began, keys: &[usize]) -> Vec<Required> {
        self.state().required(began, keys)
    }

    /// A position that promised something of the key, and what.
    pub(crate) fn position(&self, key: usize) -> Option<(String, Required)> {
        self.state().position(key)
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
        let mut state = self.state();
        state.promised(began, values, reached, (position, self.bound));
    }

    /// An answer named this position: an epoch that nobody saw before ends a
    /// loss, or is a surprise. Says which.
    pub(crate) fn saw(&self, position: &str) -> Option<&'static str> {
        let (epoch, _) = position.split_once('-')?;
        // A pod that has not met the log yet.
        if epoch.bytes().all(|digit| digit == b'0') {
            return None;
        }
        self.state().saw(epoch, self.bound)
    }

    /// The log is about to lose acknowledged records.
    pub(crate) fn loses_records(&self) {
        let origin = self.origin.iter().map(|o| o.load(SeqCst)).collect();
        self.state().loses_records(origin);
    }

    /// It turned out that the log still has what it was thought to lose.
    pub(crate) fn lost_nothing(&self) {
        self.state().lost = None;
    }

    /// Whether a loss has not been answered by a new epoch.
    pub(crate) fn suspect(&self) -> bool {
        self.state().lost.is_some()
    }

    /// Epochs that followed no loss that was injected.
    pub(crate) fn unexpected(&self) -> Vec<String> {
        self.state().unexpected.clone()
    }

    /// A pod ends or starts: what it promised of itself is over.
    pub(crate) fn restarted(&self, pod: usize) {
        self.state().restarted(pod);
    }

    /// Judges a text that was returned for `key`; the counter in it.
    pub(crate) fn judge(
        &self,
        began: &Began,
        (key, required): (usize, Required),
        text: &str,
        fresh: bool,
    ) -> u64 {
        let value = text.strip_prefix(&format!("{}:", name(key)));
        let Some(value) = value.and_then(|value| value.parse().ok()) else {
            self.wrong_key.fetch_add(1, SeqCst);
            let what = format!("{text:?} on pod {}", began.pod);
            self.broke("I-11 wrong key", Some(key), what);
            return 0;
        };
        if value > self.origin(key) {
            let what = format!("{text:?} was never stored");
            self.broke("I-11 never stored", Some(key), what);
        }
        let required = self.state().still(began, required);
        let Some(rule) = required.broken_by(value, fresh) else {
            return value;
        };
        self.stale.fetch_add(1, SeqCst);
        let (pod, how) = (began.pod, if fresh { "fresh" } else { "flagged" });
        let what = format!("pod {pod} returned {text:?} ({how}); it needed {required:?}");
        self.broke(rule, Some(key), what);
        value
    }

    /// A promise was broken.
    pub(crate) fn broke(&self, rule: &'static str, key: Option<usize>, what: String) {
        let mut broken = self.broken.lock().expect("no panic");
        broken.push(Violation { rule, key, what });
    }

    /// The promises broken so far.
    pub(crate) fn broken(&self) -> Vec<Violation> {
        self.broken.lock().expect("no panic").clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic")
    }
}
