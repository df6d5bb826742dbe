//! L1: this pod's memory. A bounded map and nothing else: entries are judged
//! by the hit rule whenever they are read, and loads do not run through it.
//!
//! moka's own load and invalidation paths race with each other; only insert,
//! get and remove are used. When an entry ends is judged by the hit rule, too.

use crate::entry::Entry;
use crate::hashed::ByName;
use crate::key::NameHash;
use crate::request::Payload;
use bytes::Bytes;
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
}

impl L1 {
    pub(crate) fn new(max_bytes: u64) -> Self {
        let map = moka::sync::Cache::builder()
            .max_capacity(max_bytes)
            .weigher(weigh)
            .build_with_hasher(ByName::default());
        Self { map }
    }

    pub(crate) fn get(&self, key: NameHash) -> Option<Arc<Entry>> {
        self.map.get(&key)
    }

    /// The entry, without that a key which is not held counts as wanted once more:
    /// each key that was read in vain, and then stored, would have counted twice,
    /// and driven out what is read as often.
    pub(crate) fn peek(&self, key: NameHash) -> Option<Arc<Entry>> {
        let held = self.map.contains_key(&key);
        held.then(|| self.map.get(&key)).flatten()
    }

    /// The entry, for who must not count as one who wants it. It takes a walk over
    /// all keys, so others have their turn on the way.
    pub(crate) async fn look_at(&self, key: NameHash) -> Option<Arc<Entry>> {
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
        let held = self.map.get(&entry.facts.key.hash());
        self.replace(held, entry);
    }

    fn replace(&self, held: Option<Arc<Entry>>, entry: Entry) {
        if let Some(held) = held
            && held.facts.epoch == entry.facts.epoch
            && held.facts.as_of > entry.facts.as_of
        {
            return;
        }
        let key = entry.facts.key.hash();
        self.map.insert(key, Arc::new(own_bytes(entry)));
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
    let bytes = key + data + data / LOST_PART + tags.sum::<usize>() + prefixes + OVERHEAD_BYTES;
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
