//! The origin, what was promised of it, and the judgement of what was read.
//! Violations are kept, not panicked on.

use crate::names::Names;
use crate::promises::Promises;
use crate::required::{Began, HERE, Reached, Required};
use std::time::Duration;

/// A broken promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The rule, as coherence.md numbers it.
    pub rule: &'static str,
    /// The key's number, when one key is concerned.
    pub key: Option<usize>,
    /// The pod's number, when one pod is concerned.
    pub pod: Option<usize>,
    /// What was seen, and what was needed.
    pub what: String,
}

impl Violation {
    /// A promise of the pod's own was broken, which only binds the process
    /// that gave it.
    #[must_use]
    pub fn is_of_one_process(&self) -> bool {
        self.rule == HERE
    }

    /// A value was older than promised.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        let stale = ["I-1 ", "I-2 ", "I-3 ", "I-4 ", "I-10 "];
        stale.iter().any(|rule| self.rule.starts_with(rule))
    }

    /// A value was stored for another key, or never.
    #[must_use]
    pub fn is_wrong_key(&self) -> bool {
        self.rule.starts_with("I-11 ")
    }
}

/// The origin and what was promised of it.
pub struct Checker {
    names: Names,
    origin: Vec<u64>,
    bound: Duration,
    promises: Promises,
    broken: Vec<Violation>,
    /// Per pod: answers that broke its own promise, if it was the same process.
    doubts: Vec<u64>,
}

impl Checker {
    /// For so many pods with this bound D.
    #[must_use]
    pub fn new(names: Names, pods: usize, bound: Duration) -> Self {
        Self {
            origin: vec![1; names.keys()],
            promises: Promises::new(names.keys(), pods),
            names,
            bound,
            broken: Vec::new(),
            doubts: vec![0; pods],
        }
    }

    /// What the keys are called.
    #[must_use]
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// D, as the pods say it.
    #[must_use]
    pub fn bound(&self) -> Duration {
        self.bound
    }

    /// The origin's value now.
    #[must_use]
    pub fn origin(&self, key: usize) -> u64 {
        self.origin[key]
    }

    /// The origin commits a change.
    pub fn change(&mut self, key: usize) -> u64 {
        self.origin[key] += 1;
        self.origin[key]
    }

    /// A call on `pod` begins at `now`.
    #[must_use]
    pub fn begin(&self, pod: usize, now: Duration) -> Began {
        self.promises.begin(pod, now)
    }

    /// What a read that began so must satisfy, key by key.
    pub fn required(&mut self, began: &Began, keys: &[usize]) -> Vec<Required> {
        self.promises.required(began, keys)
    }

    /// A position that promised something of the key, and what.
    #[must_use]
    pub fn position(&self, key: usize) -> Option<(String, Required)> {
        self.promises.position(key)
    }

    /// An invalidation that began as `began` says was answered OK at `now`:
    /// `values` are the changes of the origin it followed.
    pub fn promised(
        &mut self,
        began: &Began,
        values: &[(usize, u64)],
        reached: Reached,
        position: &str,
        now: Duration,
    ) {
        let at = (position, self.bound);
        self.promises.promised(began, values, reached, at, now);
    }

    /// An answer named this position: an epoch that nobody saw before ends a
    /// loss, or is a surprise. Says which.
    pub fn saw(&mut self, position: &str, now: Duration) -> Option<&'static str> {
        let epoch = epoch(position)?;
        self.promises.saw(epoch, self.bound, now)
    }

    /// A pod that had named another epoch names this one: unless it is known,
    /// the log lost records before it began. Says whether that is news.
    pub fn moved_on(&mut self, position: &str, now: Duration) -> bool {
        let Some(epoch) = epoch(position) else {
            return false;
        };
        if self.promises.knows(epoch) {
            return false;
        }
        self.loses_records();
        self.promises.saw(epoch, self.bound, now);
        true
    }

    /// The log is about to lose acknowledged records.
    pub fn loses_records(&mut self) {
        self.promises.loses_records(self.origin.clone());
    }

    /// It turned out that the log still has what it was thought to lose.
    pub fn lost_nothing(&mut self) {
        self.promises.lost = None;
    }

    /// Whether a loss has not been answered by a new epoch.
    #[must_use]
    pub fn suspect(&self) -> bool {
        self.promises.lost.is_some()
    }

    /// Whether nothing is demanded now: from a loss until D after the new epoch.
    #[must_use]
    pub fn suspended(&self, now: Duration) -> bool {
        self.promises.suspended(now)
    }

    /// Epochs that followed no loss that was told.
    #[must_use]
    pub fn unexpected(&self) -> &[String] {
        &self.promises.unexpected
    }

    /// A pod ends or starts: what it promised of itself is over.
    pub fn restarted(&mut self, pod: usize) {
        self.promises.restarted(pod);
    }

    /// How often [`Checker::restarted`] was said of the pod.
    #[must_use]
    pub fn restarts(&self, pod: usize) -> u64 {
        self.promises.starts(pod)
    }

    /// Judges a text that was returned for `key`: the counter in it, 0 when it
    /// has none, and the promise that it breaks. Unless it is given to
    /// [`Checker::accuse`], a pod's own promise stays a doubt.
    #[must_use]
    pub fn look_at(
        &mut self,
        began: &Began,
        (key, required): (usize, Required),
        text: &str,
        fresh: bool,
    ) -> (u64, Option<Violation>) {
        let of = |rule, what| {
            let (key, pod) = (Some(key), Some(began.pod));
            Some(Violation {
                rule,
                key,
                pod,
                what,
            })
        };
        let Some(value) = self.names.value(key, text) else {
            return (0, of("I-11 wrong key", format!("{text:?} was returned")));
        };
        if value > self.origin(key) {
            let what = format!("{text:?} was returned and never stored");
            return (value, of("I-11 never stored", what));
        }
        let before = required.here;
        let required = self.promises.still(began, required);
        let lost = self.promises.lost_since(began);
        if value < before && !lost {
            self.doubts[began.pod] += 1;
        }
        let broken = required.broken_by(value, fresh);
        let how = if fresh { "fresh" } else { "flagged" };
        let what = || {
            let Required {
                everywhere, here, ..
            } = required;
            let newest = self.origin(key);
            format!(
                "{text:?} was returned ({how}); promised was {everywhere} or newer, of this pod \
                 itself {here} or newer, the origin has {newest}"
            )
        };
        (value, broken.and_then(|rule| of(rule, what())))
    }

    /// Judges it and keeps what it breaks; the counter in it.
    pub fn judge(&mut self, began: &Began, of: (usize, Required), text: &str, fresh: bool) -> u64 {
        let (value, broken) = self.look_at(began, of, text, fresh);
        if let Some(broken) = broken {
            self.accuse(began, broken);
        }
        value
    }

    /// Keeps what [`Checker::look_at`] said of an answer. A pod's own promise
    /// is kept only if no start of it was seen since the call began: who asks
    /// the pod in between may be the second to ask, and hear that nothing is new.
    pub fn accuse(&mut self, began: &Began, violation: Violation) {
        if violation.is_of_one_process() {
            if !self.promises.same(began) {
                return;
            }
            self.doubts[began.pod] -= 1;
        }
        self.broken.push(violation);
    }

    /// Answers of the pod that would have broken its own promise, had it been
    /// known to be the process that gave it. They are not judged.
    #[must_use]
    pub fn doubts(&self, pod: usize) -> u64 {
        self.doubts[pod]
    }

    /// A promise was broken.
    pub fn broke(&mut self, violation: Violation) {
        self.broken.push(violation);
    }

    /// The promises broken so far.
    #[must_use]
    pub fn broken(&self) -> &[Violation] {
        &self.broken
    }
}

/// The epoch that a position names; none when the pod that gave it has not met
/// the log yet.
pub(crate) fn epoch(position: &str) -> Option<&str> {
    let (epoch, _) = position.split_once('-')?;
    epoch.bytes().any(|digit| digit != b'0').then_some(epoch)
}

#[cfg(test)]
mod tests;
