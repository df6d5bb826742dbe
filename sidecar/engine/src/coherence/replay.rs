//! The log's past: what lies before the own Join is replayed newest first, so
//! that the horizon falls while entries above it are served already.

use super::record::RecordId;
use super::{Action, Decision, Machine};
use crate::clock::{LogTime, Moment};
use crate::log::Command;
use std::time::Duration;

/// Sequences replayed at once, newest first.
const BACKFILL_CHUNK: u64 = 4_000;

impl Machine {
    /// The own Join is the first record that was read: replay what came before.
    pub(super) fn start_backfill(&mut self, joined: u64, now: Moment) {
        self.backfill_to = Some(joined);
        self.replayed_from = self.anchor_time();
        self.ask_backfill(now);
    }

    pub(super) fn ask_backfill(&mut self, now: Moment) {
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

    pub(super) fn backfilled(&mut self, chunk: &crate::log::Backfilled, now: Moment) {
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
    pub(super) fn replay_done(&mut self, horizon: u64, begun: Option<LogTime>, now: Moment) {
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

    pub(super) fn anchor_time(&self) -> LogTime {
        self.reader
            .anchor
            .and_then(|anchor| anchor.time)
            .unwrap_or_default()
    }
}
