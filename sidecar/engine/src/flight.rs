//! Flights: one read of the remote tier per key at a time in this pod.
//!
//! Whoever joins a flight judges what it brought for himself, by the hit rule.
//! A flight lives as long as somebody waits for it.

use crate::coherence::Source;
use crate::engine::lock;
use crate::key::NameHash;
use crate::remote::{RemoteError, Stored};
use futures::future::{BoxFuture, FutureExt, Shared, WeakShared};
use std::collections::HashMap;
use std::sync::Mutex;

type Read = Result<Option<Stored>, RemoteError>;
type Flight = Shared<BoxFuture<'static, Read>>;

#[derive(Default)]
pub(crate) struct Flights {
    flights: Mutex<HashMap<NameHash, WeakShared<BoxFuture<'static, Read>>>>,
}

impl Flights {
    /// Joins the flight for `key`, or starts one, and says which.
    pub(crate) async fn join(
        &self,
        key: NameHash,
        start: impl FnOnce() -> BoxFuture<'static, Read>,
    ) -> (Source, Read) {
        let (source, flight) = self.find_or_start(key, start);
        let landed = Landing { flights: self, key };
        let read = flight.await;
        drop(landed);
        (source, read)
    }

    fn find_or_start(
        &self,
        key: NameHash,
        start: impl FnOnce() -> BoxFuture<'static, Read>,
    ) -> (Source, Flight) {
        let mut flights = lock(&self.flights);
        // A flight that has landed answers nobody who comes later.
        let flying = flights
            .get(&key)
            .and_then(WeakShared::upgrade)
            .filter(|f| f.peek().is_none());
        if let Some(flight) = flying {
            return (Source::Flight, flight);
        }
        let flight = start().shared();
        if flights.len() >= 1024 {
            flights.retain(|_, f| f.upgrade().is_some());
        }
        if let Some(weak) = flight.downgrade() {
            flights.insert(key, weak);
        }
        (Source::Remote, flight)
    }
}

/// Removes a flight that nobody waits for, also when its waiter was cancelled.
struct Landing<'a> {
    flights: &'a Flights,
    key: NameHash,
}

impl Drop for Landing<'_> {
    fn drop(&mut self) {
        let mut flights = lock(&self.flights.flights);
        let over = |f: &WeakShared<_>| f.upgrade().is_none_or(|f: Flight| f.peek().is_some());
        if flights.get(&self.key).is_some_and(over) {
            flights.remove(&self.key);
        }
    }
}
