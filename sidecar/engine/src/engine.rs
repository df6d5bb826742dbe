//! The engine: the table of contents of the system.
//!
//! One line for a request: grpc → engine → (l1 | remote). One line for
//! coherence: log → [`Sink::event`] → the machine → floors, L1, waiters.
//! Guarantees: every public future is cancel safe: what it began is finished
//! in [`Engine::run`] or leaves nothing behind.

use crate::adaptive::{self, Adaptive};
use crate::background::Background;
use crate::clock::{Clock, Moment};
use crate::coherence::record::RecordId;
use crate::coherence::{Action, Bugs, Decision, FleetOutcome, Machine, Progress, Settings};
use crate::error::Error;
use crate::flight::Flights;
use crate::key::{Delimiters, Key, Namespace};
use crate::l1::L1;
use crate::leases::Leases;
use crate::log::{BEAT_TTL, Event, Log, Sink};
use crate::many::GetManyFar;
use crate::metrics::Meter;
use crate::policy::adaptive_ttl::Family;
use crate::policy::{Policies, Policy, refs};
use crate::position::Position;
use crate::random::Random;
use crate::read::GetFar;
use crate::references::{self, References};
use crate::remote::Remote;
use crate::request::*;
use crate::retained;
use crate::watch::{Ring, Watch};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};
use std::time::Duration;
use tokio::sync::{Notify, oneshot, watch};

/// What the engine talks through.
pub struct Ports {
    /// The remote tier.
    pub remote: Arc<dyn Remote>,
    /// The log.
    pub log: Arc<dyn Log>,
    /// The references.
    pub references: Arc<dyn References>,
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
    /// What L1 keeps of what is referred to beside that, in percent of it.
    pub l1_pinned_share: u8,
    /// What each namespace says; see [`Engine::set_policies`].
    pub policies: Policies,
    /// How long one call to the remote tier may take.
    pub remote_timeout: Duration,
    /// Most appends in flight.
    pub max_appends: usize,
    /// Registers per row of the floor table.
    pub floor_width: usize,
    /// Keys whose highest source version is remembered.
    pub source_versions: usize,
    /// Where a prefix may end to be hashed like a tag.
    pub delimiters: Delimiters,
    /// How long the log keeps a Beat; every driver keeps it [`BEAT_TTL`].
    pub beat_ttl: Duration,
    /// A removed safeguard; [`Bugs::NONE`] outside tests.
    pub bugs: Bugs,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            pod: String::new(),
            l1_bytes: 64 << 20,
            l1_pinned_share: refs::PINNED_SHARE_DEFAULT,
            policies: Policies::default(),
            remote_timeout: Duration::from_millis(500),
            max_appends: 4096,
            floor_width: crate::coherence::FLOOR_WIDTH,
            source_versions: crate::limits::SOURCE_VERSIONS,
            delimiters: Delimiters::default(),
            beat_ttl: BEAT_TTL,
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
    /// Locked within the machine, never around it.
    pub(crate) references: Mutex<retained::Table>,
    /// Whether an entry may have to be dropped because nobody refers to it.
    pub(crate) drops_wait: AtomicBool,
    /// Up to where the records of references are reflected.
    pub(crate) followed: watch::Sender<u64>,
    /// Held by the Explain under way.
    pub(crate) explaining: tokio::sync::Mutex<()>,
    pub(crate) meter: Meter,
    pub(crate) adaptive: Adaptive,
    pub(crate) remote_error: Mutex<Option<String>>,
    closing: AtomicBool,
    closing_began: Notify,
    /// An own record was decided or given up: others may have their turn.
    pub(crate) turn: Notify,
    policies: RwLock<Policies>,
}

impl Engine {
    /// Builds the engine. Nothing happens before [`Engine::run`] is polled.
    pub fn new(options: Options, ports: Ports) -> Arc<Self> {
        let adaptive = Adaptive::default();
        adaptive.configure(&options.policies, ports.clock.now());
        Arc::new_cyclic(|me| {
            let settings = Settings {
                pod: options.pod.clone(),
                floor_width: options.floor_width,
                source_versions: options.source_versions,
                delimiters: options.delimiters.clone(),
                beat_ttl: options.beat_ttl,
                bugs: options.bugs,
            };
            let machine = Machine::new(settings, Arc::clone(&ports.random));
            Self {
                me: Weak::clone(me),
                machine: Mutex::new(machine),
                l1: L1::new(options.l1_bytes, pinned_max(&options)),
                progress: watch::Sender::new(Progress::default()),
                deciders: Mutex::default(),
                fleets: Mutex::default(),
                background: Background::new(options.max_appends),
                leases: Leases::default(),
                flights: Flights::default(),
                ring: Mutex::default(),
                references: Mutex::new(retained::Table::new()),
                drops_wait: AtomicBool::new(false),
                followed: watch::Sender::new(0),
                explaining: tokio::sync::Mutex::default(),
                meter: Meter::default(),
                adaptive,
                remote_error: Mutex::new(Some("it was not asked yet".into())),
                closing: AtomicBool::new(false),
                closing_began: Notify::new(),
                turn: Notify::new(),
                policies: RwLock::new(options.policies.clone()),
                options,
                ports,
            }
        })
    }

    /// The engine's background work: joins the log, beats, repeats appends.
    /// Spawn it once; it ends after [`Engine::leave`] is done.
    pub async fn run(self: Arc<Self>) {
        let queues = self.background.take_queues();
        crate::background::run(self, queues).await;
    }

    /// Refuses new writes, lets those under way end, stops calling anything
    /// fresh, then says Leave, all until `deadline` at the latest.
    pub async fn leave(&self, deadline: Moment) {
        self.closing.store(true, Ordering::Release);
        self.closing_began.notify_waiters();
        crate::background::leave(self, deadline).await;
    }

    /// Reads one key.
    pub async fn get(&self, get: Get) -> Result<Answer<GetOutcome>, Error> {
        match self.get_near(get) {
            Ok(answer) => Ok(answer),
            Err(far) => self.get_far(far).await,
        }
    }

    /// Reads one key as far as nothing has to be waited for; the rest is for
    /// [`Engine::get_far`].
    pub fn get_near(&self, get: Get) -> Result<Answer<GetOutcome>, Box<GetFar>> {
        crate::read::get_near(self, get)
    }

    /// Reads what is not near.
    pub async fn get_far(&self, far: Box<GetFar>) -> Result<Answer<GetOutcome>, Error> {
        crate::read::get_far(self, far).await
    }

    /// Reads many keys; one outcome per key, in their order.
    pub async fn get_many(&self, many: GetMany) -> Result<Answer<Vec<GetOutcome>>, Error> {
        match self.get_many_near(many) {
            Ok(answer) => Ok(answer),
            Err(far) => self.get_many_far(far).await,
        }
    }

    /// Reads many keys as far as nothing has to be waited for; the rest is for
    /// [`Engine::get_many_far`].
    pub fn get_many_near(&self, many: GetMany) -> Result<Answer<Vec<GetOutcome>>, GetManyFar> {
        crate::many::get_many_near(self, many)
    }

    /// Reads those that are not near.
    pub async fn get_many_far(&self, far: GetManyFar) -> Result<Answer<Vec<GetOutcome>>, Error> {
        crate::many::get_many_far(self, far).await
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

    /// Gives a lease back: the load failed.
    pub async fn abandon(&self, abandon: Abandon) -> Result<(), Error> {
        crate::abandon::abandon(self, abandon).await
    }

    /// Gives leases back, in the background, of whose grants nobody heard: their
    /// caller went away.
    pub fn give_back(&self, tokens: Vec<LeaseToken>) {
        crate::unheard::give_back(self, tokens);
    }

    /// Makes entries unreadable.
    pub async fn invalidate(&self, invalidate: Invalidate) -> Result<Invalidated, Error> {
        crate::invalidate::invalidate(self, invalidate).await
    }

    /// Refers to a key for a while, or renews that.
    pub async fn retain(&self, retain: Retain) -> Result<Retained, Error> {
        crate::retained::retain(self, retain).await
    }

    /// Ends a reference; none: there was none.
    pub async fn release(&self, release: Release) -> Result<Option<Released>, Error> {
        crate::retained::release(self, release).await
    }

    /// Why the entry under a key is served, or is not. Changes nothing.
    pub async fn explain(
        &self,
        explain: crate::explain::Explain,
    ) -> Result<crate::explain::Explanation, Error> {
        crate::explain::explain(self, explain).await
    }

    /// Follows the invalidations of `namespace` after `from` (none: from now),
    /// less those that `filter` proves irrelevant.
    pub fn watch(
        &self,
        namespace: Namespace,
        from: Option<Position>,
        filter: WatchFilter,
    ) -> Watch {
        let engine = self.me.upgrade().expect("the caller holds the engine");
        Watch::new(engine, namespace, from, filter)
    }

    /// What a namespace says where its callers say nothing.
    pub fn policy(&self, namespace: &Namespace) -> Arc<Policy> {
        let policies = self.policies.read();
        policies
            .unwrap_or_else(PoisonError::into_inner)
            .of(namespace)
    }

    /// Puts other policies in force, for the calls that come after.
    pub fn set_policies(&self, policies: Policies) {
        self.adaptive.configure(&policies, self.now());
        *self
            .policies
            .write()
            .unwrap_or_else(PoisonError::into_inner) = policies;
    }

    /// What is known of the families of every namespace whose ttls are learned.
    pub fn families(&self) -> Vec<(Namespace, Vec<Family>)> {
        adaptive::families(self)
    }

    /// The key that a lease was granted for, if this pod knows the lease.
    pub fn leased(&self, token: LeaseToken) -> Option<Key> {
        self.leases.key(token)
    }

    /// What the engine is doing. Does not wait.
    pub fn status(&self) -> Status {
        let l1 = self.l1.size();
        let (references, references_error) = {
            let table = lock(&self.references);
            (table.len() as u64, table.away().map(Into::into))
        };
        let remote_error = lock(&self.remote_error).clone();
        let now = self.now();
        let machine = self.machine();
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
            l1_entries: l1.entries,
            l1_bytes: l1.bytes,
            staleness_bound: machine.staleness_bound(),
            references,
            references_error,
            pinned_entries: l1.pinned_entries,
            pinned_bytes: l1.pinned_bytes,
            pinned_max_bytes: pinned_max(&self.options),
        }
    }

    /// The sessions this pod knows.
    pub fn peers(&self) -> Vec<Peer> {
        self.machine().peers()
    }

    /// Counts since the start.
    pub fn counters(&self) -> Counters {
        let reference_drops_forgotten = lock(&self.references).drops.forgotten();
        let machine = self.machine().counts();
        Counters {
            reference_drops_forgotten,
            source_versions_forgotten: machine.source_versions_forgotten,
            processed: machine.processed,
            undecodable: machine.undecodable,
            incarnations: machine.incarnations,
            epochs: machine.epochs,
            set_backs: machine.set_backs,
            ..self.meter.read()
        }
    }

    /// D of the coherence protocol, as long as the log has not said otherwise.
    pub fn staleness_bound(&self) -> Duration {
        self.machine().staleness_bound()
    }

    /// Now, by the engine's clock.
    pub fn now(&self) -> Moment {
        self.ports.clock.now()
    }

    /// Drops a key from L1, as making room would: not what is kept because its key
    /// is referred to. For tests of what follows.
    pub fn evict(&self, key: &crate::key::Key) {
        self.l1.evict(key.hash());
    }

    /// Whether the pod is leaving: it takes no new writes and grants nothing.
    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// Returns when the pod begins to leave. Cancel safe.
    pub(crate) async fn closed(&self) {
        let began = self.closing_began.notified();
        let mut began = std::pin::pin!(began);
        began.as_mut().enable();
        if !self.is_closing() {
            began.await;
        }
    }

    /// Runs `f` on the machine, then carries out its actions in order.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut Machine, Moment) -> R) -> R {
        let mut machine = self.machine();
        let result = f(&mut machine, self.now());
        for action in machine.take_actions() {
            self.act(action, &machine);
        }
        result
    }

    /// Asks the machine, changing nothing.
    pub(crate) fn ask<R>(&self, f: impl FnOnce(&Machine, Moment) -> R) -> R {
        let now = self.now();
        f(&self.machine(), now)
    }

    fn machine(&self) -> MutexGuard<'_, Machine> {
        self.machine.lock().unwrap_or_else(|poisoned| {
            // A panic half way through a record: what it covers is not known.
            self.machine.clear_poison();
            let mut machine = poisoned.into_inner();
            machine.distrust();
            machine
        })
    }

    /// Whether the machine is at work on something.
    #[cfg(test)]
    pub(crate) fn is_locked(&self) -> bool {
        self.machine.try_lock().is_err()
    }

    /// The position that was reached here: of answers with nothing in them.
    pub fn position(&self) -> Position {
        self.machine().position().unwrap_or_default()
    }

    fn act(&self, action: Action, machine: &Machine) {
        match action {
            Action::Command(command) => self.ports.log.command(command),
            Action::Append(append) => self.background.append_own(append),
            Action::Decided(id, decision) => {
                self.turn.notify_waiters();
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
            Action::WatchFrom(sequence) => lock(&self.ring).begin(machine.progress(), sequence),
        }
    }

    fn invalidated(
        &self,
        sequence: u64,
        what: Arc<crate::coherence::record::Invalidation>,
        reason: Option<String>,
    ) {
        if let Ok(namespace) = Namespace::new(&what.namespace) {
            adaptive::told(self, &namespace, &what.keys);
            if !what.soft {
                for key in &what.keys {
                    self.drop_older(&namespace, key, sequence);
                }
                retained::invalidated(self, &namespace, &what.keys);
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
            .peek(key.hash())
            .is_some_and(|held| held.facts.as_of < sequence)
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

impl references::Sink for Engine {
    fn told(&self, event: references::Event) {
        retained::told(self, event);
    }
}

/// Weighed bytes that L1 keeps of what is referred to.
fn pinned_max(options: &Options) -> u64 {
    refs::pinned_bytes(options.l1_bytes, options.l1_pinned_share)
}

/// Locks; a panic elsewhere while it was held does not spread.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
