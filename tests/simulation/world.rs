//! The world around the engines: the modelled log and remote tier, the origin,
//! links that fail, and what the checker remembers.

use crate::checker::{Judged, Violation};
use crate::clients::names;
use crate::executor::{Handle, Rng, Until};
use crate::faults::Fault;
use crate::lives::{Lives, Terms};
use crate::log::LogServer;
use crate::mix::Mix;
use crate::origin::Origin;
use crate::table::{Operation, Table};
use crate::tier::TierServer;
use crate::timeline::{Scope, Timeline};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use tokio::sync::{Notify, oneshot};
use unstale_engine::coherence::record::{Body, Record, SessionId};
use unstale_engine::log::{Append, Appended};
use unstale_engine::position::Epoch;

/// Keys that are loaded and invalidated; [`SWAPPED`] is one more.
pub(crate) const KEYS: usize = 3;
/// The number of the key whose origin has a lagging replica.
pub(crate) const LAGGING: usize = KEYS - 1;
/// The number of the key that is only written with conditions.
pub(crate) const SWAPPED: usize = KEYS;
/// SESSION_TTL of every schedule, and D, in microseconds.
pub(crate) const TTL_US: u64 = 2_000_000;
pub(crate) const D_US: u64 = TTL_US + TTL_US / 25 + 500_000;
/// The process of whatever is not a pod: servers, faults, couriers.
pub(crate) const NOBODY: usize = usize::MAX;

/// A pod's links as the faults left them: how many faults hold each down.
#[derive(Clone, Copy, Default)]
pub(crate) struct Link {
    pub(crate) no_sends: u32,
    pub(crate) no_receives: u32,
    /// Answers come, but the log's deliveries do not, or trickle.
    pub(crate) no_reads: u32,
    pub(crate) trickle: u32,
    /// Requests take long to reach a server.
    pub(crate) slow: u32,
    /// Deliveries come twice, and those of dead readers still come.
    pub(crate) duplicates: u32,
    /// Rises with every reconnect: readers of an older one are void.
    pub(crate) generation: u64,
    /// Rises with every start of the pod.
    pub(crate) start: u64,
    /// Killed and not started again yet.
    pub(crate) down: bool,
}

impl Link {
    pub(crate) fn sends(&self) -> bool {
        self.no_sends == 0
    }

    pub(crate) fn receives(&self) -> bool {
        self.no_receives == 0
    }
}

pub(crate) struct World {
    pub(crate) rng: Rng,
    pub(crate) mix: Mix,
    pub(crate) log: LogServer,
    pub(crate) tier: TierServer,
    pub(crate) links: Vec<Link>,
    pub(crate) sessions: HashMap<SessionId, usize>,
    /// How many faults make answers, words and deliveries get lost.
    pub(crate) lossy: u32,
    pub(crate) active: [u32; Fault::ALL.len()],
    pub(crate) table: Table,
    pub(crate) origin: Origin,
    /// Clients change nothing any more.
    pub(crate) quiet: bool,
    pub(crate) judged: Judged,
    pub(crate) lives: Lives,
    pub(crate) timeline: Timeline,
    /// Told when the log grows.
    changed: Arc<Notify>,
    /// Since when no fault is active; none: one is.
    pub(crate) calm_since: Option<u64>,
}

#[derive(Clone)]
pub(crate) struct Shared {
    world: Arc<Mutex<World>>,
    kept: bool,
    pub(crate) handle: Handle,
    pub(crate) changed: Arc<Notify>,
}

impl Shared {
    pub(crate) fn new(seed: u64, mix: Mix, keep_timeline: bool) -> Self {
        let changed = Arc::new(Notify::new());
        let world = World {
            changed: Arc::clone(&changed),
            calm_since: Some(0),
            rng: Rng(seed),
            log: LogServer::new(&mix),
            tier: TierServer::default(),
            links: vec![Link::default(); mix.pods],
            sessions: HashMap::new(),
            lossy: 0,
            active: [0; Fault::ALL.len()],
            table: Table::default(),
            origin: Origin::default(),
            lives: Lives::default(),
            quiet: false,
            judged: Judged::default(),
            timeline: Timeline::new(keep_timeline),
            mix,
        };
        Self {
            world: Arc::new(Mutex::new(world)),
            kept: keep_timeline,
            handle: Handle::default(),
            changed,
        }
    }

    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut World) -> R) -> R {
        f(&mut self.world.lock().expect("no panic under the lock"))
    }

    pub(crate) fn link<R>(&self, pod: usize, f: impl FnOnce(&mut Link) -> R) -> R {
        self.with(|w| f(&mut w.links[pod]))
    }

    pub(crate) fn delay(&self, low: u64, high: u64) -> Until {
        let micros = self.with(|w| w.rng.range(low, high));
        self.handle.sleep(micros)
    }

    pub(crate) fn chance(&self, percent: u64) -> bool {
        self.with(|w| w.rng.chance(percent))
    }

    /// From 0 up to, not including, `below`.
    pub(crate) fn draw(&self, below: usize) -> usize {
        self.with(|w| w.rng.range(0, below as u64)) as usize
    }

    /// Whether something is lost that faults may lose.
    pub(crate) fn loses(&self, percent: u64) -> bool {
        self.with(|w| w.lossy > 0 && w.rng.chance(percent))
    }

    /// Counts an operation that begins now.
    pub(crate) fn began(&self, operation: Operation) {
        self.with(|w| w.table.began(operation, &w.active));
    }

    /// A server's step on a request that was sent: it happens whether or not
    /// the sender still waits for the answer, or lives.
    pub(crate) async fn served<T: Send + 'static>(
        &self,
        delay: u64,
        step: impl FnOnce(&mut World, u64) -> T + Send + 'static,
    ) -> T {
        let (answer, answered) = oneshot::channel();
        let shared = self.clone();
        self.handle.spawn(NOBODY, async move {
            shared.handle.sleep(delay).await;
            let now = shared.handle.now();
            // Nobody waits any more: the deed is done all the same.
            let _ = answer.send(shared.with(|w| step(w, now)));
        });
        answered.await.expect("servers are never killed")
    }

    /// A line of the timeline, when one is kept.
    pub(crate) fn note(&self, scope: Scope, what: impl FnOnce() -> String) {
        if self.kept {
            let now = self.handle.now();
            self.with(|w| w.timeline.push(now, scope, what()));
        }
    }

    pub(crate) fn violate(&self, rule: &'static str, key: Option<usize>, what: String) {
        let scope = key.map_or(Scope::All, Scope::Key);
        self.note(scope, || format!("VIOLATION {rule}: {what}"));
        let at = self.handle.now();
        self.with(|w| {
            w.judged.violation.get_or_insert(Violation {
                at,
                rule,
                key,
                what,
            });
        });
    }
}

impl World {
    /// Commits to the log; the checker learns what it binds.
    pub(crate) fn commit(&mut self, append: &Append, now: u64) -> Appended {
        let (outcome, new) = self.log.commit(append, now);
        if let (Appended::At(sequence), true) = (&outcome, new)
            && let Ok(record) = Record::decode(&append.payload)
        {
            match record.body {
                Body::Invalidate(_) => {
                    self.judged
                        .committed(record.reason.as_deref(), *sequence, now);
                }
                Body::NewEpoch(_) => {
                    self.origin.amnesia = Some(now);
                    self.judged.new_epoch(*sequence, now, self.origin.counters);
                }
                _ => {}
            }
        }
        if new {
            self.changed.notify_waiters();
        }
        outcome
    }

    /// A fault begins or ends.
    pub(crate) fn active(&mut self, fault: Fault, begins: bool, now: u64) {
        let count = &mut self.active[fault as usize];
        *count = if begins { *count + 1 } else { *count - 1 };
        let calm = self.active.iter().all(|count| *count == 0);
        self.calm_since = calm.then_some(now);
    }

    /// How long what is stored lives, and how long it may be served stale.
    pub(crate) fn some_terms(&mut self) -> Terms {
        if self.rng.chance(60) || self.mix.extra.endless {
            return Terms::LONG;
        }
        let rng = &mut self.rng;
        Terms {
            ttl: rng.range(150_000, 1_500_000),
            stale_for: rng.chance(70).then(|| rng.range(1, 3_000_000)),
            valid_for: rng.chance(30).then(|| rng.range(300_000, 3_000_000)),
            jitter: rng.chance(20).then(|| rng.range(1, 400_000)),
            negative: false,
        }
    }

    /// The first record in `range` that a Watch had to report: one that covers
    /// what it holds (none: any of the namespace), as far as it is retained.
    pub(crate) fn missed(
        &self,
        epoch: Epoch,
        range: Range<u64>,
        holds: Option<usize>,
    ) -> Option<u64> {
        if !self.judged.is_whole() || self.log.opened().epoch != Some(epoch) {
            return None;
        }
        let mut retained = range.filter(|sequence| *sequence >= self.log.first);
        retained.find(|sequence| {
            let record = self.log.record(*sequence);
            record.is_some_and(|record| names::may_concern(&record.body, holds))
        })
    }

    pub(crate) fn tier_get(
        &mut self,
        key: unstale_engine::key::NameHash,
    ) -> Option<(u64, bytes::Bytes)> {
        let lag = match self.tier.lagging {
            0 => 0,
            _ => self.rng.range(0, 4),
        };
        self.tier.get(key, lag)
    }
}

/// Whom a record concerns.
pub(crate) fn scope_of(record: &Record) -> Scope {
    match &record.body {
        Body::Invalidate(_) => match record.reason.as_deref().and_then(names::parse) {
            Some((key, _)) => Scope::Key(key),
            None => Scope::All,
        },
        Body::Write(write) => Scope::Key(names::number_of(&write.key)),
        Body::NewEpoch(_) => Scope::All,
        _ => Scope::Detail,
    }
}
