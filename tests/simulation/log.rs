//! The modelled log: one server with several steps, so that answers get lost
//! after the deed was done. It discards, loses its tail, and is made anew.

use crate::mix::Mix;
use crate::world::TTL_US;
use std::collections::HashMap;
use std::time::Duration;
use unstale_engine::clock::LogTime;
use unstale_engine::coherence::record::{Body, Record, RecordId, SessionId};
use unstale_engine::log::{Append, Appended, Backfilled, Opened, Subject};
use unstale_engine::position::Epoch;

/// The server's clock is far from every pod's.
const SERVER_EPOCH_US: u64 = 1_700_000_000_000_000;

pub(crate) struct Kept {
    at: u64,
    pub(crate) append: Append,
    pub(crate) expires: bool,
}

impl Kept {
    pub(crate) fn time(&self) -> LogTime {
        LogTime(SERVER_EPOCH_US + self.at)
    }

    fn epoch(&self) -> Option<Epoch> {
        match Record::decode(&self.append.payload).ok()?.body {
            Body::NewEpoch(epoch) | Body::SameEpoch(epoch) => Some(epoch),
            _ => None,
        }
    }
}

pub(crate) struct LogServer {
    kept: Vec<Kept>,
    pub(crate) first: u64,
    /// The highest sequence that any pod was given.
    pub(crate) given: u64,
    dedupe: HashMap<RecordId, u64>,
    retention: u64,
    beat_ttl: u64,
    epoch_survives: bool,
}

impl LogServer {
    pub(crate) fn new(mix: &Mix) -> Self {
        Self {
            kept: Vec::new(),
            first: 1,
            given: 0,
            dedupe: HashMap::new(),
            retention: mix.retention,
            beat_ttl: mix.extra.beat_ttl_us(),
            epoch_survives: mix.epoch_survives,
        }
    }

    pub(crate) fn last(&self) -> u64 {
        self.kept.len() as u64
    }

    fn retained(&self) -> &[Kept] {
        &self.kept[self.first as usize - 1..]
    }

    pub(crate) fn last_on(&self, subject: Subject) -> u64 {
        let retained = self.retained();
        let at = retained.iter().rposition(|k| k.append.subject == subject);
        at.map_or(0, |at| at as u64 + self.first)
    }

    /// The server's one step: everything before may be lost, everything after
    /// is only the answer. True: appended now, not by an earlier attempt.
    pub(crate) fn commit(&mut self, append: &Append, now: u64) -> (Appended, bool) {
        if let Some(sequence) = self.dedupe.get(&append.id) {
            return (Appended::At(*sequence), false);
        }
        let expected = append.expect_last;
        if expected.is_some_and(|expected| expected != self.last_on(append.subject)) {
            return (Appended::Conflict, false);
        }
        self.kept.push(Kept {
            at: now,
            append: append.clone(),
            expires: matches!(append.subject, Subject::Beats(_)),
        });
        self.dedupe.insert(append.id, self.last());
        self.expire(now);
        (Appended::At(self.last()), true)
    }

    /// Discards what is older than the retention.
    fn expire(&mut self, now: u64) {
        let old = |kept: &&Kept| kept.at + self.retention < now;
        let old = self.retained().iter().take_while(old).count() as u64;
        self.discard(self.first + old);
    }

    /// Discards the oldest records but for `keep`.
    pub(crate) fn truncate(&mut self, keep: u64) {
        self.discard(self.last().saturating_sub(keep));
    }

    /// `first` is the first that stays, at most.
    fn discard(&mut self, first: u64) {
        self.first = self.first.max(first);
    }

    /// Loses everything above `last`; the sequences are used again.
    pub(crate) fn lose_tail(&mut self, last: u64) {
        self.kept.truncate(last as usize);
        self.first = self.first.min(last + 1);
        self.dedupe.retain(|_, sequence| *sequence <= last);
        self.given = self.given.min(last);
    }

    /// Whether a record in `from..=to` never expires: its readers know it.
    pub(crate) fn has_lasting(&self, from: u64, to: u64) -> bool {
        let to = (to as usize).min(self.kept.len());
        let range = self.kept.get(from as usize - 1..to);
        range.is_some_and(|range| range.iter().any(|kept| !kept.expires))
    }

    /// Whether an epoch began after `at`.
    pub(crate) fn epoch_since(&self, at: u64) -> bool {
        let newest = self.kept.iter().rev().take_while(|kept| kept.at >= at);
        newest.filter_map(Kept::epoch).next().is_some()
    }

    pub(crate) fn record(&self, sequence: u64) -> Option<Record> {
        let kept = self.kept.get(sequence as usize - 1)?;
        Record::decode(&kept.append.payload).ok()
    }

    pub(crate) fn opened(&self) -> Opened {
        let from = if self.epoch_survives {
            &self.kept
        } else {
            self.retained()
        };
        Opened {
            epoch: from.iter().rev().find_map(Kept::epoch),
            epoch_told: self.last_on(Subject::Epochs),
            first: self.first,
            last: self.last(),
            session_ttl: Duration::from_micros(TTL_US),
            retention: Duration::from_micros(self.retention),
            alone: false,
        }
    }

    /// The first record after `sequence` that `session`'s reader gets.
    pub(crate) fn after(
        &mut self,
        sequence: u64,
        session: SessionId,
        now: u64,
    ) -> Option<(u64, &Kept)> {
        let from = sequence.max(self.first - 1);
        let beat_ttl = self.beat_ttl;
        let others = |kept: &Kept| match kept.append.subject {
            Subject::Beats(of) => of != session || kept.at + beat_ttl < now,
            _ => false,
        };
        let tail = self.kept.get(from as usize..)?;
        let skipped = tail.iter().take_while(|kept| others(kept)).count();
        let next = from + skipped as u64 + 1;
        let kept = self.kept.get(next as usize - 1)?;
        self.given = self.given.max(next);
        Some((next, kept))
    }

    pub(crate) fn backfill(&self, from: u64, to: u64) -> Backfilled {
        let numbered = self.kept.iter().enumerate();
        let wanted = numbered
            .map(|(index, kept)| (index as u64 + 1, kept))
            .filter(|(s, k)| *s >= from.max(self.first) && *s < to && !k.expires);
        Backfilled {
            from,
            to,
            first: self.first,
            records: wanted
                .map(|(s, k)| (s, k.time(), k.append.payload.clone()))
                .collect(),
        }
    }
}
