//! The modelled remote tier: every state a key ever had, so that a read may
//! come from a lagging replica and a fail-over may go back to an old copy.

use bytes::Bytes;
use std::collections::HashMap;
use unstale_engine::key::NameHash;

struct State {
    revision: u64,
    at: u64,
    /// None: deleted.
    record: Option<Bytes>,
}

#[derive(Default)]
pub(crate) struct TierServer {
    states: HashMap<NameHash, Vec<State>>,
    revision: u64,
    /// How many faults keep it away, and how many make reads lag.
    pub(crate) away: u32,
    pub(crate) lagging: u32,
    /// The like: answers belong to another key, nothing is taken in.
    pub(crate) mixing_up: u32,
    pub(crate) full: u32,
}

impl TierServer {
    /// The state `lag` states ago.
    pub(crate) fn get(&self, key: NameHash, lag: u64) -> Option<(u64, Bytes)> {
        let states = self.states.get(&key)?;
        let newest = states.len().checked_sub(1)?;
        let state = &states[newest.saturating_sub(lag as usize)];
        state.record.clone().map(|record| (state.revision, record))
    }

    /// Replaces the newest state if its revision is the expected one.
    pub(crate) fn put(
        &mut self,
        key: NameHash,
        expected: Option<u64>,
        record: Option<Bytes>,
        at: u64,
    ) -> Option<u64> {
        let states = self.states.entry(key).or_default();
        let there = states.last().filter(|s| s.record.is_some());
        if there.map(|s| s.revision) != expected {
            return None;
        }
        self.revision += 1;
        let revision = self.revision;
        states.push(State {
            revision,
            at,
            record,
        });
        Some(revision)
    }

    /// Loses a key, as making room does.
    pub(crate) fn forget(&mut self, key: NameHash) {
        self.states.remove(&key);
    }

    /// An old copy takes over: what was put after `at` never was.
    pub(crate) fn fail_over(&mut self, at: u64, revisions_repeat: bool) {
        for states in self.states.values_mut() {
            states.retain(|state| state.at <= at);
        }
        if revisions_repeat {
            let newest = self.states.values().flatten().map(|s| s.revision).max();
            self.revision = newest.unwrap_or(0);
        }
    }
}
