//! What a read must satisfy, and what the checker remembers to know it.
//!
//! A log that loses acknowledged records breaks assumption A1. From then until
//! D after the next NewEpoch only what is still in the log below the loss is
//! demanded (a value loaded under a lost position may be believed until
//! someone notices); after that, nothing from before the NewEpoch (I-10).

mod demands;
mod server_clock;

use crate::clients::{Swaps, names};
use crate::mix::Mix;
use crate::world::{D_US, KEYS};
use std::collections::HashMap;
use unstale_checker::linear::History;
use unstale_engine::position::{Epoch, Position};
use unstale_engine::request::Ack;

/// A broken promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    pub(crate) at: u64,
    pub(crate) rule: &'static str,
    pub(crate) key: Option<usize>,
    pub(crate) what: String,
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "at {} µs: {}: {}", self.at, self.rule, self.what)
    }
}

/// An invalidation in the log.
struct Committed {
    at: u64,
    sequence: u64,
    key: usize,
    value: u64,
    soft: bool,
    /// Committed to a log that had lost its tail unnoticed: it binds nobody.
    suspect: bool,
}

/// Who promised.
#[derive(Clone, Copy, PartialEq)]
enum By {
    Fleet,
    Pod(usize),
    Position(Position),
}

/// An answer that binds later reads.
struct Proof {
    by: By,
    key: usize,
    value: u64,
    soft: bool,
    from: u64,
    asked: u64,
    answered: u64,
}

/// Nothing read before this record is fresh D after it.
struct EpochBegan {
    at: u64,
    sequence: u64,
    origin: [u64; KEYS],
}

/// How far a read is bound to the log by positions, if sequences of the epoch
/// name one record each.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) epoch: Option<Epoch>,
    /// The first retained record: older ones may have gone unread.
    pub(crate) first: u64,
    /// What the read waits for.
    pub(crate) reached: Option<u64>,
    /// What the read was answered at.
    pub(crate) told: Option<u64>,
}

/// A loss that the pods in `witnesses` (pod, start) must notice.
pub(crate) struct Loss {
    pub(crate) at: u64,
    pub(crate) last: u64,
    pub(crate) witnesses: Vec<(usize, u64)>,
}

/// What the checker remembers; violations are kept, not panicked on.
#[derive(Default)]
pub(crate) struct Judged {
    committed: Vec<Committed>,
    proofs: Vec<Proof>,
    epochs: Vec<EpochBegan>,
    pub(crate) losses: Vec<Loss>,
    /// The clock behind the log's stamps.
    pub(crate) server_clock: server_clock::ServerClock,
    /// When the log was last told of an epoch that it is not in: in one made
    /// anew a sequence that was expected may name another record.
    pub(crate) misnamed: Option<u64>,
    /// A1 is broken until then; u64::MAX: until a new epoch begins.
    suspect_until: u64,
    /// Versions on which a CompareAndSet has succeeded.
    swapped: HashMap<String, u64>,
    pub(crate) swaps: Swaps,
    /// The calls on the key that is swapped.
    pub(crate) history: History,
    /// How far each start of a pod said it was, per epoch (I-21).
    progress: HashMap<(usize, u64, u64), u64>,
    /// The newest position that anybody was told.
    pub(crate) newest: Option<Position>,
    pub(crate) reads: u64,
    pub(crate) hits: u64,
    pub(crate) operations: u64,
    pub(crate) violation: Option<Violation>,
}

impl Judged {
    pub(crate) fn of(mix: &Mix) -> Self {
        let mut judged = Self::default();
        judged.swaps.held = mix.holds;
        judged
    }

    /// An invalidation was committed: it binds every pod D later (I-2).
    pub(crate) fn committed(&mut self, reason: Option<&str>, sequence: u64, at: u64) {
        if let Some((key, value)) = reason.and_then(names::parse) {
            let suspect = self.suspect_until == u64::MAX;
            self.committed.push(Committed {
                at,
                sequence,
                key,
                value,
                soft: reason.is_some_and(names::is_soft),
                suspect,
            });
        }
    }

    /// A pod began another epoch of a log that had one: the log lost records or
    /// its clock was set back since the last began, or it named an epoch that
    /// had been left; else the fleet is cold for nothing.
    pub(crate) fn epoch_by_pod(&mut self, at: u64) {
        if !self.may_end_epoch() {
            self.violation.get_or_insert(Violation {
                at,
                rule: "I-16",
                key: None,
                what: "an epoch began without a cause".to_owned(),
            });
        }
    }

    fn may_end_epoch(&self) -> bool {
        let mut newest = self.epochs.iter().rev().map(|epoch| epoch.at);
        let began = newest.next().unwrap_or(0);
        // A record that an earlier loss made a pod say may come late, and its
        // expectation hold by chance in a log made anew.
        let before = newest.next().unwrap_or(0);
        let lost = self.losses.iter().any(|loss| loss.at >= before);
        lost || self.misnamed >= Some(began) || self.server_clock.went_back_since(began)
    }

    pub(crate) fn new_epoch(&mut self, sequence: u64, at: u64, origin: [u64; KEYS]) {
        self.epochs.push(EpochBegan {
            at,
            sequence,
            origin,
        });
        self.server_clock.new_epoch(sequence, at);
        if self.suspect_until > at {
            self.suspect_until = at + D_US;
        }
    }

    /// The log lost everything above `last`. Somebody `knew` lost positions if
    /// a pod had been given one.
    pub(crate) fn lost_tail(&mut self, loss: Loss, knew: bool) {
        let last = loss.last;
        self.server_clock.lost_tail(last);
        self.committed.retain(|c| c.sequence <= last);
        self.epochs.retain(|e| e.sequence <= last);
        let committed = &self.committed;
        let there = |p: &Proof| {
            let same = |c: &Committed| c.key == p.key && c.value == p.value && !c.suspect;
            committed.iter().any(same)
        };
        self.proofs.retain(there);
        self.swapped.clear();
        if knew {
            self.suspect_until = u64::MAX;
        }
        self.losses.push(loss);
    }

    /// Whether an epoch began after all losses: sequences name one record each.
    pub(crate) fn is_whole(&self) -> bool {
        let began = self.epochs.last().map(|epoch| epoch.at);
        let lost = self.losses.last().map(|loss| loss.at);
        lost.is_none() || began > lost
    }

    /// Whether A1 is broken now.
    pub(crate) fn suspect(&self, now: u64) -> bool {
        now < self.suspect_until
    }

    /// An invalidation answered OK on `pod`. False: it was not done (I-13).
    pub(crate) fn answered(
        &mut self,
        pod: usize,
        (key, value, soft): (usize, u64, bool),
        (ack, position): (Ack, Option<Position>),
        (asked, answered): (u64, u64),
    ) -> bool {
        let same = |c: &&Committed| c.key == key && c.value == value;
        let in_log = self.committed.iter().any(|c| same(&c));
        let logged = self.committed.iter().filter(same).any(|c| !c.suspect);
        let lost = self.losses.last().is_some_and(|loss| loss.at >= asked);
        if !in_log && ack != Ack::Local && !lost && !self.suspect(answered) {
            return false;
        }
        if self.suspect_until == u64::MAX || (!logged && ack != Ack::Local) {
            return true;
        }
        let mut prove = |by| {
            self.proofs.push(Proof {
                by,
                key,
                value,
                soft,
                from: self.suspect_until,
                asked,
                answered,
            });
        };
        prove(By::Pod(pod));
        if ack == Ack::Fleet {
            prove(By::Fleet);
        }
        if let Some(position) = position {
            prove(By::Position(position));
        }
        true
    }

    /// A pod started again: what the last start promised of itself is over.
    pub(crate) fn restarted(&mut self, pod: usize, now: u64) {
        self.swaps.unclear(pod, now);
        self.proofs.retain(|p| p.by != By::Pod(pod));
    }

    /// I-8: true if this is the first CompareAndSet that succeeded on `version`.
    pub(crate) fn first_on(&mut self, version: String) -> bool {
        let times = self.swapped.entry(version).or_default();
        *times += 1;
        *times == 1
    }

    /// I-21: true if a start of a pod did not go back within an epoch.
    pub(crate) fn goes_on(&mut self, pod: usize, start: u64, at: Position) -> bool {
        let known = self.progress.entry((pod, start, at.epoch.0)).or_default();
        let on = at.sequence >= *known;
        *known = at.sequence.max(*known);
        on
    }

    /// A start of a pod has said that it processed a position: it stays there.
    pub(crate) fn reached(&mut self, pod: usize, start: u64, at: Position) {
        let known = self.progress.entry((pod, start, at.epoch.0)).or_default();
        *known = at.sequence.max(*known);
    }
}
