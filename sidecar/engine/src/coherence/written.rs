//! Keys of Writes that were processed lately: their values may still be on their
//! way, and what is missing is not absent.
//!
//! Guarantees: constant time a Write, however many there are, taken together;
//! bounded. Of more Writes in a second than are remembered the oldest are forgotten,
//! be they of one key: then a value on its way may be taken for missing.

use crate::clock::Moment;
use crate::hashed::ByName;
use crate::key::NameHash;
use std::collections::{HashMap, VecDeque};
use std::time::Duration;

/// A value that was decided is where it belongs within this, or lost.
const ON_ITS_WAY: Duration = Duration::from_secs(1);
/// Most Writes that are remembered.
const MOST: usize = 4096;

#[derive(Default)]
pub(super) struct Written {
    /// The newest Write of each key, and when it was processed.
    newest: HashMap<NameHash, (u64, Moment), ByName>,
    /// All of them as they were processed, those that were written again, too.
    order: VecDeque<(NameHash, u64)>,
}

impl Written {
    /// A Write was processed; each lies above those before.
    pub(super) fn note(&mut self, key: NameHash, sequence: u64, now: Moment) {
        while let Some(&(oldest, its)) = self.order.front() {
            let (newest, at) = self.newest.get(&oldest).copied().unwrap_or_default();
            let is_newest = newest == its;
            if is_newest && self.order.len() < MOST && now < at.plus(ON_ITS_WAY) {
                break;
            }
            self.order.pop_front();
            if is_newest {
                self.newest.remove(&oldest);
            }
        }
        self.order.push_back((key, sequence));
        self.newest.insert(key, (sequence, now));
    }

    /// The newest Write of the key, if its value may still be on its way.
    pub(super) fn of(&self, key: NameHash, now: Moment) -> Option<u64> {
        let (sequence, at) = self.newest.get(&key)?;
        (now < at.plus(ON_ITS_WAY)).then_some(*sequence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Moment {
        Moment::new(Duration::from_millis(ms))
    }

    #[test]
    fn the_newest_counts_for_a_second() {
        let (mut written, [a, b]) = (Written::default(), [NameHash(1), NameHash(2)]);
        written.note(a, 1, at(0));
        written.note(b, 2, at(400));
        written.note(a, 3, at(900));
        assert_eq!(written.of(a, at(1_899)), Some(3));
        assert_eq!(written.of(a, at(1_900)), None);
        assert_eq!(written.of(b, at(1_399)), Some(2));
        assert_eq!(written.of(b, at(1_400)), None);
        assert_eq!(written.of(NameHash(3), at(0)), None);
    }

    #[test]
    fn it_is_bounded_and_forgets_the_oldest() {
        let mut written = Written::default();
        let last = 3 * MOST as u64;
        for sequence in 1..=last {
            // Every second one is of one key.
            let key = NameHash(u128::from(sequence * (sequence % 2)));
            written.note(key, sequence, at(5));
            assert!(written.order.len() <= MOST && written.newest.len() <= MOST);
        }
        assert_eq!(written.of(NameHash(0), at(5)), Some(last));
        assert_eq!(written.of(NameHash(1), at(5)), None);
        assert!(written.of(NameHash(u128::from(last - 1)), at(5)).is_some());
        written.note(NameHash(7), last + 1, at(1_005));
        assert_eq!((written.order.len(), written.newest.len()), (1, 1));
    }
}
