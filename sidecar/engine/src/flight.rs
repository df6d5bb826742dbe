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
use std::sync::{Arc, Mutex};

/// What it brings, in the order of its keys.
type Brought = Arc<Vec<Read>>;
type Flight = Shared<BoxFuture<'static, Brought>>;

/// A flight under way, and a key's place in it.
struct Flying {
    flight: WeakShared<BoxFuture<'static, Brought>>,
    at: usize,
}

impl Flying {
    /// A flight that has landed answers nobody who comes later.
    fn joined(&self) -> Option<Flight> {
        self.flight.upgrade().filter(|f| f.peek().is_none())
    }
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
        let mut boarded = Boarded::default();
        let mut own: HashMap<NameHash, usize, ByName> = HashMap::default();
        let mut asked = Vec::new();
        for key in keys {
            let seat = if let Some(at) = own.get(key) {
                // Twice in one call.
                Seat::Own(Source::Flight, *at)
            } else if let Some((flight, at)) =
                flying.get(key).and_then(|f| Some((f.joined()?, f.at)))
            {
                boarded.join(flight, at)
            } else {
                own.insert(*key, asked.len());
                asked.push(*key);
                Seat::Own(Source::Remote, asked.len() - 1)
            };
            boarded.seats.push(seat);
        }
        if asked.is_empty() {
            return boarded;
        }
        if flying.len() >= 1024 {
            flying.retain(|_, f| f.joined().is_some());
        }
        let flight = start(asked).map(Brought::from).boxed().shared();
        for (key, at) in own {
            if let Some(flight) = flight.downgrade() {
                flying.insert(key, Flying { flight, at });
            }
        }
        boarded.own = Some(flight);
        boarded
    }
}

impl Boarded {
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
        for key in self.keys {
            if flying.get(key).is_some_and(|f| f.joined().is_none()) {
                flying.remove(key);
            }
        }
    }
}
