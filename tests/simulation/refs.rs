//! The modelled records of references: one per key and owner, in one order, each
//! with an end of its own. What a server does; nothing here belongs to a pod.

use std::collections::BTreeMap;
use std::time::Duration;
use unstale_engine::key::NameHash;
use unstale_engine::references::{Event, Gone, Present, Reference, ReferenceId};

/// How long it is remembered that a reference has ended (µs).
const REMEMBERED: u64 = 60_000_000;

struct There {
    reference: Reference,
    sequence: u64,
    until: u64,
}

struct Ended {
    gone: Gone,
    at: u64,
}

/// The server.
#[derive(Default)]
pub(crate) struct ReferenceServer {
    there: BTreeMap<(u128, u128), There>,
    ended: BTreeMap<(u128, u128), Ended>,
    /// All that was told, the sequence being its place.
    told: Vec<Event>,
}

fn place(id: ReferenceId) -> (u128, u128) {
    (id.key.0, id.owner)
}

impl ReferenceServer {
    /// The last sequence.
    pub(crate) fn last(&self) -> u64 {
        self.told.len() as u64
    }

    /// What was told after this sequence, the next one.
    pub(crate) fn after(&self, sequence: u64) -> Option<Event> {
        self.told.get(sequence as usize).cloned()
    }

    pub(crate) fn put(&mut self, reference: Reference, term: Duration, now: u64) -> u64 {
        let sequence = self.last() + 1;
        let id = reference.id();
        self.told.push(Event::Present(Present {
            sequence,
            reference: reference.clone(),
            left: term,
        }));
        self.ended.remove(&place(id));
        let there = There {
            reference,
            sequence,
            until: now + term.as_micros() as u64,
        };
        self.there.insert(place(id), there);
        sequence
    }

    pub(crate) fn remove(&mut self, id: ReferenceId, now: u64) -> Option<u64> {
        let there = self.there.remove(&place(id))?;
        Some(self.end(id, Some(there.reference), now))
    }

    fn end(&mut self, id: ReferenceId, reference: Option<Reference>, now: u64) -> u64 {
        let sequence = self.last() + 1;
        let gone = Gone {
            sequence,
            id,
            reference,
        };
        self.told.push(Event::Gone(gone.clone()));
        self.ended.insert(place(id), Ended { gone, at: now });
        sequence
    }

    /// Ends what has lasted its term. True: there was something.
    pub(crate) fn end_due(&mut self, now: u64) -> bool {
        let due = self.there.values().filter(|there| there.until <= now);
        let due: Vec<_> = due.map(|there| there.reference.id()).collect();
        for id in &due {
            self.there.remove(&place(*id));
            self.end(*id, None, now);
        }
        self.ended.retain(|_, ended| now < ended.at + REMEMBERED);
        !due.is_empty()
    }

    /// Everything there is.
    pub(crate) fn state(&self, now: u64) -> Event {
        let present = self.there.values().map(|there| Present {
            sequence: there.sequence,
            reference: there.reference.clone(),
            left: Duration::from_micros(there.until.saturating_sub(now)),
        });
        Event::State {
            present: present.collect(),
            gone: self
                .ended
                .values()
                .map(|ended| ended.gone.clone())
                .collect(),
            sequence: self.last(),
        }
    }

    /// How many owners refer to a key.
    pub(crate) fn count(&self, key: NameHash) -> usize {
        self.there.keys().filter(|(of, _)| *of == key.0).count()
    }
}
