//! Flights: one read of the remote tier per key at a time in this pod.
//!
//! A flight carries one key or many. Whoever joins one judges what it brought
//! for himself, by the hit rule. A flight lives as long as somebody waits for
//! it.

use crate::coherence::Source;
use crate::engine::lock;
use crate::hashed::ByName;
use crate::key::NameHash;
use crate::remote::{Read, RemoteError};
use futures::future::{BoxFuture, FutureExt, OptionFuture, Shared, WeakShared, join_all};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, OnceLock};

/// What it brings, in the order of its keys.
type Brought = Arc<Vec<Read>>;
type Flight = Shared<BoxFuture<'static, Brought>>;

/// A flight under way, as all of its keys share it; empty until it has started.
type Weak = Arc<OnceLock<WeakShared<BoxFuture<'static, Brought>>>>;

/// A flight, and a key's place in it.
struct Flying {
    flight: Weak,
    at: usize,
}

/// A flight that has landed answers nobody who comes later.
fn joined(flight: &Weak) -> Option<Flight> {
    flight.get()?.upgrade().filter(|f| f.peek().is_none())
}

#[derive(Default)]
pub(crate) struct Flights {
    flying: Mutex<HashMap<NameHash, Flying, ByName>>,
}

/// Where a key's answer comes from.
enum Seat {
    /// The call's own flight.
    Own(Source, usize),
    /// This one of the others' flights.
    Joined(usize, usize),
}

/// How a call's keys are read.
#[derive(Default)]
struct Boarded {
    own: Option<Flight>,
    joined: Vec<Flight>,
    seats: Vec<Seat>,
}

impl Flights {
    /// Joins the flights of `keys`, starts one for those that have none, and
    /// says which; one answer per key, in their order.
    pub(crate) async fn join(
        &self,
        keys: &[NameHash],
        start: impl FnOnce(Vec<NameHash>) -> BoxFuture<'static, Vec<Read>>,
    ) -> Vec<(Source, Read)> {
        let Boarded { own, joined, seats } = self.board(keys, start);
        let landing = Landing {
            flights: self,
            keys,
        };
        let (own, joined) = futures::join!(OptionFuture::from(own), join_all(joined));
        drop(landing);
        // Nobody else holds it if nobody joined: then there is nothing to copy.
        let mut own = Arc::unwrap_or_clone(own.unwrap_or_default());
        let brought = seats.iter().map(|seat| match seat {
            Seat::Own(Source::Remote, at) => (Source::Remote, taken(&mut own, *at)),
            Seat::Own(source, at) => (*source, answer(&own, *at)),
            Seat::Joined(flight, at) => (Source::Flight, answer(&joined[*flight], *at)),
        });
        // From the end: who is there twice takes it the first time.
        let mut brought: Vec<_> = brought.rev().collect();
        brought.reverse();
        brought
    }

    fn board(
        &self,
        keys: &[NameHash],
        start: impl FnOnce(Vec<NameHash>) -> BoxFuture<'static, Vec<Read>>,
    ) -> Boarded {
        let mut flying = lock(&self.flying);
        if flying.len() >= 1024 {
            flying.retain(|_, f| joined(&f.flight).is_some());
        }
        let mut boarded = Boarded::default();
        let (own, mut asked) = (Weak::default(), Vec::new());
        boarded.seats.reserve(keys.len());
        for key in keys {
            let seat = boarded.seat(flying.entry(*key), &own, asked.len());
            if let Seat::Own(Source::Remote, _) = seat {
                asked.push(*key);
            }
            boarded.seats.push(seat);
        }
        if !asked.is_empty() {
            let flight = start(asked).map(Brought::from).boxed().shared();
            let _ = own.set(flight.downgrade().expect("it has not ended"));
            boarded.own = Some(flight);
        }
        boarded
    }
}

impl Boarded {
    /// The seat of a key: in a flight under way, or `next` in the own one.
    fn seat(&mut self, key: Entry<'_, NameHash, Flying>, own: &Weak, next: usize) -> Seat {
        let flying = || Flying {
            flight: own.clone(),
            at: next,
        };
        let mut held = match key {
            Entry::Vacant(free) => {
                free.insert(flying());
                return Seat::Own(Source::Remote, next);
            }
            Entry::Occupied(held) => held,
        };
        if Arc::ptr_eq(&held.get().flight, own) {
            // Twice in one call.
            return Seat::Own(Source::Flight, held.get().at);
        }
        match joined(&held.get().flight) {
            Some(flight) => self.join(flight, held.get().at),
            None => {
                held.insert(flying());
                Seat::Own(Source::Remote, next)
            }
        }
    }

    fn join(&mut self, flight: Flight, at: usize) -> Seat {
        let known = self.joined.iter().position(|f| f.ptr_eq(&flight));
        let number = known.unwrap_or_else(|| {
            self.joined.push(flight);
            self.joined.len() - 1
        });
        Seat::Joined(number, at)
    }
}

/// A tier owes one answer per key.
fn answer(brought: &[Read], at: usize) -> Read {
    brought.get(at).cloned().unwrap_or_else(|| Err(left_out()))
}

/// The same, for the last time.
fn taken(brought: &mut [Read], at: usize) -> Read {
    let read = brought.get_mut(at);
    read.map_or_else(|| Err(left_out()), |read| std::mem::replace(read, Ok(None)))
}

fn left_out() -> RemoteError {
    RemoteError::Unavailable("the remote tier left the key out".into())
}

/// Removes flights that nobody waits for, also when their waiter was cancelled.
struct Landing<'a> {
    flights: &'a Flights,
    keys: &'a [NameHash],
}

impl Drop for Landing<'_> {
    fn drop(&mut self) {
        let mut flying = lock(&self.flights.flying);
        // Most of the keys are in one flight.
        let mut last: Option<(Weak, bool)> = None;
        for key in self.keys {
            let Entry::Occupied(held) = flying.entry(*key) else {
                continue;
            };
            let flight = &held.get().flight;
            let over = match &last {
                Some((last, over)) if Arc::ptr_eq(last, flight) => *over,
                _ => {
                    let over = joined(flight).is_none();
                    last = Some((flight.clone(), over));
                    over
                }
            };
            if over {
                held.remove();
            }
        }
    }
}
