//! What the log's driver says, and the timers: opening the log, losing it,
//! another life of it. `reading.rs` keeps the incarnations, `replay.rs` the past.

use super::logtime::LogClock;
use super::reader::Anchor;
use super::record::{Body, RecordId};
use super::{Action, Bug, Machine};
use crate::clock::Moment;
use crate::log::{Event, Opened, Subject};
use crate::position::Epoch;
use std::time::Duration;

/// Epochs remembered as left.
const LEFT_EPOCHS: usize = 64;
/// No session can be renewed in less.
const SESSION_TTL_MIN: Duration = Duration::from_millis(100);
/// A backfill that was not answered is asked for again.
const BACKFILL_AGAIN: Duration = Duration::from_secs(10);

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
            Event::Broken { .. } if self.has_bug(Bug::ConsumerErrorSwallowed) => {}
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

    /// A log that discards by size forgets where its epoch is named long before
    /// the retention is over: it is told again from its newer half.
    pub(super) fn keep_epoch_told(&mut self, now: Moment) {
        let half = self.reader.processed.saturating_sub(self.first) / 2;
        if self.first > 1 && self.epoch_told < self.first + half {
            self.epoch_again_at = self.epoch_again_at.min(now);
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
        self.connection_is_new();
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
            self.end_set_back_epoch();
        } else if backward || opened.last < self.reader.processed {
            match self.has_bug(Bug::BackwardIgnored) {
                true => self.begin_anew(now),
                false => self.declare_epoch(opened.epoch_told),
            }
        } else {
            self.reopened(now);
            self.end_set_back_epoch();
        }
    }

    /// Truncated past what was read: begin again at an own Join.
    fn begin_anew(&mut self, now: Moment) {
        // What was processed and never verified may lack records for good.
        if self.verified.to < self.reader.processed {
            self.found_gap(self.reader.processed);
        }
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
            Some(_) if self.has_bug(Bug::AcrossReconnect) && self.reader.is_reading() => {}
            Some(_) => self.rebuild(now),
            None => self.join(now),
        }
    }

    /// No incarnation is continued across a reconnect.
    fn connection_is_new(&mut self) {
        if !self.has_bug(Bug::AcrossReconnect) {
            self.reader.drop_all();
        }
    }

    fn lost(&mut self, why: String, now: Moment) {
        self.log_error = Some(why);
        self.build_at = None;
        self.connection_is_new();
        // Before the first opening there is no reading to interrupt.
        if self.epoch.is_some() {
            self.fleet.interrupted(now);
        }
    }

    /// The first of those who notice declares it: the others find it.
    pub(super) fn declare_epoch(&mut self, told: u64) {
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
        self.set_back = false;
        self.epoch_append = None;
        self.counts.epochs += u64::from(self.met.replace(epoch) != Some(epoch));
        self.clock = LogClock::default();
        self.epoch_again_at = now.plus(self.jittered(self.retention / 4));
        self.stop_reading();
        self.reader.processed = 0;
        self.reader.anchor = None;
        self.gap = 0;
        self.unsound = 0;
        self.verified_from(0);
        self.floors.clear();
        self.versions.clear();
        self.history.clear();
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

    pub(super) fn has_bug(&self, bug: Bug) -> bool {
        self.settings.bugs.has(bug)
    }
}
