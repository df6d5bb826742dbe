//! The hit rule: one function for L1, the remote tier and joined flights.

use super::floors::Floor;
use super::{Bug, Depends, Machine};
use crate::clock::{LogTime, Moment};
use crate::key::{Key, NameHash};
use crate::position::Epoch;
use crate::request::{Mode, StaleReason};
use std::sync::Arc;
use std::time::Duration;

/// What is judged of an entry or marker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The epoch `as_of` belongs to.
    pub epoch: Epoch,
    /// The log position known before the entry's source was read.
    pub as_of: u64,
    /// The entry's key.
    pub key: Key,
    /// The key's namespace.
    pub namespace: NameHash,
    /// The key's prefixes that end at a delimiter; keys that are read together
    /// share them.
    pub prefixes: Arc<[NameHash]>,
    /// The entry's tags.
    pub tags: Box<[NameHash]>,
    /// What it depends on; most depend on nothing.
    pub depends: Option<Arc<Depends>>,
    /// The origin's version.
    pub source_version: Option<u64>,
    /// Not fresh from here on.
    pub expires: LogTime,
    /// Not served at all from here on.
    pub gone: LogTime,
}

impl Facts {
    /// Every hashed name by which it can be covered, the namespace included.
    pub(crate) fn names(&self) -> impl Iterator<Item = NameHash> {
        [self.key.hash(), self.namespace]
            .into_iter()
            .chain(self.tags.iter().copied())
            .chain(self.prefixes.iter().copied())
            .chain(self.depends.iter().flat_map(|on| on.names()).copied())
    }
}

/// Where the entry was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// This pod's memory.
    L1,
    /// The remote tier.
    Remote,
    /// A read of the remote tier that another call had begun.
    Flight,
}

/// How an entry is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// It may be answered as fresh.
    Fresh,
    /// It may be answered, flagged, to who accepts that.
    Stale(StaleReason),
    /// Never again: it can be dropped.
    Dead,
    /// An own write or invalidation of one of its names is under way.
    Pending,
    /// Newer than what was processed here: needs a barrier first.
    Future,
    /// From before what this pod has replayed yet; nothing is known of it.
    Unjudged,
}

impl Freshness {
    /// Whether it can have been read here, now or before.
    pub(crate) fn was_readable(self) -> bool {
        matches!(
            self,
            Self::Fresh | Self::Stale(_) | Self::Dead | Self::Pending
        )
    }
}

/// A moment, as all that is judged at it sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct At {
    /// The log's time, never too late; for stamping.
    least: LogTime,
    /// The log's time, never too early; for judging.
    most: LogTime,
    /// Whether the session is fresh.
    fresh: bool,
}

impl At {
    /// Time since that was stamped.
    pub(crate) fn since(&self, stamped: LogTime) -> Duration {
        self.least.since(stamped)
    }

    /// Age of what was stored then, time until `expires`, time until `gone`.
    pub(crate) fn times(&self, stored: LogTime, facts: &Facts) -> [Duration; 3] {
        [
            self.least.since(stored),
            facts.expires.since(self.most),
            facts.gone.since(self.most),
        ]
    }
}

impl Machine {
    /// What judging at this moment needs to know, once for all that is judged.
    pub(crate) fn at(&self, now: Moment) -> At {
        At {
            least: self.log_time(now),
            most: self.latest_time(now),
            fresh: self.session_fresh(now),
        }
    }

    /// Judges an entry. Take the entry first and call this after.
    pub fn judge(&self, facts: &Facts, source: Source, now: Moment) -> Freshness {
        self.judge_at(facts, source, &self.at(now))
    }

    /// The same at a moment that others are judged at, too.
    pub(crate) fn judge_at(&self, facts: &Facts, source: Source, at: &At) -> Freshness {
        self.judge_above(facts, self.floor_of_key(facts), (source, at))
    }

    /// The same of many. The floors of keys lie far apart in memory: asked for one
    /// behind the other they come at once, and between judgements one by one.
    pub(crate) fn judge_many(&self, all: &[(&Facts, Source)], at: &At) -> Vec<Freshness> {
        let floors = all.iter().map(|(facts, _)| self.floor_of_key(facts));
        let floors: Vec<_> = floors.collect();
        let each = all.iter().zip(floors);
        each.map(|((facts, source), floor)| self.judge_above(facts, floor, (*source, at)))
            .collect()
    }

    fn judge_above(&self, facts: &Facts, of_key: Floor, (source, at): (Source, &At)) -> Freshness {
        let bugs = self.settings.bugs;
        let pending = self.pending.of(facts);
        if pending == Some(Mode::Hard) {
            return Freshness::Pending;
        }
        if self.epoch != Some(facts.epoch) && !bugs.has(Bug::EpochIgnored) {
            return match self.epoch {
                Some(_) => Freshness::Dead,
                None => Freshness::Unjudged,
            };
        }
        let skip = match source {
            Source::L1 => bugs.has(Bug::NoFloorsInL1),
            Source::Remote => bugs.has(Bug::NoFloorsInRemote),
            Source::Flight => bugs.has(Bug::NoFloorsInFlight),
        };
        let floor = if skip {
            Floor::default()
        } else {
            self.floor_above(facts, of_key)
        };
        if facts.as_of < floor.hard || self.is_lagging(facts) {
            return Freshness::Dead;
        }
        if facts.as_of < self.horizon() && !bugs.has(Bug::NoHorizon) {
            return match self.horizon_may_fall_to(facts.as_of) {
                true => Freshness::Unjudged,
                false => Freshness::Dead,
            };
        }
        if facts.as_of > self.reader.processed {
            return Freshness::Future;
        }
        if facts.source_version.is_some() && self.backfill_to.is_some() {
            // The replay may still tell that its origin lagged.
            return Freshness::Unjudged;
        }
        let soft = pending == Some(Mode::Soft) || facts.as_of < floor.soft;
        self.judge_time(facts, soft, at)
    }

    /// Whether the replay under way may come to know of what was covered then.
    fn horizon_may_fall_to(&self, as_of: u64) -> bool {
        let replaying = self.backfill_to.is_some() || self.session.joined.is_none();
        replaying && as_of >= self.gap
    }

    /// The rest of the rule, for what no hard cover touches.
    fn judge_time(&self, facts: &Facts, soft: bool, at: &At) -> Freshness {
        if !self.clock.is_known() {
            // No own record of this epoch was read back yet.
            return Freshness::Unjudged;
        }
        if at.most >= facts.gone {
            return Freshness::Dead;
        }
        if soft {
            return Freshness::Stale(StaleReason::SoftInvalidated);
        }
        if at.most >= facts.expires && !self.settings.bugs.has(Bug::ExpiryNotJudged) {
            return Freshness::Stale(StaleReason::Expired);
        }
        match at.fresh {
            true => Freshness::Fresh,
            false => Freshness::Stale(StaleReason::SessionNotFresh),
        }
    }

    /// The highest floor of an entry's names.
    pub(super) fn floor(&self, facts: &Facts) -> Floor {
        self.floor_above(facts, self.floor_of_key(facts))
    }

    fn floor_of_key(&self, facts: &Facts) -> Floor {
        self.floors.of_name(facts.key.hash())
    }

    /// The same, that of its key being known.
    fn floor_above(&self, facts: &Facts, of_key: Floor) -> Floor {
        let bugs = self.settings.bugs;
        let mut floor = self.floors.of_wide(facts).max(of_key);
        if !bugs.has(Bug::NoTagFloor) {
            for tag in &facts.tags {
                floor = floor.max(self.floors.of_name(*tag));
            }
        }
        if !bugs.has(Bug::NoPrefixFloor) {
            for prefix in facts.prefixes.iter() {
                floor = floor.max(self.floors.of_name(*prefix));
            }
        }
        if let Some(depends) = &facts.depends
            && !bugs.has(Bug::NoDependencyFloor)
        {
            floor = floor.max(self.floors.of_depends(facts.namespace, depends));
        }
        if bugs.has(Bug::SoftOverridesHard) && floor.soft > floor.hard {
            floor.hard = 0;
        }
        floor
    }

    /// Whether it is covered softly by another name than this one.
    pub(crate) fn is_soft_but_for(&self, facts: &Facts, name: NameHash) -> bool {
        let wide = self.floors.of_wide(facts);
        let names = facts.names().filter(|other| *other != name);
        let floors = names.map(|other| self.floors.of_name(other));
        let depends = facts.depends.iter().flat_map(|on| on.keys());
        let exact = depends.map(|(key, _)| self.floors.of_exact(facts.namespace, key.name()));
        let floor = floors.chain(exact).fold(wide, Floor::max);
        facts.as_of < floor.soft || self.pending.of(facts).is_some()
    }

    /// Whether it was read, after the log told of a higher source version, from
    /// an origin that lags. What is older than that record is the floors' affair.
    fn is_lagging(&self, facts: &Facts) -> bool {
        let Some(version) = facts.source_version else {
            return false;
        };
        let key = facts.key.hash();
        !self.settings.bugs.has(Bug::OlderSourceVersion)
            && self.versions.is_lagging(key, version, facts.as_of)
    }

    /// The source version below which a write or fill of the key is refused.
    pub fn least_source_version(&self, key: NameHash) -> Option<u64> {
        if self.settings.bugs.has(Bug::OlderSourceVersion) {
            return None;
        }
        self.versions.least(key)
    }

    /// Whether a fill or marker with these facts has been covered since.
    pub fn is_voided(&self, facts: &Facts) -> bool {
        if self.settings.bugs.has(Bug::FillIgnoresFloor) {
            return false;
        }
        let floor = self.floor(facts);
        self.epoch != Some(facts.epoch)
            || facts.as_of < floor.hard.max(floor.soft)
            || facts.as_of < self.horizon()
            || self.pending.of(facts).is_some()
    }

    /// The log's time, never too late; for stamping.
    pub fn log_time(&self, now: Moment) -> LogTime {
        match self.settings.bugs.has(Bug::ExpiryByOwnClock) {
            true => LogTime::default().plus(now.since(Moment::default())),
            false => self.clock.at_least(now),
        }
    }

    /// The log's time, never too early; for judging.
    fn latest_time(&self, now: Moment) -> LogTime {
        match self.settings.bugs.has(Bug::ExpiryByOwnClock) {
            true => LogTime::default().plus(now.since(Moment::default())),
            false => self.clock.at_most(now),
        }
    }
}
