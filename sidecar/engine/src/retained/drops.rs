//! Entries that are to be dropped because nobody refers to their keys any more.
//!
//! Every pod that follows the references remembers them, and the first whose turn
//! it is invalidates: under one idempotency id, so that those who are as fast add
//! no record. Who sees an invalidation of the key, or a new reference, forgets it:
//! a drop is handed out right before it is done, and never twice at once.
//! Bounded: beyond [`limits::REFERENCES`] a drop is forgotten, and counted.

use crate::clock::Moment;
use crate::hashed::ByName;
use crate::key::{Key, NameHash};
use crate::limits;
use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

/// A drop that failed, or whose end nobody saw, is done again after this.
const AGAIN: Duration = Duration::from_secs(5);
/// How many drop what is due, at once.
const WORKERS: usize = 4;

/// An entry to be dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Drop {
    pub(crate) key: Key,
    /// The record that ended the last reference.
    pub(crate) ended_by: u64,
}

impl Drop {
    /// One for all pods.
    pub(crate) fn id(&self) -> String {
        format!("references-{}", self.ended_by)
    }
}

#[derive(Default)]
pub(crate) struct Drops {
    keys: HashMap<NameHash, (Drop, Moment), ByName>,
    /// The same, by when it is their turn.
    order: BTreeSet<(Moment, NameHash)>,
    workers: usize,
    forgotten: u64,
}

impl Drops {
    pub(crate) fn add(&mut self, key: Key, ended_by: u64, due: Moment) {
        let hash = key.hash();
        self.forget(hash);
        if self.keys.len() >= limits::REFERENCES {
            self.forgotten += 1;
            return;
        }
        self.keys.insert(hash, (Drop { key, ended_by }, due));
        self.order.insert((due, hash));
    }

    pub(crate) fn forget(&mut self, key: NameHash) {
        if let Some((_, due)) = self.keys.remove(&key) {
            self.order.remove(&(due, key));
        }
    }

    /// The drop was done.
    pub(crate) fn done(&mut self, done: &Drop) {
        let key = done.key.hash();
        if self.keys.get(&key).is_some_and(|(drop, _)| drop == done) {
            self.forget(key);
        }
    }

    /// Whether nothing is to be dropped.
    pub(crate) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Drops that were forgotten for room.
    pub(crate) fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// The drop that this record has caused, if it is not done: the caller does
    /// it, and nobody else here for a while.
    pub(crate) fn take(&mut self, key: NameHash, ended_by: u64, now: Moment) -> Option<Drop> {
        let (drop, _) = self.keys.get(&key)?;
        let is_this = drop.ended_by == ended_by;
        is_this.then(|| self.hand_out(key, now)).flatten()
    }

    /// One whose turn it is, likewise: what waits longest.
    pub(crate) fn next(&mut self, now: Moment) -> Option<Drop> {
        let (due, key) = *self.order.first()?;
        (due <= now).then(|| self.hand_out(key, now)).flatten()
    }

    fn hand_out(&mut self, key: NameHash, now: Moment) -> Option<Drop> {
        let (drop, due) = self.keys.get_mut(&key)?;
        self.order.remove(&(*due, key));
        *due = now.plus(AGAIN);
        self.order.insert((*due, key));
        Some(drop.clone())
    }

    /// How many workers the caller starts; each says [`Drops::worker_ended`].
    pub(crate) fn workers(&mut self, now: Moment) -> usize {
        let is_due = self.order.first().is_some_and(|(due, _)| *due <= now);
        let more = match is_due {
            true => WORKERS - self.workers,
            false => 0,
        };
        self.workers += more;
        more
    }

    pub(crate) fn worker_ended(&mut self) {
        self.workers -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Namespace;

    fn key(n: usize) -> Key {
        Key::new(Namespace::new("").unwrap(), &format!("k{n}")).unwrap()
    }

    fn at(seconds: u64) -> Moment {
        Moment::new(Duration::from_secs(1000 + seconds))
    }

    #[test]
    fn what_was_forgotten_meanwhile_is_not_handed_out() {
        let mut drops = Drops::default();
        for n in 0..3 {
            drops.add(key(n), n as u64 + 1, at(n as u64));
        }
        assert_eq!(drops.workers(at(9)), WORKERS);
        assert_eq!(drops.next(at(9)).map(|drop| drop.ended_by), Some(1));
        drops.forget(key(1).hash());
        assert_eq!(drops.next(at(9)).map(|drop| drop.ended_by), Some(3));
        // All that is left is under way, until it is taken for failed.
        assert_eq!(drops.next(at(13)), None);
        assert_eq!(drops.workers(at(14)), 0);
        assert_eq!(drops.next(at(14)).map(|drop| drop.ended_by), Some(1));
    }

    #[test]
    fn what_came_after_a_drop_under_way_is_not_done_with_it() {
        let mut drops = Drops::default();
        drops.add(key(0), 1, at(0));
        let first = drops.next(at(0)).unwrap();
        drops.add(key(0), 7, at(1));
        drops.done(&first);
        let second = drops.next(at(1)).unwrap();
        assert_eq!(second.ended_by, 7);
        drops.done(&second);
        assert!(drops.is_empty() && drops.order.is_empty());
    }

    #[test]
    fn drops_are_bounded_and_the_forgotten_counted() {
        let mut drops = Drops::default();
        for n in 0..limits::REFERENCES + 3 {
            drops.add(key(n), 1, at(0));
        }
        assert_eq!(drops.keys.len(), limits::REFERENCES);
        assert_eq!(drops.order.len(), limits::REFERENCES);
        assert_eq!(drops.forgotten(), 3);
        drops.add(key(0), 2, at(0));
        assert_eq!(drops.forgotten(), 3, "it had a place");
    }
}
