//! The hit rule, and when a fill is void.

use super::{BASE, Cover, Entry, Fills, Flight, LOG, Pod, Safeguard, State};
use crate::row::Row;
use unstale_engine::coherence::Freshness;
use unstale_engine::request::StaleReason;

/// What the records that a pod knows raised for a key.
#[derive(Clone, Copy, Default)]
struct Floor {
    hard: u8,
    soft: u8,
}

impl Fills {
    pub(super) fn has(&self, safeguard: Safeguard) -> bool {
        self.without != Some(safeguard)
    }

    fn floor(&self, log: &Row<Cover, LOG>, pod: &Pod, key: usize) -> Floor {
        let mut floor = Floor::default();
        for (at, cover) in log.iter() {
            let known = at > pod.unread && at <= pod.processed;
            let tag = cover == Cover::Tag && !self.has(Safeguard::TagFloor);
            // A table that overflowed remembers only the newest record.
            let kept = self.has(Safeguard::FloorsNeverFall) || at == pod.processed;
            if !known || !cover.covers(key) || tag || !kept {
                continue;
            }
            match cover {
                Cover::Soft => floor.soft = at,
                Cover::Hard | Cover::Tag => floor.hard = at,
            }
        }
        if floor.soft > floor.hard && !self.has(Safeguard::SoftDoesNotHideHard) {
            floor.hard = 0;
        }
        floor
    }

    /// The hit rule, as the engine's machine has it.
    pub(super) fn judge(
        &self,
        log: &Row<Cover, LOG>,
        pod: &Pod,
        key: usize,
        as_of: u8,
    ) -> Freshness {
        let floor = match self.has(Safeguard::FloorsInTheHitRule) {
            true => self.floor(log, pod, key),
            false => Floor::default(),
        };
        if as_of < floor.hard {
            return Freshness::Dead;
        }
        if as_of < pod.unread && self.has(Safeguard::HorizonOfAJoiner) {
            return Freshness::Unjudged;
        }
        if as_of > pod.processed {
            return Freshness::Future;
        }
        match as_of < floor.soft && self.has(Safeguard::StaleIsFlagged) {
            true => Freshness::Stale(StaleReason::SoftInvalidated),
            false => Freshness::Fresh,
        }
    }

    /// Whether a fill with this `as_of` was covered meanwhile.
    pub(super) fn is_voided(&self, state: &State, pod: &Pod, key: usize, as_of: u8) -> bool {
        let floor = self.floor(&state.log, pod, key);
        as_of < floor.hard.max(floor.soft) || as_of < pod.unread
    }

    /// Everything that the pod may meet under the key, each with the judgement.
    pub(super) fn met(&self, state: &State, p: usize, key: usize) -> Vec<(Entry, Freshness)> {
        let pod = &state.pods[p];
        let judged = |entry: Entry| (entry, self.judge(&state.log, pod, key, entry.as_of));
        let mut met: Vec<_> = entries(state.ever[key]).map(judged).collect();
        for other in &state.pods {
            if let Flight::Read { entry, .. } = other.flights[key] {
                met.push(match self.has(Safeguard::FloorsForAJoinedFlight) {
                    true => judged(entry),
                    false => (entry, Freshness::Fresh),
                });
            }
        }
        if let super::Slot::Marker {
            as_of,
            stale: Some(entry),
            ..
        } = state.tier[key]
            && !self.has(Safeguard::StaleKeepsItsOwnAsOf)
        {
            met.push((entry, self.judge(&state.log, pod, key, as_of)));
        }
        met
    }
}

impl Cover {
    pub(super) fn covers(self, key: usize) -> bool {
        key == 0 || self == Cover::Tag
    }
}

impl State {
    /// The newest cover of the key up to `until`: what the source had then.
    pub(super) fn covered(&self, key: usize, until: u8, hard: bool) -> u8 {
        let covers = |cover: Cover| cover.covers(key) && !(hard && cover == Cover::Soft);
        let all = self
            .log
            .iter()
            .filter(|(at, cover)| *at <= until && covers(*cover));
        all.map(|(at, _)| at).max().unwrap_or(0)
    }
}

impl Entry {
    pub(super) fn bit(self) -> u32 {
        1 << (self.value * BASE + self.as_of)
    }
}

fn entries(mask: u32) -> impl Iterator<Item = Entry> {
    let held = (0..BASE * BASE).filter(move |bit| mask & 1 << bit != 0);
    held.map(|bit| Entry {
        value: bit / BASE,
        as_of: bit % BASE,
    })
}
