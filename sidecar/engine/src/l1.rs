//! L1: this pod's memory. A bounded map and nothing else: entries are judged
//! by the hit rule whenever they are read, and loads do not run through it.
//!
//! What is referred to is kept beside the map that evicts ([`pinned`]).
//!
//! moka's own load and invalidation paths race with each other; only insert,
//! get and remove are used. When an entry ends is judged by the hit rule, too.

mod pinned;

use crate::entry::Entry;
use crate::hashed::ByName;
use crate::key::NameHash;
use crate::request::Payload;
use bytes::Bytes;
pub use pinned::Here;
use pinned::{Pinned, Slot};
use std::sync::Arc;
use std::task::Poll;

/// What an entry takes beside its bytes, as `tests/bench/run ratio` measures it:
/// a third of it is moka's, a third the entry, the rest are the small pieces of
/// memory that names and values are in, and what the allocator loses.
const OVERHEAD_BYTES: usize = 800;
/// What a tag takes beside its text: its place, its hash, its piece of memory.
const TAG_BYTES: usize = 64;
/// Of values the allocator loses one part of so many.
const LOST_PART: usize = 20;
/// From this size on a value is most of the buffer it arrived in.
const SHARED_BYTES: usize = 64 * 1024;

/// Keys that [`L1::look_at`] walks over before it lets others have their turn.
const WALK: usize = 512;

pub(crate) struct L1 {
    map: moka::sync::Cache<NameHash, Arc<Entry>, ByName>,
    pinned: Pinned,
}

impl L1 {
    /// Holds so many bytes, and so many more of what is referred to.
    pub(crate) fn new(max_bytes: u64, max_pinned: u64) -> Self {
        let map = moka::sync::Cache::builder()
            .max_capacity(max_bytes)
            .weigher(weigh)
            .build_with_hasher(ByName::default());
        let pinned = Pinned::new(max_pinned);
        Self { map, pinned }
    }

    pub(crate) fn get(&self, key: NameHash) -> Option<Arc<Entry>> {
        match self.pinned.slot(key) {
            Slot::Free => self.map.get(&key),
            Slot::Holds(entry) => Some(entry),
            Slot::Empty => {
                let entry = self.map.get(&key)?;
                // To keep it is to lock out all who read.
                if self.pinned.has_room(weigh(&key, &entry)) {
                    self.keep(&entry);
                }
                Some(entry)
            }
        }
    }

    /// The entry, without that a key which is not held counts as wanted once more:
    /// each key that was read in vain, and then stored, would have counted twice,
    /// and driven out what is read as often.
    pub(crate) fn peek(&self, key: NameHash) -> Option<Arc<Entry>> {
        if let Slot::Holds(entry) = self.pinned.slot(key) {
            return Some(entry);
        }
        let held = self.map.contains_key(&key);
        held.then(|| self.map.get(&key)).flatten()
    }

    /// The entry, for who must not count as one who wants it. It takes a walk over
    /// all keys, so others have their turn on the way.
    pub(crate) async fn look_at(&self, key: NameHash) -> Option<Arc<Entry>> {
        if let Slot::Holds(entry) = self.pinned.slot(key) {
            return Some(entry);
        }
        if !self.map.contains_key(&key) {
            return None;
        }
        for (walked, (held, entry)) in self.map.iter().enumerate() {
            if *held == key {
                return Some(entry);
            }
            if walked % WALK == WALK - 1 {
                others_turn().await;
            }
        }
        None
    }

    /// Holds what was looked for in vain before, unless a newer one is held.
    pub(crate) fn insert(&self, entry: Entry) {
        let held = self.peek(entry.facts.key.hash());
        self.replace(held, entry);
    }

    /// Holds what is written, unless a newer one is held. It counts as wanted
    /// once: nobody has looked for it, and a full map lets nothing in that was
    /// wanted less than what it would drive out.
    pub(crate) fn insert_written(&self, entry: Entry) {
        let held = self.get(entry.facts.key.hash());
        self.replace(held, entry);
    }

    fn replace(&self, held: Option<Arc<Entry>>, entry: Entry) {
        if held.is_some_and(|held| held.is_newer(&entry)) {
            return;
        }
        let entry = Arc::new(own_bytes(entry));
        let key = entry.facts.key.hash();
        if matches!(self.pinned.slot(key), Slot::Free) || !self.keep(&entry) {
            self.map.insert(key, entry);
        }
    }

    /// Keeps the entry for who refers to its key; false: it is to be evicted like
    /// others.
    fn keep(&self, entry: &Arc<Entry>) -> bool {
        let key = entry.facts.key.hash();
        let kept = self.pinned.keep(entry, weigh(&key, entry));
        if kept {
            self.map.invalidate(&key);
        }
        kept
    }

    pub(crate) fn remove(&self, key: NameHash) {
        self.pinned.remove(key);
        self.map.invalidate(&key);
    }

    /// Lets go of what is kept, unless another has taken its place.
    pub(crate) fn give_up(&self, entry: &Arc<Entry>) {
        self.pinned.give_up(entry);
    }

    /// Makes room of what is not kept.
    pub(crate) fn evict(&self, key: NameHash) {
        self.map.invalidate(&key);
    }

    /// The key is referred to from now on: its entry is kept, while there is room.
    pub(crate) fn pin(&self, key: NameHash) {
        self.pinned.refer(key);
        if let Some(entry) = self.peek(key) {
            self.keep(&entry);
        }
    }

    /// Nobody refers to the key any more: its entry is evicted like others.
    pub(crate) fn unpin(&self, key: NameHash) {
        if let Some(entry) = self.pinned.forget(key) {
            // It counts as wanted, or it would not be let in at all.
            let held = self.map.get(&key);
            if !held.is_some_and(|held| held.is_newer(&entry)) {
                self.map.insert(key, entry);
            }
        }
    }

    /// Whether the entry of a key that is referred to is kept.
    pub(crate) fn here(&self, key: NameHash) -> Here {
        match self.pinned.slot(key) {
            Slot::Holds(_) => Here::Pinned,
            Slot::Empty | Slot::Free if self.map.contains_key(&key) => Here::NoRoom,
            Slot::Empty | Slot::Free => Here::NotCached,
        }
    }

    /// All that is kept, if something found no room since this was asked last:
    /// what of it is of no more use should go.
    pub(crate) fn when_full(&self) -> Vec<Arc<Entry>> {
        self.pinned.when_full()
    }

    /// Entries and weighed bytes, as of moka's last housekeeping; of them what is
    /// kept for references.
    pub(crate) fn size(&self) -> Size {
        self.map.run_pending_tasks();
        let (pinned_entries, pinned_bytes) = self.pinned.size();
        Size {
            entries: self.map.entry_count() + pinned_entries,
            bytes: self.map.weighted_size() + pinned_bytes,
            pinned_entries,
            pinned_bytes,
        }
    }
}

/// What L1 holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) entries: u64,
    pub(crate) bytes: u64,
    pub(crate) pinned_entries: u64,
    pub(crate) pinned_bytes: u64,
}

/// Ready when it is polled again.
async fn others_turn() {
    let mut had = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut had, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// A small value as a copy of its own: it arrives as a slice of a buffer that
/// it would keep alive, many times its weight.
fn own_bytes(mut entry: Entry) -> Entry {
    if let Payload::Value(value) = &mut entry.payload
        && value.data.len() < SHARED_BYTES
    {
        value.data = Bytes::copy_from_slice(&value.data);
    }
    entry
}

/// What an entry takes of the process's memory, rather more than less: with
/// less, L1 would outgrow its bound, and the container's memory with it.
fn weigh(_: &NameHash, entry: &Arc<Entry>) -> u32 {
    let tags = entry.tags.iter().map(|tag| tag.as_str().len() + TAG_BYTES);
    let prefixes = entry.facts.prefixes.len() * size_of::<NameHash>();
    let key = entry.facts.key.name().len();
    let data = entry.payload.data().len();
    let depends = entry.facts.depends.as_ref().map_or(0, |on| on.size());
    let names = key + tags.sum::<usize>() + prefixes + depends;
    let bytes = names + data + data / LOST_PART + OVERHEAD_BYTES;
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
