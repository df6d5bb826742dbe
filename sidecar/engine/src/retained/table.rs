//! Who refers to what, as the records tell it: events in, changes out.
//!
//! Guarantees: what is told is all that counts, but no reference lasts longer here
//! than its term by this pod's clock, told or not; references of one key end in
//! the order in which the records say so, so that all pods agree which was the
//! last. Bounded: what is above the bound is not followed.

use super::drops::Drops;
use crate::clock::Moment;
use crate::hashed::ByName;
use crate::key::{Key, NameHash};
use crate::limits;
use crate::policy::refs;
use crate::references::{Event, Gone, Present, Reference, ReferenceId};
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

/// A term that passed here is taken for ended when no record has said so after
/// this: a driver that could not say it, or lost the record.
const UNTOLD: Duration = Duration::from_secs(10);

/// What follows of an event for L1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// The key is referred to.
    Pin(NameHash),
    /// It is not any more.
    Unpin(NameHash),
}

/// One owner's reference.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) reference: Reference,
    sequence: u64,
    pub(crate) until: Moment,
}

/// The references of one key.
#[derive(Default)]
struct Owners {
    /// By the owner's hash.
    all: BTreeMap<u128, Held>,
    pinned: bool,
}

impl Owners {
    fn live(&self, now: Moment) -> impl Iterator<Item = &Held> {
        self.all.values().filter(move |held| held.until > now)
    }

    /// What is dropped when all of them ended while nobody here followed, and the
    /// record that ended the last. Where all ends are told, the last one decides.
    fn lost(&self, told: &HashMap<ReferenceId, u64>, last: Option<&Gone>) -> Option<(Key, u64)> {
        let all = self.all.values().map(|held| &held.reference);
        let key = all.clone().next()?.key.clone();
        if all.clone().all(|one| told.contains_key(&one.id())) {
            let last = last?;
            let held = || Some(&self.all.get(&last.id.owner)?.reference);
            let decides = last.reference.as_ref().or_else(held)?;
            return refs::drops([decides]).then_some((key, last.sequence));
        }
        let ends = self.all.values().map(|held| {
            let told = told.get(&held.reference.id()).copied();
            told.unwrap_or(held.sequence)
        });
        let end = ends.max()?;
        refs::drops(all).then_some((key, end))
    }
}

/// Of each key the end that was told last.
fn last_ends(gone: &[Gone]) -> HashMap<NameHash, &Gone, ByName> {
    let mut last = HashMap::default();
    for gone in gone {
        let known = last.entry(gone.id.key).or_insert(gone);
        if known.sequence < gone.sequence {
            *known = gone;
        }
    }
    last
}

/// The references that are known here.
#[derive(Default)]
pub(crate) struct Table {
    keys: HashMap<NameHash, Owners, ByName>,
    count: usize,
    processed: u64,
    /// None while the records are followed.
    away: Option<String>,
    /// Whether they were ever followed.
    has_followed: bool,
    pub(crate) drops: Drops,
    changes: Vec<Change>,
}

impl Table {
    /// A table of what is not followed yet.
    pub(crate) fn new() -> Self {
        Self {
            away: Some("not followed yet".into()),
            ..Self::default()
        }
    }

    /// Takes one event. `random` draws when a drop is due.
    pub(crate) fn apply(
        &mut self,
        event: Event,
        now: Moment,
        random: &mut dyn FnMut() -> u64,
    ) -> Vec<Change> {
        match event {
            Event::State {
                present,
                gone,
                sequence,
            } => {
                self.away = None;
                self.replace(present, &gone, now, random);
                self.has_followed = true;
                self.processed = sequence;
            }
            Event::Present(present) => {
                self.processed = present.sequence;
                self.present(present, now);
            }
            Event::Gone(gone) => {
                self.processed = gone.sequence;
                self.gone(&gone, now, random);
            }
            Event::Away(why) => self.away = Some(why),
        }
        std::mem::take(&mut self.changes)
    }

    /// Ends what has lasted its term.
    pub(crate) fn sweep(&mut self, now: Moment, random: &mut dyn FnMut() -> u64) -> Vec<Change> {
        let mut untold = Vec::new();
        for (key, owners) in &mut self.keys {
            if owners.pinned && owners.live(now).next().is_none() {
                owners.pinned = false;
                self.changes.push(Change::Unpin(*key));
            }
            let over = owners.all.iter();
            let over = over.filter(|(_, held)| held.until.plus(UNTOLD) <= now);
            untold.extend(over.map(|(owner, held)| Gone {
                sequence: held.sequence,
                id: ReferenceId {
                    key: *key,
                    owner: *owner,
                },
                reference: None,
            }));
        }
        for gone in untold {
            self.gone(&gone, now, random);
        }
        std::mem::take(&mut self.changes)
    }

    fn present(&mut self, present: Present, now: Moment) {
        let id = present.reference.id();
        let is_known = self.knows(id);
        if !is_known && self.is_full() {
            return;
        }
        self.count += usize::from(!is_known);
        let owners = self.keys.entry(id.key).or_default();
        let held = Held {
            sequence: present.sequence,
            until: now.plus(present.left),
            reference: present.reference,
        };
        owners.all.insert(id.owner, held);
        if !owners.pinned && !present.left.is_zero() {
            owners.pinned = true;
            self.changes.push(Change::Pin(id.key));
        }
        self.drops.forget(id.key);
    }

    fn gone(&mut self, gone: &Gone, now: Moment, random: &mut dyn FnMut() -> u64) {
        let Some(owners) = self.keys.get_mut(&gone.id.key) else {
            return;
        };
        let Some(held) = owners.all.remove(&gone.id.owner) else {
            return;
        };
        self.count -= 1;
        if owners.pinned && owners.live(now).next().is_none() {
            owners.pinned = false;
            self.changes.push(Change::Unpin(gone.id.key));
        }
        if owners.all.is_empty() {
            self.keys.remove(&gone.id.key);
            if refs::drops([&held.reference]) {
                let due = now.plus(refs::stagger(random()));
                self.drops.add(held.reference.key, gone.sequence, due);
            }
        }
    }

    /// What is there now, in place of what was known.
    fn replace(
        &mut self,
        present: Vec<Present>,
        gone: &[Gone],
        now: Moment,
        random: &mut dyn FnMut() -> u64,
    ) {
        let before = std::mem::take(&mut self.keys);
        self.count = 0;
        for present in present {
            self.present(present, now);
        }
        // What is there with nothing left of its term is pinned no more either.
        for (key, _) in before.iter().filter(|(_, owners)| owners.pinned) {
            if !self.keys.get(key).is_some_and(|owners| owners.pinned) {
                self.changes.push(Change::Unpin(*key));
            }
        }
        for (key, ended_by) in self.ended_unseen(&before, gone) {
            let due = now.plus(refs::stagger(random()));
            self.drops.add(key, ended_by, due);
        }
    }

    /// What is to be dropped of keys whose last reference ended while nobody here
    /// followed.
    fn ended_unseen(
        &self,
        before: &HashMap<NameHash, Owners, ByName>,
        gone: &[Gone],
    ) -> Vec<(Key, u64)> {
        let told: HashMap<_, _> = gone.iter().map(|gone| (gone.id, gone.sequence)).collect();
        let last = last_ends(gone);
        let over = before
            .iter()
            .filter(|(key, _)| !self.keys.contains_key(*key));
        let mut drops: Vec<_> = over
            .filter_map(|(key, owners)| owners.lost(&told, last.get(key).copied()))
            .collect();
        // Of keys that were not known here a release says what it was; others have
        // followed it, or this pod, which comes only now, knows nothing of what was
        // dropped or written since.
        let unknown = last.iter().filter(|(key, gone)| {
            self.has_followed
                && gone.sequence > self.processed
                && !before.contains_key(*key)
                && !self.keys.contains_key(*key)
        });
        drops.extend(unknown.filter_map(|(_, gone)| {
            let reference = gone.reference.as_ref()?;
            refs::drops([reference]).then(|| (reference.key.clone(), gone.sequence))
        }));
        drops
    }

    fn knows(&self, id: ReferenceId) -> bool {
        let owners = self.keys.get(&id.key);
        owners.is_some_and(|owners| owners.all.contains_key(&id.owner))
    }

    fn is_full(&self) -> bool {
        self.count >= limits::REFERENCES
    }

    /// Whether there is room to follow this one.
    pub(crate) fn has_room(&self, id: ReferenceId) -> bool {
        self.knows(id) || !self.is_full()
    }

    /// Every record up to this sequence is reflected.
    pub(crate) fn processed(&self) -> u64 {
        self.processed
    }

    /// What keeps the records away.
    pub(crate) fn away(&self) -> Option<&str> {
        self.away.as_deref()
    }

    /// References that are followed.
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// How many owners refer to the key.
    pub(crate) fn count(&self, key: NameHash, now: Moment) -> usize {
        let owners = self.keys.get(&key);
        owners.map_or(0, |owners| owners.live(now).count())
    }

    /// Who refers to the key, by name.
    pub(crate) fn of(&self, key: &Key, now: Moment) -> Vec<Held> {
        let owners = self.keys.get(&key.hash());
        let live = owners.into_iter().flat_map(|owners| owners.live(now));
        let mut all: Vec<_> = live.cloned().collect();
        all.sort_unstable_by(|a, b| a.reference.owner.cmp(&b.reference.owner));
        all
    }
}

#[cfg(test)]
mod tests;
