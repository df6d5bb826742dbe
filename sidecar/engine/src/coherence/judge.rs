//! The hit rule: one function for L1, the remote tier and joined flights.

use super::{Bug, Machine};
use crate::clock::{LogTime, Moment};
use crate::key::NameHash;
use crate::position::Epoch;
use std::time::Duration;

/// What is judged of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The epoch `as_of` belongs to.
    pub epoch: Epoch,
    /// The log position known before the entry's source was read.
    pub as_of: u64,
    /// The entry's key.
    pub key: NameHash,
    /// The key's namespace.
    pub namespace: NameHash,
    /// The entry's tags.
    pub tags: Box<[NameHash]>,
}

/// Where the entry was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// This pod's memory.
    L1,
    /// The remote tier, or a load that was joined.
    Remote,
}

/// How an entry is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// It may be answered as fresh.
    Fresh,
    /// Never again: it can be dropped.
    Dead,
    /// An own write or invalidation of one of its names is under way.
    Pending,
    /// Newer than what was processed here: needs a barrier first.
    Future,
    /// The session is not fresh; nothing is.
    NoSession,
}

impl Machine {
    /// Judges an entry. Take the entry first and call this after.
    pub fn judge(&self, facts: &Facts, source: Source, now: Moment) -> Freshness {
        let bugs = self.settings.bugs;
        if self.is_pending(facts) {
            return Freshness::Pending;
        }
        if self.epoch != Some(facts.epoch) && !bugs.has(Bug::EpochIgnored) {
            return if self.epoch.is_some() {
                Freshness::Dead
            } else {
                Freshness::NoSession
            };
        }
        let skip = match source {
            Source::L1 => bugs.has(Bug::NoFloorsInL1),
            Source::Remote => bugs.has(Bug::NoFloorsInRemote),
        };
        if !skip && facts.as_of < self.floor(facts) {
            return Freshness::Dead;
        }
        if facts.as_of < self.horizon && !bugs.has(Bug::NoHorizon) {
            // The horizon falls during a replay, so this is not for ever.
            return Freshness::NoSession;
        }
        if facts.as_of > self.reader.processed {
            return Freshness::Future;
        }
        if self.session_fresh(now) {
            Freshness::Fresh
        } else {
            Freshness::NoSession
        }
    }

    /// The highest floor of an entry's names.
    pub(super) fn floor(&self, facts: &Facts) -> u64 {
        let floor = self
            .floors
            .floor(facts.key)
            .max(self.floors.floor_of_namespace(facts.namespace));
        if self.settings.bugs.has(Bug::NoTagFloor) {
            return floor;
        }
        facts
            .tags
            .iter()
            .map(|tag| self.floors.floor(*tag))
            .fold(floor, u64::max)
    }

    /// Whether a fill or marker with these facts has been covered since.
    pub fn is_voided(&self, facts: &Facts) -> bool {
        if self.settings.bugs.has(Bug::FillIgnoresFloor) {
            return false;
        }
        self.epoch != Some(facts.epoch)
            || facts.as_of < self.floor(facts)
            || facts.as_of < self.horizon
            || self.is_pending(facts)
    }

    fn is_pending(&self, facts: &Facts) -> bool {
        if self.pending.is_empty() {
            return false;
        }
        let mut names = [facts.key, facts.namespace]
            .into_iter()
            .chain(facts.tags.iter().copied());
        names.any(|name| self.pending.contains_key(&name))
    }

    /// Time left until `expires`, never too much; `None`: expired.
    pub fn time_left(&self, expires: LogTime, now: Moment) -> Option<Duration> {
        let left = expires.since(self.clock.at_most(now));
        (!left.is_zero()).then_some(left)
    }

    /// The log's time, never too late; for stamping.
    pub fn log_time(&self, now: Moment) -> LogTime {
        self.clock.at_least(now)
    }
}
