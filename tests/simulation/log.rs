//! The modelled log: one server with several steps, so that answers get lost
//! after the deed was done. It discards, loses its tail, and is made anew.

use crate::mix::Mix;
use crate::world::TTL_US;
use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;
use unstale_engine::clock::LogTime;
use unstale_engine::coherence::record::{Body, Record, RecordId, SessionId};
use unstale_engine::log::{Append, Appended, Backfilled, Opened, Subject};
use unstale_engine::position::Epoch;

/// The server's clock is far from every pod's.
const SERVER_EPOCH_US: u64 = 1_700_000_000_000_000;

pub(crate) struct Kept {
    at: u64,
    /// What the server's clock showed.
    time: LogTime,
    pub(crate) append: Append,
    pub(crate) expires: bool,
    /// What it says, decoded once.
    record: Option<Record>,
}

impl Kept {
    pub(crate) fn time(&self) -> LogTime {
        self.time
    }

    fn epoch(&self) -> Option<Epoch> {
        match self.record.as_ref()?.body {
            Body::NewEpoch(epoch) | Body::SameEpoch(epoch) => Some(epoch),
            _ => None,
        }
    }
}

/// An append that was taken in, not committed yet.
pub(crate) type Ticket = u64;

pub(crate) struct LogServer {
    kept: Vec<Kept>,
    submitted: VecDeque<(Ticket, Append)>,
    next_ticket: Ticket,
    /// Outcomes of commits that nobody was told.
    answers: HashMap<Ticket, Appended>,
    /// How far the server's clock was set from where it would be (µs).
    pub(crate) clock_off: i64,
    pub(crate) first: u64,
    /// The highest sequence that any pod was given.
    pub(crate) given: u64,
    dedupe: HashMap<RecordId, u64>,
    /// When it holds no more proposals back (µs), in schedules in which it does.
    holds_until: u64,
    held: HashSet<RecordId>,
    retention: u64,
    beat_ttl: u64,
    epoch_survives: bool,
}

/// One change in eight, as its id says, so that nothing is drawn for it.
fn is_to_be_held(append: &Append) -> bool {
    let record = Record::decode(&append.payload);
    let is_change =
        record.is_ok_and(|record| matches!(record.body, Body::Invalidate(_) | Body::Write(_)));
    is_change && append.id.0.is_multiple_of(8)
}

/// When a proposal that was held comes through all the same (µs): every other one
/// does, up to four seconds later.
pub(crate) fn comes_through(id: RecordId) -> Option<u64> {
    let after = 500_000 + (id.0 >> 8) as u64 % 3_500_000;
    (id.0 >> 4).is_multiple_of(2).then_some(after)
}

impl LogServer {
    pub(crate) fn new(mix: &Mix) -> Self {
        Self {
            kept: Vec::new(),
            submitted: VecDeque::new(),
            next_ticket: 0,
            answers: HashMap::new(),
            clock_off: 0,
            first: 1,
            given: 0,
            dedupe: HashMap::new(),
            holds_until: if mix.holds { mix.size.over() } else { 0 },
            held: HashSet::new(),
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

    /// Takes an append in, unless its expectation does not hold or may not hold
    /// any more when it is committed.
    pub(crate) fn submit(&mut self, append: Append, now: u64) -> Result<Ticket, Appended> {
        if self.held.contains(&append.id) {
            return Err(Appended::Held);
        }
        let known = self.dedupe.contains_key(&append.id);
        if now < self.holds_until && !known && is_to_be_held(&append) {
            self.held.insert(append.id);
            return Err(Appended::Unknown("the proposal was held".into()));
        }
        let subject = append.subject;
        let under_way = || self.submitted.iter().any(|(_, a)| a.subject == subject);
        let conflicts = |expected| expected != self.last_on(subject) || under_way();
        if !known && append.expect_last.is_some_and(conflicts) {
            return Err(Appended::Conflict);
        }
        self.next_ticket += 1;
        self.submitted.push_back((self.next_ticket, append));
        Ok(self.next_ticket)
    }

    /// No longer under way; false: it was not.
    pub(crate) fn lets_go(&mut self, id: RecordId) -> bool {
        self.held.remove(&id)
    }

    /// What was submitted up to a ticket: commits keep that order.
    pub(crate) fn submitted_until(&mut self, ticket: Ticket) -> Vec<(Ticket, Append)> {
        let until = self.submitted.partition_point(|(of, _)| *of <= ticket);
        self.submitted.drain(..until).collect()
    }

    pub(crate) fn answers(&mut self, ticket: Ticket, outcome: Appended) {
        self.answers.insert(ticket, outcome);
    }

    pub(crate) fn answer(&mut self, ticket: Ticket) -> Option<Appended> {
        self.answers.remove(&ticket)
    }

    /// The commit. True: appended now, not by an earlier attempt.
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
            time: self.time(now),
            append: append.clone(),
            expires: matches!(append.subject, Subject::Beats(_)),
            record: Record::decode(&append.payload).ok(),
        });
        self.dedupe.insert(append.id, self.last());
        self.expire(now);
        (Appended::At(self.last()), true)
    }

    /// The server's clock.
    fn time(&self, now: u64) -> LogTime {
        LogTime((SERVER_EPOCH_US + now).saturating_add_signed(self.clock_off))
    }

    /// Discards what is older than the retention by the server's clock. True:
    /// there was something.
    pub(crate) fn expire(&mut self, now: u64) -> bool {
        let time = self.time(now).0;
        let old = |kept: &&Kept| kept.time.0 + self.retention < time;
        let old = self.retained().iter().take_while(old).count() as u64;
        self.discard(self.first + old)
    }

    /// Discards the oldest records but for `keep`. True: there were some.
    pub(crate) fn truncate(&mut self, keep: u64) -> bool {
        self.discard(self.last().saturating_sub(keep))
    }

    /// `first` is the first that stays, at most.
    fn discard(&mut self, first: u64) -> bool {
        let discards = first > self.first;
        self.first = self.first.max(first);
        discards
    }

    /// Loses everything above `last`; the sequences are used again.
    pub(crate) fn lose_tail(&mut self, last: u64) {
        self.kept.truncate(last as usize);
        self.first = self.first.min(last + 1);
        self.dedupe.retain(|_, sequence| *sequence <= last);
        self.given = self.given.min(last);
        self.submitted.clear();
        self.held.clear();
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

    pub(crate) fn record(&self, sequence: u64) -> Option<&Record> {
        let kept = self.kept.get(sequence as usize - 1)?;
        kept.record.as_ref()
    }

    /// The epoch that the newest record on its subject names.
    pub(crate) fn epoch(&self) -> Option<Epoch> {
        let from = match self.epoch_survives {
            true => 0,
            false => self.first as usize - 1,
        };
        self.kept[from..].iter().rev().find_map(Kept::epoch)
    }

    pub(crate) fn opened(&self) -> Opened {
        Opened {
            epoch: self.epoch(),
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
