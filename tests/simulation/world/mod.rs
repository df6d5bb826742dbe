//! The world around the engines: the modelled log and remote tier, the origin,
//! links that fail, and what the checker remembers.

mod shared;

pub(crate) use shared::Shared;

use crate::checker::{Bounds, Judged};
use crate::clients::derived::Seen;
use crate::clients::{Role, names};
use crate::executor::Rng;
use crate::faults::Fault;
use crate::grants::{Calm, Grants};
use crate::lives::{Lives, Terms};
use crate::log::{LogServer, Ticket};
use crate::mix::Mix;
use crate::origin::Origin;
use crate::plan::Strike;
use crate::refs::ReferenceServer;
use crate::table::Table;
use crate::tier::TierServer;
use crate::timeline::{Scope, Timeline};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use tokio::sync::Notify;
use unstale_engine::coherence::record::{Body, Record, SessionId};
use unstale_engine::log::{Append, Appended};
use unstale_engine::position::{Epoch, Position};

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
    /// The like for the remote tier.
    pub(crate) tier_no_sends: u32,
    pub(crate) tier_no_receives: u32,
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
    pub(crate) strikes: Vec<Strike>,
    /// Clients that a shrunk schedule does without.
    pub(crate) absent: Vec<Role>,
    pub(crate) log: LogServer,
    pub(crate) tier: TierServer,
    pub(crate) references: ReferenceServer,
    pub(crate) links: Vec<Link>,
    pub(crate) sessions: HashMap<SessionId, usize>,
    /// How many faults make answers, words and deliveries get lost.
    pub(crate) lossy: u32,
    pub(crate) active: [u32; Fault::ALL.len()],
    pub(crate) table: Table,
    pub(crate) origin: Origin,
    /// Clients change nothing any more.
    pub(crate) quiet: bool,
    /// Pods that have to hit every key again; true: all have, nothing is left.
    pub(crate) not_hitting: usize,
    pub(crate) converged: bool,
    pub(crate) judged: Judged,
    pub(crate) lives: Lives,
    pub(crate) grants: Grants,
    /// What was read of each key as fresh, in schedules whose values depend on
    /// others.
    pub(crate) seen: [Option<Seen>; KEYS],
    pub(crate) timeline: Timeline,
    /// Told when the log grows.
    changed: Arc<Notify>,
    /// Since when no fault is active; none: one is.
    pub(crate) calm_since: Option<u64>,
    /// The like, but faults of the remote tier do not count.
    but_tier_since: Option<u64>,
}

impl World {
    /// Commits all that was submitted before an append, and this; none: it was
    /// lost meanwhile.
    pub(crate) fn commit_until(&mut self, ticket: Ticket, now: u64) -> Option<Appended> {
        for (next, append) in self.log.submitted_until(ticket) {
            let outcome = self.commit(&append, now);
            self.log.answers(next, outcome);
        }
        self.log.answer(ticket)
    }

    /// Commits to the log; the checker learns what it binds.
    pub(crate) fn commit(&mut self, append: &Append, now: u64) -> Appended {
        let named = self.log.epoch();
        let (outcome, new) = self.log.commit(append, now);
        if let (Appended::At(sequence), true) = (&outcome, new)
            && let Some(record) = self.log.record(*sequence)
        {
            match &record.body {
                Body::Invalidate(what) => {
                    let reason = record.reason.as_deref();
                    match reason.and_then(names::parse) {
                        Some((key, _)) if !names::may_cover_all(what) => {
                            self.grants.raised(key, now)
                        }
                        _ => self.grants.all_raised(now),
                    }
                    self.judged.committed(reason, *sequence, now);
                }
                Body::Write(write) => self.grants.raised(names::number_of(&write.key), now),
                Body::NewEpoch(_) => {
                    let by_pod = record.origin != SessionId::default();
                    // Who finds its anchor discarded cannot tell why.
                    if by_pod && named.is_some() && self.log.first == 1 {
                        self.judged.epoch_by_pod(now);
                    }
                    self.grants.all_raised(now);
                    self.origin.forgotten(now);
                    self.judged.new_epoch(*sequence, now, self.origin.counters);
                }
                Body::SameEpoch(epoch) if named.is_some_and(|named| named != *epoch) => {
                    self.judged.misnamed = Some(now);
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
        let others = Fault::ALL.iter().zip(self.active);
        let mut others = others.filter(|(fault, _)| !fault.is_of_tier());
        match others.all(|(_, count)| count == 0) {
            true => self.but_tier_since = self.but_tier_since.or(Some(now)),
            false => self.but_tier_since = None,
        }
    }

    pub(crate) fn calm(&self) -> Calm {
        let sure = !self.mix.shares_floors();
        Calm {
            whole: self.calm_since.filter(|_| sure),
            but_tier: self.but_tier_since.filter(|_| sure),
        }
    }

    /// What the log and its life bind a read to.
    pub(crate) fn bounds(&self, min_position: Option<Position>) -> Bounds {
        let epoch = self.log.epoch().filter(|_| self.judged.is_whole());
        let here = |position: &Position| Some(position.epoch) == epoch;
        Bounds {
            epoch,
            first: self.log.first,
            reached: min_position.filter(here).map(|position| position.sequence),
            told: None,
        }
    }

    /// How long what is stored lives, and how long it may be served stale.
    pub(crate) fn some_terms(&mut self) -> Terms {
        if self.rng.chance(60) || self.mix.extra.endless {
            return Terms::LONG;
        }
        let learned = self.mix.learns && self.rng.chance(80);
        let rng = &mut self.rng;
        Terms {
            ttl: match learned {
                true => Terms::LEARNED.1,
                false => rng.range(150_000, 1_500_000),
            },
            learned,
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
        if !self.judged.is_whole() || self.log.epoch() != Some(epoch) {
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
