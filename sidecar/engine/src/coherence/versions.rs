//! Floors of source versions: the highest origin version that the log tells of
//! each key.
//!
//! Exact and bounded: the key raised longest ago is forgotten first, and
//! counted; an older version of it would then be accepted as if none were
//! known.

use crate::key::NameHash;
use crate::request::Mode;
use std::collections::{BTreeSet, HashMap};

/// A version that the log tells of, and where it was last told.
#[derive(Default)]
struct Told {
    version: u64,
    sequence: u64,
}

impl Told {
    fn raise(&mut self, version: u64, sequence: u64) {
        self.version = version.max(self.version);
        self.sequence = sequence.max(self.sequence);
    }
}

/// What is known of one key. The two are kept apart: what was loaded from a
/// lagging origin after a hard cover is not made readable by a later soft one.
#[derive(Default)]
struct Highest {
    hard: Option<Told>,
    any: Told,
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

    /// The log says at `sequence`, with a cover of this mode, that the origin
    /// has reached `version`.
    pub(crate) fn raise(&mut self, key: NameHash, mode: Mode, version: u64, sequence: u64) {
        let highest = self.floors.entry(key).or_default();
        self.order.remove(&(highest.any.sequence, key));
        highest.any.raise(version, sequence);
        if mode == Mode::Hard {
            let hard = highest.hard.get_or_insert_default();
            hard.raise(version, sequence);
        }
        self.order.insert((highest.any.sequence, key));
        if self.floors.len() > self.most
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.floors.remove(&oldest);
            self.forgotten += 1;
        }
    }

    /// The least version of `key` that is accepted.
    pub(crate) fn least(&self, key: NameHash) -> Option<u64> {
        Some(self.floors.get(&key)?.any.version)
    }

    /// Whether `version`, read knowing the log up to `as_of`, was read from an
    /// origin that lagged behind what the log had told by then. What is older
    /// than a record is the affair of the floors that it raised.
    pub(crate) fn is_lagging(&self, key: NameHash, version: u64, as_of: u64) -> bool {
        let Some(Highest { hard, any }) = self.floors.get(&key) else {
            return false;
        };
        let mut told = hard.iter().chain([any]);
        told.any(|told| as_of >= told.sequence && version < told.version)
    }

    /// The versions that the log told of a key, and where: with any cover, and
    /// with a hard one if that is another.
    pub(crate) fn told(&self, key: NameHash) -> impl Iterator<Item = (u64, u64)> {
        let highest = self.floors.get(&key).into_iter();
        let told = highest.flat_map(|of| {
            let hard = of.hard.iter();
            [&of.any].into_iter().chain(hard)
        });
        told.map(|told| (told.version, told.sequence))
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
        versions.raise(NameHash(1), Mode::Hard, 7, 20);
        versions.raise(NameHash(1), Mode::Hard, 5, 10);
        assert_eq!(versions.least(NameHash(1)), Some(7));
        assert!(versions.is_lagging(NameHash(1), 6, 20));
        assert!(!versions.is_lagging(NameHash(1), 6, 19));
        assert_eq!(versions.least(NameHash(2)), None);
    }

    /// Simulation, seed 123768.
    #[test]
    fn a_soft_cover_does_not_forgive_what_lagged_behind_a_hard_one() {
        let mut versions = SourceVersions::new(8);
        versions.raise(NameHash(1), Mode::Hard, 4, 10);
        versions.raise(NameHash(1), Mode::Soft, 5, 20);
        assert!(versions.is_lagging(NameHash(1), 3, 12));
        assert!(!versions.is_lagging(NameHash(1), 4, 12));
        assert!(versions.is_lagging(NameHash(1), 4, 20));
    }

    #[test]
    fn the_key_raised_longest_ago_is_forgotten_first_and_counted() {
        let mut versions = SourceVersions::new(2);
        versions.raise(NameHash(1), Mode::Hard, 7, 30);
        versions.raise(NameHash(2), Mode::Soft, 7, 10);
        versions.raise(NameHash(3), Mode::Hard, 7, 20);
        assert_eq!(versions.least(NameHash(2)), None);
        assert_eq!(versions.least(NameHash(1)), Some(7));
        assert_eq!(versions.forgotten(), 1);
    }
}
