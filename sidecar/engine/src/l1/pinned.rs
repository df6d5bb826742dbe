//! The entries that L1 keeps because their keys are referred to: beside the map
//! that evicts, bounded by a weight of their own.
//!
//! Guarantees: a key's entry is in one of the two maps; while no key is referred
//! to a lookup costs one load of a flag. Keeping an entry says nothing of whether
//! it may be served: the hit rule judges it like every other.

use crate::entry::Entry;
use crate::hashed::ByName;
use crate::key::NameHash;
use crate::policy::refs;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Whether a key's entry is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Here {
    /// It is.
    Pinned,
    /// L1 does not hold it; it will be kept when it comes.
    NotCached,
    /// L1 holds it, and there is no room to keep it.
    NoRoom,
}

/// The keys that are referred to, and the entries that are kept for them.
pub(super) struct Pinned {
    /// Whether any key is referred to.
    any: AtomicBool,
    slots: RwLock<Slots>,
    max: u64,
}

#[derive(Default)]
struct Slots {
    keys: HashMap<NameHash, Option<Kept>, ByName>,
    entries: u64,
    bytes: u64,
    /// An entry found no room since this was asked for last.
    was_full: bool,
}

struct Kept {
    entry: Arc<Entry>,
    weight: u32,
}

/// What is known of a key.
pub(super) enum Slot {
    /// Nobody refers to it.
    Free,
    /// Somebody does, and nothing is kept.
    Empty,
    /// Its entry is kept.
    Holds(Arc<Entry>),
}

impl Pinned {
    pub(super) fn new(max: u64) -> Self {
        Self {
            any: AtomicBool::new(false),
            slots: RwLock::default(),
            max,
        }
    }

    pub(super) fn slot(&self, key: NameHash) -> Slot {
        if !self.any.load(Ordering::Acquire) {
            return Slot::Free;
        }
        match self.read().keys.get(&key) {
            None => Slot::Free,
            Some(None) => Slot::Empty,
            Some(Some(kept)) => Slot::Holds(Arc::clone(&kept.entry)),
        }
    }

    /// The key is referred to from now on.
    pub(super) fn refer(&self, key: NameHash) {
        let mut slots = self.write();
        slots.keys.entry(key).or_default();
        self.any.store(true, Ordering::Release);
    }

    /// Nobody refers to the key any more; what was kept for it.
    pub(super) fn forget(&self, key: NameHash) -> Option<Arc<Entry>> {
        let mut slots = self.write();
        let kept = slots.take(key);
        slots.keys.remove(&key);
        if slots.keys.is_empty() {
            self.any.store(false, Ordering::Release);
        }
        kept
    }

    /// Keeps the entry in place of the one that is kept, unless that is newer, if
    /// its key is referred to and there is room. False: it is for the other map,
    /// and nothing is kept here.
    pub(super) fn keep(&self, entry: &Arc<Entry>, weight: u32) -> bool {
        let key = entry.facts.key.hash();
        let mut slots = self.write();
        match slots.keys.get(&key) {
            None => return false,
            Some(Some(kept)) if kept.entry.is_newer(entry) => return true,
            Some(_) => {}
        }
        slots.take(key);
        let has_room = refs::has_room(slots.bytes, u64::from(weight), self.max);
        if has_room {
            slots.put(key, Arc::clone(entry), weight);
        }
        slots.was_full |= !has_room;
        has_room
    }

    /// Lets the entry go; the key is referred to as before.
    pub(super) fn remove(&self, key: NameHash) {
        if self.any.load(Ordering::Acquire) {
            self.write().take(key);
        }
    }

    /// Lets this very entry go.
    pub(super) fn give_up(&self, entry: &Arc<Entry>) {
        let key = entry.facts.key.hash();
        let mut slots = self.write();
        let kept = slots.keys.get(&key).and_then(Option::as_ref);
        if kept.is_some_and(|kept| Arc::ptr_eq(&kept.entry, entry)) {
            slots.take(key);
        }
    }

    /// Whether an entry of this weight would be kept.
    pub(super) fn has_room(&self, weight: u32) -> bool {
        refs::has_room(self.read().bytes, u64::from(weight), self.max)
    }

    /// All that is kept, if something found no room since it was asked for last.
    pub(super) fn when_full(&self) -> Vec<Arc<Entry>> {
        if !self.any.load(Ordering::Acquire) || !std::mem::take(&mut self.write().was_full) {
            return Vec::new();
        }
        let slots = self.read();
        let kept = slots.keys.values().flatten();
        kept.map(|kept| Arc::clone(&kept.entry)).collect()
    }

    /// Entries and weighed bytes that are kept.
    pub(super) fn size(&self) -> (u64, u64) {
        let slots = self.read();
        (slots.entries, slots.bytes)
    }

    fn read(&self) -> RwLockReadGuard<'_, Slots> {
        self.slots.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Slots> {
        self.slots.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slots {
    fn put(&mut self, key: NameHash, entry: Arc<Entry>, weight: u32) {
        self.entries += 1;
        self.bytes += u64::from(weight);
        self.keys.insert(key, Some(Kept { entry, weight }));
    }

    fn take(&mut self, key: NameHash) -> Option<Arc<Entry>> {
        let kept = self.keys.get_mut(&key)?.take()?;
        self.entries -= 1;
        self.bytes -= u64::from(kept.weight);
        Some(kept.entry)
    }
}
