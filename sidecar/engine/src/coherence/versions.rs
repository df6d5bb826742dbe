//! Floors of source versions: the highest origin version that the log tells of
//! each key.
//!
//! Exact and bounded: the key raised longest ago is forgotten first, and
//! counted; an older version of it would then be accepted as if none were
//! known.

use crate::key::NameHash;
use std::collections::{BTreeSet, HashMap};

struct Highest {
    version: u64,
    /// Where it was last raised.
    sequence: u64,
}

pub(crate) struct SourceVersions {
    floors: HashMap<NameHash, Highest>,
    /// By the sequence of the last raise: a replay raises newest first.
    order: BTreeSet<(u64, NameHash)>,
    most: usize,
    forgotten: u64,
}

impl SourceVersions {
    pub(crate) fn new(most: usize) -> Self {
        Self {
            floors: HashMap::new(),
            order: BTreeSet::new(),
            most,
            forgotten: 0,
        }
    }

    /// The log says at `sequence` that the origin has reached `version`.
    pub(crate) fn raise(&mut self, key: NameHash, version: u64, sequence: u64) {
        let highest = self
            .floors
            .entry(key)
            .or_insert(Highest { version, sequence });
        self.order.remove(&(highest.sequence, key));
        highest.version = highest.version.max(version);
        highest.sequence = highest.sequence.max(sequence);
        self.order.insert((highest.sequence, key));
        if self.floors.len() > self.most
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.floors.remove(&oldest);
            self.forgotten += 1;
        }
    }

    /// The least version of `key` that is accepted, and where the log said so.
    pub(crate) fn floor(&self, key: NameHash) -> Option<(u64, u64)> {
        let highest = self.floors.get(&key)?;
        Some((highest.version, highest.sequence))
    }

    /// Keys forgotten for room.
    pub(crate) fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// Another epoch begins.
    pub(crate) fn clear(&mut self) {
        self.floors.clear();
        self.order.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_version_counts_in_whatever_order_records_are_applied() {
        let mut versions = SourceVersions::new(8);
        versions.raise(NameHash(1), 7, 20);
        versions.raise(NameHash(1), 5, 10);
        assert_eq!(versions.floor(NameHash(1)), Some((7, 20)));
        assert_eq!(versions.floor(NameHash(2)), None);
    }

    #[test]
    fn the_key_raised_longest_ago_is_forgotten_first_and_counted() {
        let mut versions = SourceVersions::new(2);
        versions.raise(NameHash(1), 7, 30);
        versions.raise(NameHash(2), 7, 10);
        versions.raise(NameHash(3), 7, 20);
        assert_eq!(versions.floor(NameHash(2)), None);
        assert_eq!(versions.floor(NameHash(1)), Some((7, 30)));
        assert_eq!(versions.forgotten(), 1);
    }
}
