//! When a pod can know the log's time, whose server's clock may be set (I-12).
//!
//! Who has met log time keeps it, whatever the server stamps from then on. Who
//! joins after the clock was set back learns of it from a pod that knows, once
//! that one told the log: only until then its judgement of ends is excused. A
//! log that begins a new epoch has to be told again.

use crate::world::D_US;
use std::collections::HashMap;

#[derive(Default)]
pub(crate) struct ServerClock {
    /// Since when a pod's session has known log time, at the latest.
    knows: HashMap<usize, u64>,
    /// What the log had, or has, to be told of.
    changes: Vec<Change>,
    /// Reads whose end was not judged.
    pub(crate) excused: u64,
}

struct Change {
    at: u64,
    told: Option<u64>,
}

impl ServerClock {
    /// The clock was set back.
    pub(crate) fn set_back(&mut self, now: u64) {
        self.changes.push(Change {
            at: now,
            told: None,
        });
    }

    /// A new epoch's log was not told yet what an older one was.
    pub(super) fn new_epoch(&mut self, now: u64) {
        if !self.changes.is_empty() {
            self.set_back(now);
        }
    }

    /// A pod called something fresh, so it has met log time.
    pub(crate) fn knows(&mut self, pod: usize, now: u64) {
        self.knows.entry(pod).or_insert(now);
    }

    /// A pod begins a session: what it knew may be from before it lost the last.
    pub(crate) fn joins(&mut self, pod: usize) {
        self.knows.remove(&pod);
    }

    fn knew(&self, pod: usize, at: u64) -> bool {
        self.knows.get(&pod).is_some_and(|since| *since <= at)
    }

    /// A pod told the log by how much log time is ahead.
    pub(crate) fn told(&mut self, pod: usize, now: u64) {
        let knows = self.knows.get(&pod).copied();
        let news = |change: &&mut Change| knows.is_some_and(|since| since <= change.at);
        let untold = self.changes.iter_mut().filter(|c| c.told.is_none());
        untold.filter(news).for_each(|c| c.told = Some(now));
    }

    /// Whether a read by this pod that began `at` may be answered with what has
    /// ended; `calm` is since when nothing is broken.
    pub(crate) fn excuses(&mut self, pod: usize, at: u64, calm: Option<u64>) -> bool {
        let open = |change: &Change| {
            let heard = change.told.map(|told| told + D_US);
            let due = calm.map(|since| since.max(change.at) + 2 * D_US);
            let due = due.filter(|_| self.knows.values().any(|since| *since <= change.at));
            !self.knew(pod, change.at) && at < heard.or(due).unwrap_or(u64::MAX)
        };
        let excused = self.changes.iter().any(open);
        self.excused += u64::from(excused);
        excused
    }
}
