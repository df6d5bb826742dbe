//! L1: this pod's memory. A bounded map and nothing else: entries are judged
//! by the hit rule whenever they are read, and loads do not run through it.
//!
//! moka's own load and invalidation paths race with each other; only insert,
//! get and remove are used. Deadlines are ours, judged with our clock.

use crate::clock::Moment;
use crate::entry::Entry;
use crate::key::NameHash;
use std::sync::Arc;

/// What an entry costs beside its bytes, measured with moka.
const OVERHEAD_BYTES: usize = 400;

/// An entry in memory and when it ends on this pod's clock.
pub(crate) struct Held {
    pub(crate) entry: Entry,
    pub(crate) deadline: Moment,
    key_bytes: usize,
}

pub(crate) struct L1 {
    map: moka::sync::Cache<NameHash, Arc<Held>>,
}

impl L1 {
    pub(crate) fn new(max_bytes: u64) -> Self {
        let map = moka::sync::Cache::builder()
            .max_capacity(max_bytes)
            .weigher(weigh)
            .build();
        Self { map }
    }

    pub(crate) fn get(&self, key: NameHash) -> Option<Arc<Held>> {
        self.map.get(&key)
    }

    /// Holds an entry unless a newer one is held.
    pub(crate) fn insert(&self, entry: Entry, key_bytes: usize, deadline: Moment) {
        let key = entry.facts.key;
        if let Some(held) = self.map.get(&key)
            && held.entry.facts.epoch == entry.facts.epoch
            && held.entry.facts.as_of > entry.facts.as_of
        {
            return;
        }
        self.map.insert(
            key,
            Arc::new(Held {
                entry,
                deadline,
                key_bytes,
            }),
        );
    }

    pub(crate) fn remove(&self, key: NameHash) {
        self.map.invalidate(&key);
    }

    /// Entries and weighed bytes, as of moka's last housekeeping.
    pub(crate) fn size(&self) -> (u64, u64) {
        self.map.run_pending_tasks();
        (self.map.entry_count(), self.map.weighted_size())
    }
}

fn weigh(_: &NameHash, held: &Arc<Held>) -> u32 {
    let tags: usize = held.entry.tags.iter().map(|tag| tag.as_str().len()).sum();
    let bytes = held.key_bytes + held.entry.value.data.len() + tags + OVERHEAD_BYTES;
    u32::try_from(bytes).unwrap_or(u32::MAX)
}
