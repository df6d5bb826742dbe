//! The engine: the table of contents of the system.
//!
//! One line for a request: grpc → engine → (l1 | remote). One line for
//! coherence: log → [`Sink::event`] → the machine → floors, L1, waiters.
//! Guarantees: every public future is cancel safe: what it began is finished
//! in [`Engine::run`] or leaves nothing behind.

use crate::background::Background;
use crate::clock::{Clock, Moment};
use crate::coherence::record::RecordId;
use crate::coherence::{Action, Bugs, Decision, FleetOutcome, Machine, Progress, Settings};
use crate::error::Error;
use crate::flight::Flights;
use crate::key::Namespace;
use crate::l1::L1;
use crate::lease::Leases;
use crate::log::{Event, Log, Sink};
use crate::metrics::Meter;
use crate::position::Position;
use crate::random::Random;
use crate::remote::Remote;
use crate::request::*;
use crate::watch::{Ring, Watch};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::{oneshot, watch};

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
    /// Registers per row of the floor table; 65,536 in a real pod.
    pub floor_width: usize,
    /// A removed safeguard; [`Bugs::NONE`] outside tests.
    pub bugs: Bugs,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            pod: String::new(),
            l1_bytes: 64 << 20,
            default_ttl: Duration::from_secs(300),
            remote_timeout: Duration::from_millis(500),
            max_appends: 4096,
            floor_width: 1 << 16,
            bugs: Bugs::NONE,
        }
    }
}

/// The cache of one pod. Shared by `Arc`; all methods take `&self`.
pub struct Engine {
    pub(crate) me: Weak<Engine>,
    pub(crate) options: Options,
    pub(crate) ports: Ports,
    machine: Mutex<Machine>,
    pub(crate) l1: L1,
    pub(crate) progress: watch::Sender<Progress>,
    pub(crate) deciders: Mutex<HashMap<RecordId, oneshot::Sender<Decision>>>,
    pub(crate) fleets: Mutex<HashMap<u64, oneshot::Sender<FleetOutcome>>>,
    pub(crate) background: Background,
    pub(crate) leases: Leases,
    pub(crate) flights: Flights,
    pub(crate) ring: Mutex<Ring>,
    pub(crate) meter: Meter,
    pub(crate) remote_error: Mutex<Option<String>>,
    pub(crate) closing: AtomicBool,
}

impl Engine {
    /// Builds the engine. Nothing happens before [`Engine::run`] is polled.
    pub fn new(options: Options, ports: Ports) -> Arc<Self> {
        Arc::new_cyclic(|me| {
            let (pod, floor_width, bugs) = (options.pod.clone(), options.floor_width, options.bugs);
            let machine = Machine::new(
                Settings {
                    pod,
                    floor_width,
                    bugs,
                },
                Arc::clone(&ports.random),
            );
            Self {
                me: Weak::clone(me),
                machine: Mutex::new(machine),
                l1: L1::new(options.l1_bytes),
                progress: watch::Sender::new(Progress::default()),
                deciders: Mutex::default(),
                fleets: Mutex::default(),
                background: Background::new(options.max_appends),
                leases: Leases::default(),
                flights: Flights::default(),
                ring: Mutex::default(),
                meter: Meter::default(),
                remote_error: Mutex::default(),
                closing: AtomicBool::new(false),
                options,
                ports,
            }
        })
    }

    /// The engine's background work: joins the log, beats, repeats appends.
    /// Spawn it once; it ends after [`Engine::leave`] is done.
    pub async fn run(self: Arc<Self>) {
        let jobs = self.background.take_queue();
        crate::background::run(self, jobs).await;
    }

    /// Refuses new writes, lets those under way end, stops calling anything
    /// fresh, then says Leave, all until `deadline` at the latest.
    pub async fn leave(&self, deadline: Moment) {
        self.closing.store(true, Ordering::Release);
        crate::background::leave(self, deadline).await;
    }

    /// Reads one key.
    pub async fn get(&self, get: Get) -> Result<Answer<Option<Found>>, Error> {
        crate::read::get(self, get).await
    }

    /// Writes one key.
    pub async fn set(&self, set: Set) -> Result<Answer<SetOutcome>, Error> {
        crate::write::set(self, set).await
    }

    /// Writes one key if its version is as expected.
    pub async fn compare_and_set(&self, cas: CompareAndSet) -> Result<Answer<CasOutcome>, Error> {
        crate::cas::compare_and_set(self, cas).await
    }

    /// Reads one key or obtains the right to load it.
    pub async fn lease(&self, lease: Lease) -> Result<Answer<LeaseOutcome>, Error> {
        crate::lease::lease(self, lease).await
    }

    /// Prolongs a lease.
    pub async fn renew(&self, token: LeaseToken, deadline: Moment) -> Result<RenewOutcome, Error> {
        crate::fill::renew(self, token, deadline).await
    }

    /// Completes a lease.
    pub async fn fill(&self, fill: Fill) -> Result<Answer<FillOutcome>, Error> {
        crate::fill::fill(self, fill).await
    }

    /// Gives a lease back.
    pub async fn abandon(&self, token: LeaseToken, deadline: Moment) -> Result<(), Error> {
        crate::fill::abandon(self, token, deadline).await
    }

    /// Makes entries unreadable.
    pub async fn invalidate(&self, invalidate: Invalidate) -> Result<Invalidated, Error> {
        crate::invalidate::invalidate(self, invalidate).await
    }

    /// Follows the invalidations of `namespace` after `from` (none: from now).
    pub fn watch(&self, namespace: Namespace, from: Option<Position>) -> Watch {
        Watch::new(
            self.me.upgrade().expect("the caller holds the engine"),
            namespace,
            from,
        )
    }

    /// What the engine is doing. Does not wait.
    pub fn status(&self) -> Status {
        let (l1_entries, l1_bytes) = self.l1.size();
        let remote_error = lock(&self.remote_error).clone();
        let now = self.now();
        let machine = lock(&self.machine);
        let (state, fresh_for) = machine.session_state(now);
        Status {
            session: Session {
                id: machine.session_id(),
                pod: self.options.pod.clone(),
            },
            state,
            fresh_for,
            position: machine.position().unwrap_or_default(),
            horizon: machine.horizon(),
            log_error: machine.log_error().map(Into::into),
            remote_error,
            l1_entries,
            l1_bytes,
            staleness_bound: machine.staleness_bound(),
        }
    }

    /// The sessions this pod knows.
    pub fn peers(&self) -> Vec<Peer> {
        lock(&self.machine).peers()
    }

    /// Counts since the start.
    pub fn counters(&self) -> Counters {
        let (processed, undecodable, incarnations) = lock(&self.machine).counts();
        Counters {
            processed,
            undecodable,
            incarnations,
            ..self.meter.read()
        }
    }

    /// D of the coherence protocol, as long as the log has not said otherwise.
    pub fn staleness_bound(&self) -> Duration {
        lock(&self.machine).staleness_bound()
    }

    /// Now, by the engine's clock.
    pub fn now(&self) -> Moment {
        self.ports.clock.now()
    }

    /// Drops a key from L1, as making room would. For tests of what follows.
    pub fn evict(&self, key: &crate::key::Key) {
        self.l1.remove(key.hash());
    }

    /// Runs `f` on the machine, then carries out its actions in order.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut Machine, Moment) -> R) -> R {
        let mut machine = lock(&self.machine);
        let result = f(&mut machine, self.now());
        for action in machine.take_actions() {
            self.act(action, &machine);
        }
        result
    }

    /// Asks the machine, changing nothing.
    pub(crate) fn ask<R>(&self, f: impl FnOnce(&Machine, Moment) -> R) -> R {
        let now = self.now();
        f(&lock(&self.machine), now)
    }

    /// The position every answer carries.
    pub(crate) fn position(&self) -> Position {
        lock(&self.machine).position().unwrap_or_default()
    }

    fn act(&self, action: Action, machine: &Machine) {
        match action {
            Action::Command(command) => self.ports.log.command(command),
            Action::Append(append) => self.background.append_own(append),
            Action::Decided(id, decision) => {
                if let Some(decider) = lock(&self.deciders).remove(&id) {
                    // Nobody waits any more: the caller gave up.
                    let _ = decider.send(decision);
                }
            }
            Action::Fleet(number, outcome) => {
                if let Some(waiter) = lock(&self.fleets).remove(&number) {
                    let _ = waiter.send(outcome);
                }
            }
            Action::Progress => {
                let progress = machine.progress();
                lock(&self.ring).progress(progress);
                self.progress.send_replace(progress);
            }
            Action::Invalidated(sequence, what, reason) => self.invalidated(sequence, what, reason),
            Action::Reset => lock(&self.ring).reset(),
        }
    }

    fn invalidated(
        &self,
        sequence: u64,
        what: Arc<crate::coherence::record::Invalidation>,
        reason: Option<String>,
    ) {
        if let Ok(namespace) = Namespace::new(&what.namespace) {
            for key in &what.keys {
                self.drop_older(&namespace, key, sequence);
            }
        }
        lock(&self.ring).push(sequence, what, reason);
    }

    /// Room for others: the hit rule would refuse the entry anyway.
    fn drop_older(&self, namespace: &Namespace, key: &str, sequence: u64) {
        let Ok(key) = crate::key::Key::new(namespace.clone(), key) else {
            return;
        };
        if self
            .l1
            .get(key.hash())
            .is_some_and(|held| held.entry.facts.as_of < sequence)
        {
            self.l1.remove(key.hash());
        }
    }
}

impl Sink for Engine {
    fn event(&self, event: Event) {
        self.with(|machine, now| machine.event(event, now));
        self.background.wake();
    }
}

/// Locks; a panic elsewhere while it was held does not spread.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
