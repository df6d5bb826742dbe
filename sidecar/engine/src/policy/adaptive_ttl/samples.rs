//! Which content keys had when they were stored last, and how often they were
//! read since: a sample of the keys, in a table that never grows.
//!
//! A key has one slot, by its hash. Who is in it stays for a while, so that it is
//! met again when the keys are more than the slots, and then lets another key in,
//! so that every family has its turn. A key that is not in is not observed, which
//! changes nothing but how soon its family is known. By the pod's own clock, which
//! nobody can set.

use super::estimate::{Change, Seen};
use crate::clock::Moment;
use crate::key::NameHash;
use crate::request::Etag;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Slots of a pod: about 1 MB.
const SLOTS: usize = 16_384;
const SHARDS: usize = 64;
/// Intervals of one key that are seen before another may have its slot.
const TURNS: u8 = 8;
/// One of so many hits is looked at, and stands for all of them.
pub const HITS: u32 = 64;

/// The sample.
pub struct Samples(Vec<Mutex<Vec<Slot>>>);

#[derive(Clone, Copy, Default)]
struct Slot {
    /// 0: nobody.
    key: u64,
    etag: u64,
    stored: Moment,
    /// When a change was told of first.
    told: Option<Moment>,
    /// Another key may have the slot from then on.
    until: Moment,
    reads: u32,
    turns: u8,
}

impl Default for Samples {
    fn default() -> Self {
        let shard = || Mutex::new(vec![Slot::default(); SLOTS / SHARDS]);
        Self((0..SHARDS).map(|_| shard()).collect())
    }
}

impl Samples {
    /// A key is stored with this content; what was seen of it since it was stored
    /// before. It keeps its slot for as long as it is stored again within `keep`.
    pub fn stored(&self, key: NameHash, etag: Etag, now: Moment, keep: Duration) -> Option<Seen> {
        let name = name(key);
        self.with(key, |slot| {
            if slot.key != name && slot.key != 0 && now < slot.until {
                return None;
            }
            let is_known = slot.key == name;
            let seen = is_known.then(|| slot.seen(first(etag), now));
            let turns = if is_known { slot.turns + 1 } else { 0 };
            *slot = Slot {
                key: name,
                etag: first(etag),
                stored: now,
                told: None,
                until: match turns < TURNS {
                    true => now.plus(keep),
                    false => now,
                },
                reads: 0,
                turns: turns % TURNS,
            };
            seen
        })
    }

    /// A change of the key was told: it was invalidated or written.
    pub fn told(&self, key: NameHash, now: Moment) {
        let name = name(key);
        self.with(key, |slot| {
            if slot.key == name {
                slot.told.get_or_insert(now);
            }
        });
    }

    /// The key was read; stands for `reads` of them.
    pub fn read(&self, key: NameHash, reads: u32) {
        let name = name(key);
        self.with(key, |slot| {
            if slot.key == name {
                slot.reads = slot.reads.saturating_add(reads);
            }
        });
    }

    fn with<T>(&self, key: NameHash, f: impl FnOnce(&mut Slot) -> T) -> T {
        // Bits that the slot's name does not have.
        let place = (key.0 >> 64) as usize % SLOTS;
        let shard = &self.0[place % SHARDS];
        let mut slots = shard.lock().unwrap_or_else(PoisonError::into_inner);
        f(&mut slots[place / SHARDS])
    }
}

impl Slot {
    fn seen(&self, etag: u64, now: Moment) -> Seen {
        let change = match self.told {
            _ if etag == self.etag => Change::None,
            None => Change::Within,
            Some(told) => Change::After(told.since(self.stored).as_secs_f64()),
        };
        Seen {
            interval: now.since(self.stored).as_secs_f64(),
            change,
            reads: f64::from(self.reads) + 1.0,
        }
    }
}

/// 64 of its bits, never 0.
fn name(key: NameHash) -> u64 {
    (key.0 as u64).max(1)
}

fn first(etag: Etag) -> u64 {
    etag.0 as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEEP: Duration = Duration::from_secs(60);

    fn at(seconds: u64) -> Moment {
        Moment::new(Duration::from_secs(seconds))
    }

    fn key(slot: u128, name: u128) -> NameHash {
        NameHash(slot << 64 | name)
    }

    fn seen(interval: f64, change: Change, reads: f64) -> Option<Seen> {
        Some(Seen {
            interval,
            change,
            reads,
        })
    }

    #[test]
    fn a_change_is_known_by_the_content_and_its_time_by_who_told() {
        let (samples, k) = (Samples::default(), key(7, 1));
        let stored = |etag, now| samples.stored(k, Etag(etag), at(now), KEEP);
        assert_eq!(stored(1, 10), None);
        samples.read(k, HITS);
        assert_eq!(stored(1, 15), seen(5.0, Change::None, 65.0));
        assert_eq!(stored(2, 25), seen(10.0, Change::Within, 1.0));
        samples.told(k, at(28));
        samples.told(k, at(29));
        assert_eq!(stored(3, 35), seen(10.0, Change::After(3.0), 1.0));
        // Told, and yet the same: nothing had changed.
        samples.told(k, at(36));
        assert_eq!(stored(3, 37), seen(2.0, Change::None, 1.0));
    }

    #[test]
    fn a_slot_is_its_keys_for_a_while_and_then_another_ones() {
        let (samples, mine, other) = (Samples::default(), key(7, 1), key(7, 2));
        samples.stored(mine, Etag(1), at(10), KEEP);
        samples.stored(other, Etag(1), at(20), KEEP);
        samples.read(other, HITS);
        let again = samples.stored(mine, Etag(1), at(30), KEEP);
        assert_eq!(again, seen(20.0, Change::None, 1.0));
        assert_eq!(samples.stored(other, Etag(1), at(90), KEEP), None);
        assert_eq!(samples.stored(mine, Etag(1), at(91), KEEP), None);
        let again = samples.stored(other, Etag(1), at(92), KEEP);
        assert_eq!(again, seen(2.0, Change::None, 1.0));
    }

    #[test]
    fn who_was_seen_often_lets_another_in() {
        let (samples, mine, other) = (Samples::default(), key(7, 1), key(7, 2));
        for second in 0..=u64::from(TURNS) {
            samples.stored(mine, Etag(1), at(second), KEEP);
            assert_eq!(samples.stored(other, Etag(1), at(second), KEEP), None);
        }
        let again = samples.stored(other, Etag(1), at(30), KEEP);
        assert_eq!(again, seen(22.0, Change::None, 1.0));
    }
}
