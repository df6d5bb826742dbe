//! What a read must satisfy, and what the checker remembers to know it.
//!
//! A log that loses acknowledged records breaks assumption A1. From then until
//! D after the next NewEpoch only what is still in the log below the loss is
//! demanded (a value loaded under a lost position may be believed until
//! someone notices); after that, nothing from before the NewEpoch (I-10).

use crate::clients::{Swaps, names};
use crate::world::{D_US, KEYS};
use std::collections::HashMap;
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
    /// The clock behind the log's stamps was set. Open: pods may then differ
    /// on the log's time for as long as they live, so expiry (I-12) is not
    /// judged any more; everything else is.
    pub(crate) clock_was_set: bool,
    /// A1 is broken until then; u64::MAX: until a new epoch begins.
    suspect_until: u64,
    /// Versions on which a CompareAndSet has succeeded.
    swapped: HashMap<String, u64>,
    pub(crate) swaps: Swaps,
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

    pub(crate) fn new_epoch(&mut self, sequence: u64, at: u64, origin: [u64; KEYS]) {
        self.epochs.push(EpochBegan {
            at,
            sequence,
            origin,
        });
        if self.suspect_until > at {
            self.suspect_until = at + D_US;
        }
    }

    /// The log lost everything above `last`. Somebody `knew` lost positions if
    /// a pod had been given one.
    pub(crate) fn lost_tail(&mut self, loss: Loss, knew: bool) {
        let last = loss.last;
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
        let same = |c: &Committed| c.key == key && c.value == value && !c.suspect;
        let logged = self.committed.iter().any(same);
        let lost = self.losses.last().is_some_and(|loss| loss.at >= asked);
        if !logged && ack != Ack::Local && !lost && !self.suspect(answered) {
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

    /// The least value that a read of `key` beginning now on `pod` may return.
    pub(crate) fn required(
        &self,
        (pod, start): (usize, u64),
        key: usize,
        (min_position, bounds): (Option<Position>, Bounds),
        now: u64,
    ) -> (u64, &'static str) {
        let proofs = self.proofs.iter().filter_map(|p| {
            let rule = match p.by {
                By::Fleet => "I-1 FLEET had returned OK",
                By::Pod(of) if of == pod => "I-3 this pod had answered OK",
                By::Position(at) if Some(at) == min_position => "I-4 min_position was given",
                _ => return None,
            };
            (p.key == key && now >= p.from).then_some((p.value, rule))
        });
        let bound = self.committed.iter().filter_map(|c| {
            let binds = c.key == key && !c.suspect && now >= c.at + D_US;
            binds.then_some((c.value, "I-2 D had passed"))
        });
        let epochs = self.epochs.iter().filter_map(|e| {
            (now >= e.at + D_US).then_some((e.origin[key], "I-10 of another epoch"))
        });
        let logged = self.logged((pod, start), key, bounds, now);
        let logged = logged.map(|(c, rule)| (c.value, rule));
        let all = proofs.chain(bound).chain(epochs).chain(logged);
        all.max_by_key(|r| r.0).unwrap_or((0, ""))
    }

    /// The invalidations of a key that a start of a pod has processed, as far as
    /// it has said so, or has to process before it answers.
    fn logged(
        &self,
        (pod, start): (usize, u64),
        key: usize,
        bounds: Bounds,
        now: u64,
    ) -> impl Iterator<Item = (&Committed, &'static str)> {
        let epoch = bounds.epoch.filter(|_| !self.suspect(now));
        let processed = epoch.and_then(|epoch| self.progress.get(&(pod, start, epoch.0)));
        let reached = epoch.and(bounds.reached);
        let all = self.committed.iter();
        all.filter(move |c| c.key == key && !c.suspect)
            .filter_map(move |c| {
                let until = |most: Option<u64>| most.is_some_and(|most| c.sequence <= most);
                if until(reached) {
                    Some((c, "I-4 min_position was not below it"))
                } else if until(processed.copied()) && c.sequence >= bounds.first {
                    Some((c, "I-5 this pod had processed it"))
                } else {
                    None
                }
            })
    }

    /// The least value that such a read may return flagged: nothing below a
    /// hard floor that is known there is served at all.
    pub(crate) fn required_stale(
        &self,
        (pod, start): (usize, u64),
        key: usize,
        (min_position, bounds): (Option<Position>, Bounds),
        now: u64,
    ) -> (u64, &'static str) {
        let known = |p: &&Proof| match p.by {
            By::Fleet => false,
            By::Pod(of) => of == pod,
            By::Position(at) => Some(at) == min_position,
        };
        let hard = |p: &&Proof| !p.soft && p.key == key && now >= p.from;
        let all = self.proofs.iter().filter(known).filter(hard);
        let logged = self.logged((pod, start), key, bounds, now);
        let logged = logged.filter(|(c, _)| !c.soft).map(|(c, _)| c.value);
        let most = all.map(|p| p.value).chain(logged).max();
        (most.unwrap_or(0), "I-13 below a hard floor")
    }

    /// The least value that is current at `before`: what the log says until
    /// then, unless it lost records.
    pub(crate) fn current(&self, key: usize, before: u64, now: u64) -> (u64, &'static str) {
        if self.suspect(now) {
            return (0, "");
        }
        let binds = |c: &&Committed| c.key == key && !c.suspect && c.at < before;
        let most = self.committed.iter().filter(binds).map(|c| c.value).max();
        (most.unwrap_or(0), "as current as was asked for")
    }

    /// Whether a lease granted at `granted` on `pod` was covered there by an
    /// invalidation that began after it and had answered OK (I-7).
    pub(crate) fn voided(&self, pod: usize, key: usize, granted: u64, now: u64) -> bool {
        let covers = |p: &Proof| {
            let between = p.asked > granted && p.answered < now && now >= p.from;
            p.by == By::Pod(pod) && p.key == key && between
        };
        self.proofs.iter().any(covers)
    }

    /// A position a read may be bound to: one that promised something of `key`.
    pub(crate) fn positions(&self, key: usize) -> Vec<Position> {
        let of = |p: &Proof| match p.by {
            By::Position(position) if p.key == key => Some(position),
            _ => None,
        };
        self.proofs.iter().filter_map(of).collect()
    }

    /// I-8: true if this is the first CompareAndSet that succeeded on `version`.
    pub(crate) fn first_on(&mut self, version: String) -> bool {
        let times = self.swapped.entry(version).or_default();
        *times += 1;
        *times == 1
    }

    /// I-21: true if a start of a pod did not go back within an epoch.
    pub(crate) fn goes_on(&mut self, pod: usize, start: u64, at: Position) -> bool {
        self.newest = Some(at);
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
