//! The log's past: what lies before the own Join is replayed newest first, so
//! that the horizon falls while entries above it are served already.

use super::elapsed::Elapsed;
use super::record::RecordId;
use super::{Action, Bug, Decision, Machine};
use crate::clock::{LogTime, Moment};
use crate::log::Command;
use std::time::Duration;

/// Sequences replayed at once, newest first.
const BACKFILL_CHUNK: u64 = 4_000;

impl Machine {
    /// The own Join is the first record that was read: replay what came before.
    pub(super) fn start_backfill(&mut self, joined: u64, now: Moment) {
        self.backfill_to = Some(joined);
        let bound = self.staleness_bound();
        self.elapsed = Elapsed::before(self.anchor_time(), bound, self.retention / 4);
        self.ask_backfill(now);
    }

    pub(super) fn ask_backfill(&mut self, now: Moment) {
        let Some(to) = self.backfill_to else { return };
        if to <= self.first {
            self.replay_done(self.first.saturating_sub(1), self.first <= 1, now);
            return;
        }
        self.backfill_asked = now;
        let from = to.saturating_sub(BACKFILL_CHUNK).max(self.first);
        self.command(Command::Backfill { from, to });
    }

    pub(super) fn backfilled(&mut self, chunk: &crate::log::Backfilled, now: Moment) {
        if self.backfill_to != Some(chunk.to) {
            return;
        }
        for (sequence, time, payload) in chunk.records.iter().rev() {
            self.elapsed.meet(*time);
            if self.apply_old((*sequence, *time, payload), now) {
                // A NewEpoch: what is below it is of another life.
                if self.epoch.is_some() {
                    self.replay_done(*sequence, true, now);
                }
                return;
            }
        }
        self.first = self.first.max(chunk.first);
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
    /// session is known if the replay surely went that far back (`elapsed.rs`); else
    /// only once half the retention has been read. If it reached the `beginning` of this log's
    /// life, every session of this life is known, and those of an earlier one
    /// are over D after.
    pub(super) fn replay_done(&mut self, horizon: u64, beginning: bool, now: Moment) {
        self.horizon = horizon;
        self.backfill_to = None;
        self.ends.clear();
        self.decide_lost();
        // A gap was found meanwhile: that says when.
        if self.known_at.is_none() {
            let known_in = self.known_in(beginning);
            self.replayed = known_in.is_zero();
            self.known_at = (!self.replayed).then(|| now.plus(known_in));
        }
        self.push(Action::Progress);
    }

    fn known_in(&self, beginning: bool) -> Duration {
        let elapsed = match self.has_bug(Bug::AgeByStamps) {
            true => self.elapsed.by_stamps(self.anchor_time()),
            false => self.elapsed.at_least(),
        };
        match beginning {
            _ if self.alone => Duration::ZERO,
            true => self.staleness_bound().saturating_sub(elapsed),
            false if self.elapsed.holds_every_join() => Duration::ZERO,
            false => self.retention / 2,
        }
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

    pub(super) fn anchor_time(&self) -> LogTime {
        self.reader
            .anchor
            .and_then(|anchor| anchor.time)
            .unwrap_or_default()
    }
}
