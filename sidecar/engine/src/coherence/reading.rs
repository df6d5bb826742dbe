//! Incarnations of the reader: built, trusted, doubted, replaced (nats-log.md).
//! One that was good is replaced at once; after one that never was, with pauses.

use super::reader::Verdict;
use super::{Action, Bug, Machine};
use crate::clock::Moment;
use crate::log::{Command, Delivery};
use std::time::Duration;

/// An incarnation is replaced at about this share of the beats' ttl (%)...
const INCARNATION_AGE: u32 = 36;
/// ...and dropped at this one, less than half of it, if that did not work.
const INCARNATION_END: u32 = 49;
/// Waits between failed attempts to read: from, to.
const BUILD_AGAIN: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// After this many in a row the connection is opened again.
const REOPEN_AFTER: u32 = 3;

impl Machine {
    /// Replaces an incarnation in time, and builds one after failures.
    pub(super) fn tick_reading(&mut self, now: Moment) {
        if self.build_at.is_some_and(|at| now >= at) {
            self.build_at = None;
            self.read(false, now);
        }
        let Some(born) = self.reader.born() else {
            return;
        };
        if self.has_bug(Bug::OldIncarnation) {
            return;
        }
        if now >= born.plus(self.share_of_beat_ttl(INCARNATION_END)) {
            self.rebuild(now);
        } else if self.reader.is_verified() && !self.reader.has_next() && now >= self.replace_at {
            self.read(true, now);
        }
    }

    fn share_of_beat_ttl(&self, percent: u32) -> Duration {
        self.settings.beat_ttl * percent / 100
    }

    pub(super) fn delivered(&mut self, delivery: &Delivery, now: Moment) {
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

    pub(super) fn went_backward(&mut self) {
        self.backward = true;
        self.stop_reading();
        // Opening again tells whether somebody has declared a new epoch yet.
        self.command(Command::Reopen);
    }

    pub(super) fn built(&mut self) {
        if self.reader.is_verified() {
            self.failed_builds = 0;
            self.reading_error = None;
        }
    }

    /// An incarnation is not to be trusted any more. One that was good is
    /// replaced at once; after one that never was, with pauses.
    pub(super) fn doubt(&mut self, incarnation: u64, why: &str, now: Moment) {
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

    pub(super) fn build_later(&mut self, why: &str, now: Moment) {
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

    pub(super) fn promote(&mut self) {
        if let Some(incarnation) = self.reader.promote() {
            self.command(Command::Stop { incarnation });
        }
    }

    pub(super) fn stop_reading(&mut self) {
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

    pub(super) fn read(&mut self, overlap: bool, now: Moment) {
        let Some(anchor) = self.reader.anchor else {
            return;
        };
        let incarnation = self.reader.build(anchor, overlap, now);
        let age = self.share_of_beat_ttl(INCARNATION_AGE);
        self.replace_at = now.plus(self.jittered(age));
        self.counts.incarnations += 1;
        let session = self.session.id;
        self.command(Command::Read {
            incarnation,
            anchor: anchor.sequence,
            session,
        });
    }
}
