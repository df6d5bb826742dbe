//! The world around the engines: a modelled log, a modelled remote tier, the
//! origin, links that fail, and what the checker must remember.
//!
//! Log and tier are servers with several steps (sent, committed, answered), so
//! that answers get lost after the deed was done.

use crate::executor::{Handle, Rng};
use bytes::Bytes;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use tokio::sync::Notify;
use unstale_engine::clock::LogTime;
use unstale_engine::coherence::record::{Body, Record, RecordId, SessionId};
use unstale_engine::key::NameHash;
use unstale_engine::log::{Append, Appended, Subject};
use unstale_engine::position::Position;

pub(crate) const PODS: usize = 3;
pub(crate) const KEYS: usize = 3;
/// SESSION_TTL of every schedule, and D, in microseconds.
pub(crate) const TTL_US: u64 = 2_000_000;
pub(crate) const D_US: u64 = TTL_US + TTL_US / 25 + 500_000;

pub(crate) struct Kept {
    pub(crate) time: LogTime,
    pub(crate) append: Append,
    pub(crate) expires: bool,
}

/// A pod's links as the faults left them.
#[derive(Clone, Copy)]
pub(crate) struct Link {
    pub(crate) sends: bool,
    pub(crate) receives: bool,
    /// Answers come, but the log's deliveries do not: a slow reader.
    pub(crate) reads: bool,
    /// Rises with every reconnect: readers of an older one are void.
    pub(crate) generation: u64,
}

pub(crate) struct World {
    pub(crate) rng: Rng,
    pub(crate) log: Vec<Kept>,
    pub(crate) first: u64,
    pub(crate) dedupe: HashMap<RecordId, u64>,
    pub(crate) links: [Link; PODS],
    pub(crate) sessions: HashMap<SessionId, usize>,
    /// Every state a key ever had in the tier, newest last; none: deleted.
    pub(crate) tier: HashMap<NameHash, Vec<(u64, Option<Bytes>)>>,
    pub(crate) revision: u64,
    /// Pods that were killed and not started again yet.
    pub(crate) down: [bool; PODS],
    pub(crate) tier_lags: bool,
    pub(crate) tier_away: bool,
    pub(crate) lossy: bool,
    pub(crate) origin: [u64; KEYS],
    pub(crate) judged: Judged,
}

/// What the checker remembers; violations are kept, not panicked on.
#[derive(Default)]
pub(crate) struct Judged {
    /// FLEET returned OK for this value.
    pub(crate) fleet: [u64; KEYS],
    /// (commit time, key, value) of every invalidation in the log.
    pub(crate) committed: Vec<(u64, usize, u64)>,
    /// LOCAL or LOG returned OK on this pod.
    pub(crate) local: [[u64; KEYS]; PODS],
    /// Positions that answers carried, and what they must show.
    pub(crate) positions: Vec<(Position, usize, u64)>,
    /// Versions on which a CompareAndSet has succeeded.
    pub(crate) swapped: HashMap<String, u64>,
    pub(crate) reads: u64,
    pub(crate) hits: u64,
    pub(crate) operations: u64,
    pub(crate) violation: Option<String>,
}

#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) world: Arc<Mutex<World>>,
    pub(crate) handle: Handle,
    pub(crate) changed: Arc<Notify>,
}

impl Shared {
    pub(crate) fn new(seed: u64) -> Self {
        let link = Link {
            sends: true,
            receives: true,
            reads: true,
            generation: 0,
        };
        let world = World {
            rng: Rng(seed),
            log: Vec::new(),
            first: 1,
            dedupe: HashMap::new(),
            links: [link; PODS],
            sessions: HashMap::new(),
            tier: HashMap::new(),
            revision: 0,
            down: [false; PODS],
            tier_lags: false,
            tier_away: false,
            lossy: false,
            origin: [0; KEYS],
            judged: Judged::default(),
        };
        Self {
            world: Arc::new(Mutex::new(world)),
            handle: Handle::default(),
            changed: Arc::new(Notify::new()),
        }
    }

    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut World) -> R) -> R {
        f(&mut self.world.lock().expect("no panic under the lock"))
    }

    pub(crate) fn delay(&self, low: u64, high: u64) -> crate::executor::Until {
        let micros = self.with(|w| w.rng.range(low, high));
        self.handle.sleep(micros)
    }

    pub(crate) fn chance(&self, percent: u64) -> bool {
        self.with(|w| w.rng.chance(percent))
    }

    /// A line of the timeline, printed with UNSTALE_TRACE set.
    pub(crate) fn note(&self, what: impl FnOnce() -> String) {
        if std::env::var_os("UNSTALE_TRACE").is_some() {
            println!("{:>9} {}", self.handle.now(), what());
        }
    }

    pub(crate) fn violate(&self, what: String) {
        self.note(|| format!("VIOLATION {what}"));
        let now = self.handle.now();
        self.with(|w| {
            w.judged
                .violation
                .get_or_insert(format!("at {now} µs: {what}"));
        });
    }
}

impl World {
    pub(crate) fn last(&self) -> u64 {
        self.log.len() as u64
    }

    pub(crate) fn last_on(&self, subject: Subject) -> u64 {
        let at = self
            .log
            .iter()
            .rposition(|kept| kept.append.subject == subject);
        at.map_or(0, |at| at as u64 + 1)
    }

    /// The server's one step: everything before may be lost, everything after
    /// is only the answer.
    pub(crate) fn commit(&mut self, append: &Append, now: u64) -> Appended {
        if let Some(sequence) = self.dedupe.get(&append.id) {
            return Appended::At(*sequence);
        }
        if append
            .expect_last
            .is_some_and(|expected| expected != self.last_on(append.subject))
        {
            return Appended::Conflict;
        }
        let expires = matches!(append.subject, Subject::Beats(_));
        // The server's clock is far from every pod's.
        let time = LogTime(1_700_000_000_000_000 + now);
        self.log.push(Kept {
            time,
            append: append.clone(),
            expires,
        });
        self.dedupe.insert(append.id, self.last());
        self.remember(append, now);
        Appended::At(self.last())
    }

    /// An invalidation binds every pod D after its commit (I-2).
    fn remember(&mut self, append: &Append, now: u64) {
        let Ok(record) = Record::decode(&append.payload) else {
            return;
        };
        let (Body::Invalidate(_), Some(reason)) = (record.body, record.reason) else {
            return;
        };
        if let Some((key, value)) = reason.split_once(':') {
            let (key, value) = (
                key.parse().expect("a number"),
                value.parse().expect("a number"),
            );
            self.judged.committed.push((now, key, value));
        }
    }

    /// The least value that a read of `key` beginning now on `pod` may return.
    pub(crate) fn required(&self, pod: usize, key: usize, now: u64) -> (u64, &'static str) {
        let bound = self
            .judged
            .committed
            .iter()
            .filter(|c| c.1 == key && now >= c.0 + D_US);
        let all = [
            (self.judged.fleet[key], "I-1: FLEET had returned OK"),
            (bound.map(|c| c.2).max().unwrap_or(0), "I-2: D had passed"),
            (self.judged.local[pod][key], "I-3: this pod had answered OK"),
        ];
        all.into_iter().max_by_key(|r| r.0).expect("at least one")
    }

    pub(crate) fn tier_get(&mut self, key: NameHash) -> Option<(u64, Bytes)> {
        let states = self.tier.get(&key)?;
        let newest = states.len() - 1;
        let lag = if self.tier_lags {
            self.rng.range(0, 4) as usize
        } else {
            0
        };
        let (revision, record) = &states[newest.saturating_sub(lag)];
        record.clone().map(|record| (*revision, record))
    }

    /// Replaces the newest state if its revision is the expected one.
    pub(crate) fn tier_put(
        &mut self,
        key: NameHash,
        expected: Option<u64>,
        record: Option<Bytes>,
    ) -> Option<u64> {
        let states = self.tier.entry(key).or_default();
        let there = states.last().filter(|s| s.1.is_some()).map(|s| s.0);
        if there != expected {
            return None;
        }
        self.revision += 1;
        states.push((self.revision, record));
        Some(self.revision)
    }
}
