//! What the log's driver says: opening, reading, doubting, starting over.

use super::reader::{Anchor, Verdict};
use super::record::{Body, RecordId};
use super::{Action, Bug, Decision, Machine};
use crate::clock::{LogTime, Moment};
use crate::log::{Command, Delivery, Event, Opened, Subject};
use crate::position::Epoch;
use std::time::Duration;

/// An incarnation is replaced at about this age...
const INCARNATION_AGE: Duration = Duration::from_secs(220);
/// ...and dropped at this one, half the beats' ttl, if that did not work.
const INCARNATION_END: Duration = Duration::from_secs(295);
/// Waits between failed attempts to read: from, to.
const BUILD_AGAIN: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// After this many in a row the connection is opened again.
const REOPEN_AFTER: u32 = 3;
/// Epochs remembered as left.
const LEFT_EPOCHS: usize = 64;
/// No session can be renewed in less.
const SESSION_TTL_MIN: Duration = Duration::from_millis(100);
/// A backfill that was not answered is asked for again.
const BACKFILL_AGAIN: Duration = Duration::from_secs(10);
/// Sequences replayed at once, newest first.
const BACKFILL_CHUNK: u64 = 4_000;

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
            Event::Broken { incarnation, why } => self.doubt(incarnation, &why, now),
            Event::First { token, first } => self.first_checked(token, first, now),
            Event::Backfilled(backfilled) => self.backfilled(&backfilled, now),
            Event::Word {
                session,
                epoch,
                sequence,
            } => self.word(session, epoch, sequence, now),
            Event::Asked { by } => self.promise_word(by, self.reader.processed, now),
        }
    }

    /// Looks at the timers. Call it at [`Machine::next_tick`] or before.
    pub fn tick(&mut self, now: Moment) {
        self.ticked = now;
        if let Some(silent) = self.reader.silent(now) {
            self.doubt(silent, "the consumer is silent", now);
        }
        self.tick_reading(now);
        if self.known_at.is_some_and(|at| now >= at) {
            self.known_at = None;
            self.replayed = true;
        }
        if self.backfill_to.is_some() && now >= self.backfill_asked.plus(BACKFILL_AGAIN) {
            self.ask_backfill(now);
        }
        self.tick_epoch(now);
        self.tick_session(now);
        self.tick_fleet(now);
    }

    /// Tells the log again which epoch it has, long before it forgets. Only if
    /// nobody has declared another meanwhile.
    fn tick_epoch(&mut self, now: Moment) {
        let due = self.epoch_told > 0 && now >= self.epoch_again_at;
        if let Some(epoch) = self.epoch
            && due
            && self.reader.is_reading()
        {
            self.epoch_again_at = now.plus(self.jittered(self.retention / 4));
            let told = Some(self.epoch_told);
            self.append_own(Body::SameEpoch(epoch), Subject::Epochs, told);
        }
    }

    /// Replaces an incarnation in time, and builds one after failures.
    fn tick_reading(&mut self, now: Moment) {
        if self.build_at.is_some_and(|at| now >= at) {
            self.build_at = None;
            self.read(false, now);
        }
        let Some(born) = self.reader.born() else {
            return;
        };
        if now >= born.plus(INCARNATION_END) {
            self.rebuild(now);
        } else if self.reader.is_verified() && !self.reader.has_next() && now >= self.replace_at {
            self.read(true, now);
        }
    }

    /// When [`Machine::tick`] wants to be called next, at the latest. Depends
    /// on nothing that events alone can move on.
    pub fn next_tick(&self) -> Moment {
        let timers = [
            self.reader.silence_at(),
            self.reader.born().map(|_| self.replace_at),
            self.build_at,
            self.fleet_timer(),
            (!self.session.left && self.log_error.is_none()).then(|| self.session_timer()),
        ];
        let latest = self.ticked.plus(Duration::from_secs(1));
        let first = timers.into_iter().flatten().fold(latest, Moment::min);
        // Never a busy loop: a timer that is overdue for a reason waits a little.
        first.max(self.ticked.plus(Duration::from_millis(5)))
    }

    fn opened(&mut self, opened: &Opened, now: Moment) {
        self.log_error = None;
        self.alone = opened.alone;
        self.failed_builds = 0;
        self.build_at = None;
        self.session_ttl = opened.session_ttl.max(SESSION_TTL_MIN);
        self.retention = opened.retention;
        self.first = opened.first;
        self.reader.drop_all();
        let Some(epoch) = opened.epoch else {
            // A new log, or one made anew: the first to say so names the epoch.
            self.declare_epoch(opened.epoch_told);
            return;
        };
        self.epoch_told = opened.epoch_told;
        let backward = std::mem::take(&mut self.backward);
        if self.left_epochs.contains(&epoch) {
            self.declare_epoch(opened.epoch_told);
        } else if self.epoch != Some(epoch) {
            self.start_over(epoch, now);
            self.join(now);
        } else if self
            .reader
            .anchor
            .is_some_and(|anchor| opened.first > anchor.sequence)
        {
            self.begin_anew(now);
        } else if backward || opened.last < self.reader.processed {
            self.declare_epoch(opened.epoch_told);
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
            Some(_) => self.rebuild(now),
            None => self.join(now),
        }
    }

    fn lost(&mut self, why: String, now: Moment) {
        self.log_error = Some(why);
        self.build_at = None;
        self.reader.drop_all();
        // Before the first opening there is no reading to interrupt.
        if self.epoch.is_some() {
            self.fleet.interrupted(now);
        }
    }

    /// The first of those who notice declares it: the others find it.
    fn declare_epoch(&mut self, told: u64) {
        let epoch = Epoch(self.random.bits() as u64);
        self.epoch_append =
            Some(self.append_own(Body::NewEpoch(epoch), Subject::Epochs, Some(told)));
    }

    /// Another life of the log: nothing of the last one counts.
    pub(super) fn start_over(&mut self, epoch: Epoch, now: Moment) {
        if let Some(left) = self.epoch {
            self.fleet.interrupted(now);
            if self.left_epochs.len() >= LEFT_EPOCHS {
                self.left_epochs.remove(0);
            }
            self.left_epochs.push(left);
        }
        self.epoch = Some(epoch);
        self.epoch_again_at = now.plus(self.jittered(self.retention / 4));
        self.stop_reading();
        self.reader.processed = 0;
        self.reader.anchor = None;
        self.gap = 0;
        self.verified_from(0);
        self.floors.clear();
        self.versions.clear();
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
        self.verified_from(sequence);
        self.backfill_to = None;
        self.push(Action::WatchFrom(sequence));
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
            let begun = (self.first <= 1).then_some(self.anchor_time());
            self.replay_done(self.first.saturating_sub(1), begun, now);
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
        for (sequence, time, payload) in chunk.records.iter().rev() {
            if self.apply_old((*sequence, *time, payload), now) {
                // A NewEpoch: what is below it is of another life.
                if self.epoch.is_some() {
                    self.replay_done(*sequence, Some(*time), now);
                }
                return;
            }
        }
        self.first = self.first.max(chunk.first);
        if let Some((_, oldest, _)) = chunk.records.first() {
            self.replayed_from = *oldest;
        }
        if chunk.first > chunk.from {
            self.replay_done(chunk.first, None, now);
        } else if chunk.from <= self.first {
            let begun = (self.first <= 1).then_some(self.replayed_from);
            self.replay_done(chunk.from.saturating_sub(1), begun, now);
        } else {
            self.horizon = chunk.from;
            self.backfill_to = Some(chunk.from);
            self.ask_backfill(now);
        }
    }

    /// The replay is over. Joins are repeated every retention/4, so every live
    /// session is known if the replay went half the retention back; else only
    /// once that much has been read. If it reached the beginning of this log's
    /// life, at `begun`, every session of this life is known, and those of an
    /// earlier one are over D after.
    fn replay_done(&mut self, horizon: u64, begun: Option<LogTime>, now: Moment) {
        self.horizon = horizon;
        self.backfill_to = None;
        self.ends.clear();
        self.decide_lost();
        // A gap was found meanwhile: that says when.
        if self.known_at.is_none() {
            let bound = self.staleness_bound();
            let known_in = match begun {
                _ if self.alone => Duration::ZERO,
                Some(begun) => bound.saturating_sub(self.clock.at_least(now).since(begun)),
                None if self.anchor_time().since(self.replayed_from) >= self.retention / 2 => {
                    Duration::ZERO
                }
                None => self.retention / 2,
            };
            self.replayed = known_in.is_zero();
            self.known_at = (!self.replayed).then(|| now.plus(known_in));
        }
        self.push(Action::Progress);
    }

    /// Own records that were acknowledged before this pod began to read anew
    /// and that the replay did not meet: of another life, or lost with it.
    pub(super) fn decide_lost(&mut self) {
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
                self.built();
                self.follow(delivery.sequence);
                self.process(delivery, now);
                self.promote();
                self.push(Action::Progress);
            }
            Verdict::Ignore => {
                self.built();
                self.promote();
            }
            Verdict::Doubt(why) => self.doubt(delivery.incarnation, why, now),
            Verdict::Backward => self.went_backward(),
        }
    }

    fn went_backward(&mut self) {
        self.backward = true;
        self.stop_reading();
        // Opening again tells whether somebody has declared a new epoch yet.
        self.command(Command::Reopen);
    }

    fn built(&mut self) {
        if self.reader.is_verified() {
            self.failed_builds = 0;
            self.reading_error = None;
        }
    }

    /// An incarnation is not to be trusted any more. One that was good is
    /// replaced at once; after one that never was, with pauses.
    fn doubt(&mut self, incarnation: u64, why: &str, now: Moment) {
        if self.reader.is_next(incarnation) {
            self.reader.drop_next();
            self.command(Command::Stop { incarnation });
            self.replace_at = now.plus(self.jittered(BUILD_AGAIN.1));
        } else if self.reader.is_current(incarnation) {
            if self.reader.is_verified() {
                self.rebuild(now);
            } else {
                self.build_later(why, now);
            }
        }
    }

    fn build_later(&mut self, why: &str, now: Moment) {
        self.stop_reading();
        self.fleet.interrupted(now);
        self.reading_error = Some(format!("the log cannot be read: {why}"));
        self.failed_builds += 1;
        if self.failed_builds.is_multiple_of(REOPEN_AFTER) {
            // Perhaps its stream is gone; opening makes it again.
            self.command(Command::Reopen);
        }
        let pause = BUILD_AGAIN.0 * 2_u32.pow(self.failed_builds.min(8));
        self.build_at = Some(now.plus(self.jittered(pause.min(BUILD_AGAIN.1))));
    }

    fn promote(&mut self) {
        if let Some(incarnation) = self.reader.promote() {
            self.command(Command::Stop { incarnation });
        }
    }

    fn stop_reading(&mut self) {
        for incarnation in self.reader.drop_all() {
            self.command(Command::Stop { incarnation });
        }
    }

    /// Drops every incarnation and reads anew from the anchor.
    pub(super) fn rebuild(&mut self, now: Moment) {
        self.stop_reading();
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
        self.replace_at = now.plus(self.jittered(INCARNATION_AGE));
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
