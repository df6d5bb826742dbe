//! Entries that are to be dropped because nobody refers to their keys any more.
//!
//! Every pod that follows the references remembers them, and the first whose turn
//! it is invalidates: under one idempotency id, so that those who are as fast add
//! no record. Who sees an invalidation of the key, or a new reference, forgets it.

use crate::clock::Moment;
use crate::hashed::ByName;
use crate::key::{Key, NameHash};
use std::collections::HashMap;
use std::time::Duration;

/// A drop that failed, or whose end nobody saw, is done again after this.
const AGAIN: Duration = Duration::from_secs(5);

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
pub(crate) struct Drops(HashMap<NameHash, (Drop, Moment), ByName>);

impl Drops {
    pub(crate) fn add(&mut self, key: Key, ended_by: u64, due: Moment) {
        self.0.insert(key.hash(), (Drop { key, ended_by }, due));
    }

    pub(crate) fn forget(&mut self, key: NameHash) {
        if !self.0.is_empty() {
            self.0.remove(&key);
        }
    }

    /// Whether nothing is to be dropped.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The drop that this record has caused, if it is not done: the caller does
    /// it, and nobody else here for a while.
    pub(crate) fn take(&mut self, key: NameHash, ended_by: u64, now: Moment) -> Option<Drop> {
        let (drop, due) = self.0.get_mut(&key)?;
        if drop.ended_by != ended_by {
            return None;
        }
        *due = now.plus(AGAIN);
        Some(drop.clone())
    }

    /// Those whose turn it is.
    pub(crate) fn due(&mut self, now: Moment) -> Vec<Drop> {
        let due = self.0.values_mut().filter(|(_, due)| *due <= now);
        due.map(|(drop, due)| {
            *due = now.plus(AGAIN);
            drop.clone()
        })
        .collect()
    }
}
