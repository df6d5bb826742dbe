//! The engine: the table of contents of the system.

use crate::clock::{Clock, Moment};
use crate::error::Error;
use crate::log::{Event, Log, Sink};
use crate::random::Random;
use crate::remote::Remote;
use crate::request::*;
use std::sync::Arc;
use std::time::Duration;

/// What the engine talks through.
pub struct Ports {
    /// The remote tier.
    pub remote: Arc<dyn Remote>,
    /// The log.
    pub log: Arc<dyn Log>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub random: Arc<dyn Random>,
}

/// How the engine behaves.
#[derive(Clone, Debug)]
pub struct Options {
    /// The name this pod gives itself.
    pub pod: String,
    /// Bound of L1, in weighed bytes.
    pub l1_bytes: u64,
    /// ttl of an entry whose writer gives none.
    pub default_ttl: Duration,
    /// How long one call to the remote tier may take.
    pub remote_timeout: Duration,
    /// Most appends in flight.
    pub max_appends: usize,
}

/// The cache of one pod. Shared by `Arc`; all methods take `&self`.
pub struct Engine {}

impl Engine {
    /// Builds the engine. Nothing happens before [`Engine::run`] is polled.
    pub fn new(_options: Options, _ports: Ports) -> Arc<Self> {
        todo!()
    }

    /// The engine's background work: joins the log, beats, repeats appends.
    /// Spawn it once; it ends after [`Engine::leave`] is done.
    pub async fn run(self: Arc<Self>) {
        todo!()
    }

    /// Stops calling anything fresh, drains queued appends, then says Leave.
    pub async fn leave(&self, _deadline: Moment) {
        todo!()
    }

    /// Reads one key.
    pub async fn get(&self, _get: Get) -> Result<Answer<Option<Found>>, Error> {
        todo!()
    }

    /// Writes one key.
    pub async fn set(&self, _set: Set) -> Result<Answer<SetOutcome>, Error> {
        todo!()
    }

    /// Writes one key if its version is as expected.
    pub async fn compare_and_set(&self, _cas: CompareAndSet) -> Result<Answer<CasOutcome>, Error> {
        todo!()
    }

    /// Reads one key or obtains the right to load it.
    pub async fn lease(&self, _lease: Lease) -> Result<Answer<LeaseOutcome>, Error> {
        todo!()
    }

    /// Prolongs a lease.
    pub async fn renew(
        &self,
        _token: LeaseToken,
        _deadline: Moment,
    ) -> Result<RenewOutcome, Error> {
        todo!()
    }

    /// Completes a lease.
    pub async fn fill(&self, _fill: Fill) -> Result<Answer<FillOutcome>, Error> {
        todo!()
    }

    /// Gives a lease back.
    pub async fn abandon(&self, _token: LeaseToken, _deadline: Moment) -> Result<(), Error> {
        todo!()
    }

    /// Makes entries unreadable.
    pub async fn invalidate(&self, _invalidate: Invalidate) -> Result<Invalidated, Error> {
        todo!()
    }

    /// Follows the invalidations of `namespace` after `from` (none: from now).
    pub fn watch(
        &self,
        _namespace: crate::key::Namespace,
        _from: Option<crate::position::Position>,
    ) -> Watch {
        todo!()
    }

    /// What the engine is doing. Does not wait.
    pub fn status(&self) -> Status {
        todo!()
    }

    /// The sessions this pod knows.
    pub fn peers(&self) -> Vec<Peer> {
        todo!()
    }

    /// Counts since the start.
    pub fn counters(&self) -> Counters {
        todo!()
    }

    /// D of the coherence protocol, as long as the log has not said otherwise.
    pub fn staleness_bound(&self) -> Duration {
        todo!()
    }

    /// Now, by the engine's clock.
    pub fn now(&self) -> Moment {
        todo!()
    }
}

impl Sink for Engine {
    fn event(&self, _event: Event) {
        todo!()
    }
}

/// A running Watch.
pub struct Watch {}

impl Watch {
    /// The next event; heartbeats every 5 s. Ends with `None` when the sidecar
    /// drains. Cancel safe.
    pub async fn next(&mut self) -> Option<Watched> {
        todo!()
    }
}
