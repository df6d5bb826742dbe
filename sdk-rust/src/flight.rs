//! Loads under way in this process, so that an outage of the sidecar is no
//! stampede: while there are no leases, one caller loads a key and the others
//! take what it found.
//!
//! Guarantees that a caller never joins a load that began before this client's
//! last write or invalidation of the key, nor, if it says when it came, one that
//! began before. Says nothing of other processes.

use crate::Content;
use std::collections::HashMap;
use std::fmt::{self, Debug, Formatter};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;
use tokio::time::Instant;

/// A namespace and a key.
type Name = (String, String);
/// None until the load has ended well.
type Landing = watch::Receiver<Option<Content>>;
/// A load, and when it began.
type UnderWay = (Landing, Instant);

/// The loads under way; clones share them.
#[derive(Clone, Default)]
pub(crate) struct Flights {
    under_way: Arc<Mutex<HashMap<Name, UnderWay>>>,
}

/// A caller's part in a load.
pub(crate) enum Seat {
    /// It loads.
    Lead(Flight),
    /// It waits for who does.
    Follow(Follower),
}

impl Flights {
    /// Joins the load of this key, or begins one.
    pub(crate) fn join(&self, namespace: &str, key: &str) -> Seat {
        let name = (namespace.to_owned(), key.to_owned());
        let mut under_way = self.lock();
        match under_way.get(&name) {
            Some((landing, began)) => Seat::Follow(Follower {
                landing: landing.clone(),
                began: *began,
            }),
            None => Seat::Lead(self.begin(name, &mut under_way)),
        }
    }

    /// Begins a load of this key; those who come from now on join it.
    pub(crate) fn lead(&self, namespace: &str, key: &str) -> Flight {
        let name = (namespace.to_owned(), key.to_owned());
        self.begin(name, &mut self.lock())
    }

    fn begin(&self, name: Name, under_way: &mut HashMap<Name, UnderWay>) -> Flight {
        let (landed, landing) = watch::channel(None);
        under_way.insert(name.clone(), (landing, Instant::now()));
        Flight {
            flights: self.clone(),
            name,
            landed,
        }
    }

    /// Nobody joins a load of these keys any more that is under way.
    pub(crate) fn forget<'a>(&self, namespace: &str, keys: impl IntoIterator<Item = &'a str>) {
        let mut under_way = self.lock();
        if !under_way.is_empty() {
            for key in keys {
                under_way.remove(&(namespace.to_owned(), key.to_owned()));
            }
        }
    }

    /// The same for every key of the namespace.
    pub(crate) fn forget_all(&self, namespace: &str) {
        self.lock().retain(|(of, _), _| of != namespace);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Name, UnderWay>> {
        // Every change is one step: a panic elsewhere leaves it whole.
        self.under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// A load in the hands of who loads; dropped without a value, the first of the
/// others loads.
pub(crate) struct Flight {
    flights: Flights,
    name: Name,
    landed: watch::Sender<Option<Content>>,
}

impl Flight {
    /// The load ended well.
    pub(crate) fn land(self, content: &Content) {
        self.leave();
        // Nobody can join any more: without followers nobody needs a copy.
        if self.landed.receiver_count() > 0 {
            self.landed.send_replace(Some(content.clone()));
        }
    }

    /// Nobody joins it from now on; a later load of the key is not touched.
    fn leave(&self) {
        let mut under_way = self.flights.lock();
        let own = |(landing, _): &UnderWay| landing.same_channel(&self.landed.subscribe());
        if under_way.get(&self.name).is_some_and(own) {
            under_way.remove(&self.name);
        }
    }
}

/// Values are nobody's business.
impl Debug for Flight {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flight").finish_non_exhaustive()
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.leave();
    }
}

/// Waits for somebody else's load.
pub(crate) struct Follower {
    landing: Landing,
    began: Instant,
}

impl Follower {
    /// Whether the load began then or later.
    pub(crate) fn began_since(&self, then: Instant) -> bool {
        self.began >= then
    }

    /// What was loaded; none when the load failed or was dropped.
    pub(crate) async fn landed(&mut self) -> Option<Content> {
        let landed = self.landing.wait_for(Option::is_some).await;
        landed.ok().and_then(|content| content.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn follow(flights: &Flights) -> Follower {
        match flights.join("n", "k") {
            Seat::Follow(follower) => follower,
            Seat::Lead(_) => panic!("nobody loads"),
        }
    }

    fn lead(flights: &Flights) -> Flight {
        match flights.join("n", "k") {
            Seat::Lead(flight) => flight,
            Seat::Follow(_) => panic!("somebody loads"),
        }
    }

    #[tokio::test]
    async fn one_loads_and_the_others_take_what_it_found() {
        let flights = Flights::default();
        let flight = lead(&flights);
        let (mut one, mut two) = (follow(&flights), follow(&flights));
        flight.land(&"v".into());
        assert_eq!(one.landed().await, Some("v".into()));
        assert_eq!(two.landed().await, Some("v".into()));
        drop(lead(&flights));
    }

    #[tokio::test]
    async fn when_a_load_fails_the_first_of_the_others_loads() {
        let flights = Flights::default();
        let flight = lead(&flights);
        let mut other = follow(&flights);
        drop(flight);
        assert_eq!(other.landed().await, None);
        let _flight = lead(&flights);
        follow(&flights);
    }

    #[tokio::test(start_paused = true)]
    async fn a_follower_knows_whether_the_load_began_after_it_came() {
        let flights = Flights::default();
        let came = Instant::now();
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        let _flight = lead(&flights);
        assert!(follow(&flights).began_since(came));
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        assert!(!follow(&flights).began_since(Instant::now()));
    }

    #[tokio::test]
    async fn nobody_joins_a_load_from_before_a_write() {
        let flights = Flights::default();
        let (before, other) = (lead(&flights), flights.lead("n", "other"));
        let mut early = follow(&flights);
        flights.forget("n", ["k"]);
        let after = lead(&flights);
        // Its end does not end the later one, and who waited for it gets it.
        before.land(&"old".into());
        assert_eq!(early.landed().await, Some("old".into()));
        let mut late = follow(&flights);
        after.land(&"new".into());
        assert_eq!(late.landed().await, Some("new".into()));
        flights.forget_all("n");
        assert!(matches!(flights.join("n", "other"), Seat::Lead(_)));
        drop(other);
    }
}
