//! What the log's driver says: opening, reading, doubting, starting over.

use super::reader::{Anchor, Verdict};
use super::record::{Body, RecordId};
use super::{Action, Bug, Decision, Machine};
use crate::clock::{LogTime, Moment};
use crate::log::{Command, Delivery, Event, Opened, Subject};
use crate::position::Epoch;
use std::time::Duration;

/// An incarnation is replaced at this age, well below half the beats' ttl.
const INCARNATION_AGE: Duration = Duration::from_secs(240);
/// A backfill that was not answered is asked for again.
const BACKFILL_AGAIN: Duration = Duration::from_secs(10);
/// Sequences replayed at once, newest first.
const BACKFILL_CHUNK: u64 = 50_000;

impl Machine {
    /// Takes one event of the log's driver.
    pub fn event(&mut self, event: Event, now: Moment) {
        match event {
            Event::Opened(opened) => self.opened(&opened, now),
            Event::Lost(why) => self.lost(why, now),
            Event::Reading { .. } => {}
            Event::Delivered(delivery) => self.delivered(&delivery, now),
            Event::Idle {
                incarnation,
                consumer_sequence,
            } => {
                if let Some(why) = self.reader.idle(incarnation, consumer_sequence, now) {
                    self.doubt(incarnation, why, now);
                }
                self.promote();
            }
            Event::Broken { incarnation, .. } => self.doubt(incarnation, "the consumer broke", now),
            Event::First { token, first } => self.first_checked(token, first, now),
            Event::Backfilled(backfilled) => self.backfilled(&backfilled, now),
            Event::Word {
                session,
                epoch,
                sequence,
            } => self.word(session, epoch, sequence, now),
            Event::Asked { by } => self.say(by, self.reader.processed),
        }
    }

    /// Looks at the timers. Call it at [`Machine::next_tick`] or before.
    pub fn tick(&mut self, now: Moment) {
        if let Some(silent) = self.reader.silent(now) {
            self.doubt(silent, "the consumer is silent", now);
        }
        let aged = |born: Moment| now >= born.plus(INCARNATION_AGE);
        if self.reader.is_verified()
            && !self.reader.has_next()
            && self.reader.born().is_some_and(aged)
        {
            self.read(true, now);
        }
        if self.known_at.is_some_and(|at| now >= at) {
            self.known_at = None;
            self.replayed = true;
        }
        if self.backfill_to.is_some() && now >= self.backfill_asked.plus(BACKFILL_AGAIN) {
            self.ask_backfill(now);
        }
        self.tick_session(now);
        self.tick_fleet(now);
    }

    /// When [`Machine::tick`] wants to be called next, at the latest.
    pub fn next_tick(&self, now: Moment) -> Moment {
        if self.log_error.is_some() {
            return now.plus(Duration::from_secs(1));
        }
        let renewal = self.reader.born().map(|born| born.plus(INCARNATION_AGE));
        let timers = [self.reader.silence_at(), renewal, self.fleet_timer(now)];
        let first = timers
            .into_iter()
            .flatten()
            .fold(self.session_timer(now), Moment::min);
        // Never a busy loop: a timer that is overdue for a reason waits a little.
        first.max(now.plus(Duration::from_millis(5)))
    }

    fn opened(&mut self, opened: &Opened, now: Moment) {
        self.log_error = None;
        self.session_ttl = opened.session_ttl;
        self.retention = opened.retention;
        self.first = opened.first;
        self.reader.drop_all();
        let Some(epoch) = opened.epoch else {
            // A new log, or one made anew: the first to say so names the epoch.
            self.declare_epoch(Some(0));
            return;
        };
        if self.epoch != Some(epoch) {
            self.start_over(epoch, now);
            self.join(now);
        } else if self
            .reader
            .anchor
            .is_some_and(|anchor| opened.first > anchor.sequence)
        {
            self.backward = false;
            self.begin_anew(now);
        } else if std::mem::take(&mut self.backward) || opened.last < self.reader.processed {
            self.declare_epoch(None);
        } else {
            self.reopened(now);
        }
    }

    /// Truncated past what was read: begin again at an own Join.
    fn begin_anew(&mut self, now: Moment) {
        self.reader.anchor = None;
        self.replayed = false;
        self.known_at = None;
        self.own
            .values_mut()
            .for_each(|open| open.before = open.acked.is_some());
        self.join(now);
    }

    /// The log we know is back.
    fn reopened(&mut self, now: Moment) {
        match self.reader.anchor {
            Some(_) => self.rebuild("reconnected", now),
            None => self.join(now),
        }
    }

    fn lost(&mut self, why: String, now: Moment) {
        self.log_error = Some(why);
        self.reader.drop_all();
        // Before the first opening there is no reading to interrupt.
        if self.epoch.is_some() {
            self.fleet.interrupted(now);
        }
    }

    fn declare_epoch(&mut self, expect_last: Option<u64>) {
        let epoch = Epoch(self.random.bits() as u64);
        self.epoch_append =
            Some(self.append_own(Body::NewEpoch(epoch), Subject::Epochs, expect_last));
    }

    /// Another life of the log: nothing of the last one counts.
    pub(super) fn start_over(&mut self, epoch: Epoch, now: Moment) {
        if self.epoch.is_some() {
            self.fleet.interrupted(now);
        }
        self.epoch = Some(epoch);
        self.reader.drop_all();
        self.reader.processed = 0;
        self.reader.anchor = None;
        self.floors.clear();
        self.horizon = u64::MAX;
        self.shards.fill(0);
        self.peers.clear();
        self.ends.clear();
        self.backfill_to = None;
        self.replayed = false;
        self.known_at = None;
        self.fail_fleet();
        self.own
            .values_mut()
            .for_each(|open| open.before = open.acked.is_some());
        self.push(Action::Reset);
        self.push(Action::Progress);
    }

    /// The first own Join is in the log: read from it, believe nothing older.
    pub(super) fn start_reading(&mut self, sequence: u64, id: RecordId, now: Moment) {
        self.reader.anchor = Some(Anchor {
            sequence,
            id,
            time: None,
        });
        self.horizon = sequence;
        self.session.last_echo = sequence;
        self.backfill_to = None;
        self.read(false, now);
    }

    /// The own Join is the first record that was read: replay what came before.
    pub(super) fn start_backfill(&mut self, joined: u64, now: Moment) {
        self.backfill_to = Some(joined);
        self.replayed_from = self.anchor_time();
        self.ask_backfill(now);
    }

    fn ask_backfill(&mut self, now: Moment) {
        let Some(to) = self.backfill_to else { return };
        if to <= self.first {
            self.replay_done(self.first.saturating_sub(1), self.first <= 1, now);
            return;
        }
        self.backfill_asked = now;
        let from = to.saturating_sub(BACKFILL_CHUNK).max(self.first);
        self.command(Command::Backfill { from, to });
    }

    fn backfilled(&mut self, chunk: &crate::log::Backfilled, now: Moment) {
        if self.backfill_to != Some(chunk.to) {
            return;
        }
        for (sequence, _, payload) in chunk.records.iter().rev() {
            if self.apply_old(*sequence, payload, now) {
                // A NewEpoch: what is below it is of another life.
                if self.epoch.is_some() {
                    self.replay_done(*sequence, true, now);
                }
                return;
            }
        }
        self.first = self.first.max(chunk.first);
        if let Some((_, oldest, _)) = chunk.records.first() {
            self.replayed_from = *oldest;
        }
        if chunk.first > chunk.from {
            self.replay_done(chunk.first, false, now);
        } else if chunk.from <= self.first {
            self.replay_done(chunk.from.saturating_sub(1), self.first <= 1, now);
        } else {
            self.horizon = chunk.from;
            self.backfill_to = Some(chunk.from);
            self.ask_backfill(now);
        }
    }

    /// The replay is over. Joins are repeated every retention/4, so every live
    /// session is known if it reached the log's beginning or half the
    /// retention back; else only once that much has been read.
    fn replay_done(&mut self, horizon: u64, complete: bool, now: Moment) {
        self.horizon = horizon;
        self.backfill_to = None;
        self.ends.clear();
        self.decide_lost();
        let reached = self.anchor_time().since(self.replayed_from);
        self.replayed = complete || reached >= self.retention / 2;
        if !self.replayed {
            self.known_at = Some(now.plus(self.retention / 2));
        }
        self.push(Action::Progress);
    }

    /// Own records that were acknowledged before this pod began to read anew
    /// and that the replay did not meet: of another life, or lost with it.
    fn decide_lost(&mut self) {
        let before = self.own.iter().filter(|(_, open)| open.before);
        let lost: Vec<RecordId> = before.map(|(id, _)| *id).collect();
        for id in lost {
            self.forget(id);
            self.push(Action::Decided(id, Decision::Unknown));
        }
    }

    fn anchor_time(&self) -> LogTime {
        self.reader
            .anchor
            .and_then(|anchor| anchor.time)
            .unwrap_or_default()
    }

    fn delivered(&mut self, delivery: &Delivery, now: Moment) {
        match self.reader.deliver(delivery, self.settings.bugs, now) {
            Verdict::Process => {
                self.process(delivery, now);
                self.promote();
                self.push(Action::Progress);
            }
            Verdict::Ignore => self.promote(),
            Verdict::Doubt(why) => self.doubt(delivery.incarnation, why, now),
            Verdict::Backward => self.went_backward(),
        }
    }

    fn went_backward(&mut self) {
        self.backward = true;
        for incarnation in self.reader.drop_all() {
            self.command(Command::Stop { incarnation });
        }
        // Opening again tells whether somebody has declared a new epoch yet.
        self.command(Command::Reopen);
    }

    fn doubt(&mut self, incarnation: u64, why: &'static str, now: Moment) {
        if self.reader.is_next(incarnation) {
            self.reader.drop_next();
            self.command(Command::Stop { incarnation });
        } else if self.reader.is_current(incarnation) {
            self.rebuild(why, now);
        }
    }

    fn promote(&mut self) {
        if let Some(incarnation) = self.reader.promote() {
            self.command(Command::Stop { incarnation });
        }
    }

    /// Drops every incarnation and reads anew from the anchor.
    pub(super) fn rebuild(&mut self, _why: &'static str, now: Moment) {
        for incarnation in self.reader.drop_all() {
            self.command(Command::Stop { incarnation });
        }
        self.fleet.interrupted(now);
        self.read(false, now);
        if self.backfill_to.is_some() {
            self.ask_backfill(now);
        }
    }

    fn read(&mut self, overlap: bool, now: Moment) {
        let Some(anchor) = self.reader.anchor else {
            return;
        };
        let incarnation = self.reader.build(anchor, overlap, now);
        self.incarnations += 1;
        let session = self.session.id;
        self.command(Command::Read {
            incarnation,
            anchor: anchor.sequence,
            session,
        });
    }

    pub(super) fn has_bug(&self, bug: Bug) -> bool {
        self.settings.bugs.has(bug)
    }
}
