//! What a read is asked to satisfy when it begins, and whether it did.

use super::Client;
use super::{derived, names};
use crate::checker::Bounds;
use crate::timeline::Scope;
use crate::world::KEYS;
use std::time::Duration;
use unstale_engine::position::Position;
use unstale_engine::request::{Found, Level, Payload};

/// Nothing is fresh later than its expiry and this (µs).
const EXPIRED: u64 = 50_000;

/// What a read demands beside its key.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Demand {
    pub(crate) min_position: Option<Position>,
    pub(crate) level: Level,
    pub(crate) max_staleness: Option<Duration>,
}

type Least = (u64, &'static str);

/// What a read that began at `at` has to satisfy.
pub(crate) struct Asked {
    at: u64,
    /// What the pod had processed.
    from: Position,
    losses: usize,
    own: Leasts,
    /// What is demanded of the values that it is made of.
    others: Vec<(usize, Leasts)>,
}

/// The least values of one key.
#[derive(Clone, Copy)]
struct Leasts {
    /// Of a value called fresh, of one that is flagged.
    fresh: Least,
    stale: Least,
    /// Of a fresh value, unless the log lost records meanwhile.
    current: Least,
}

impl Client {
    pub(crate) fn asking(&self, number: usize, demand: Demand) -> Asked {
        let (pod, at) = (self.pod, self.shared.handle.now());
        let before = match (demand.level, demand.max_staleness) {
            (Level::Strong, _) => Some(at),
            // Clocks may be 2 % off, and 5 % in one mix.
            (_, Some(most)) => at.checked_sub(most.as_micros() as u64 * 106 / 100),
            _ => None,
        };
        let (who, position) = ((pod, self.start), demand.min_position);
        let from = self.engine.status().position;
        self.shared.with(|w| {
            let bound = (position, w.bounds(position));
            let leasts = |of| Leasts {
                fresh: w.judged.required(who, of, bound, at),
                stale: w.judged.required_stale(who, of, bound, at),
                current: before.map_or((0, ""), |before| w.judged.current(of, before, at)),
            };
            let others = (0..KEYS).filter(|of| w.mix.depends && *of != number);
            Asked {
                at,
                from,
                losses: w.judged.losses.len(),
                own: leasts(number),
                others: others.map(|of| (of, leasts(of))).collect(),
            }
        })
    }

    /// Judges an entry that was answered.
    pub(crate) fn judge(&self, number: usize, found: &Found, asked: &Asked) {
        self.shared.with(|w| w.judged.hits += 1);
        let Some((of, got)) = self.content(found) else {
            return;
        };
        let (least, rule) = self.least(found, asked, &asked.own);
        self.note_read(number, got, found, least);
        let pod = self.pod;
        if of != number {
            let what = format!("pod {pod} returned what was stored for key {of}");
            self.shared.violate("I-11", Some(number), what);
        }
        let excused = || self.shared.with(|w| w.origin.excuses(number, got, least));
        if got < least && !excused() {
            let (tier, stale) = (found.tier, found.stale);
            let what = format!(
                "pod {pod} returned {got} of key {number} from {tier:?} (stale: {stale:?}), not {least}"
            );
            self.shared.violate(rule, Some(number), what);
        }
        if self
            .shared
            .with(|w| w.grants.was_refused(&found.version.to_string()))
        {
            let what = format!("pod {pod} returned {got} of a fill that was refused");
            self.shared.violate("I-7", Some(number), what);
        }
        self.judge_ends(number, got, found, asked);
        self.judge_others(number, found, asked);
        self.note_seen(number, found);
    }

    /// The values that it is made of, as if they had been read.
    fn judge_others(&self, number: usize, found: &Found, asked: &Asked) {
        for (of, got) in derived::counters(found) {
            let leasts = asked.others.iter().find(|(other, _)| *other == of);
            let Some((_, leasts)) = leasts else { continue };
            let (least, rule) = self.least(found, asked, leasts);
            if got < least {
                let (pod, tier, stale) = (self.pod, found.tier, found.stale);
                let what = format!(
                    "pod {pod} returned key {number} from {tier:?} (stale: {stale:?}), made of {got} of key {of}, not {least}"
                );
                self.shared.violate(rule, Some(of), what);
            }
        }
    }

    /// What was answered under a position is covered by no record below it that
    /// its pod can have read: so it may be given to Set there (I-6), which finds
    /// out whether others were discarded unread.
    pub(super) fn judge_there(&self, number: usize, found: &Found, asked: &Asked, at: Position) {
        let Some((_, got)) = self.content(found) else {
            return;
        };
        let made = derived::counters(found);
        for (number, got) in [vec![(number, got)], made].concat() {
            self.judge_content_there((number, got), found, asked, at);
        }
    }

    fn judge_content_there(
        &self,
        (number, got): (usize, u64),
        found: &Found,
        asked: &Asked,
        at: Position,
    ) {
        let who = (self.pod, self.start);
        let (least, rule) = self.shared.with(|w| {
            let bounds = w.bounds(Some(at));
            let told = bounds.reached;
            let reached = None;
            let bound = (
                Some(at),
                Bounds {
                    reached,
                    told,
                    ..bounds
                },
            );
            match found.stale {
                None => w.judged.required(who, number, bound, asked.at),
                Some(_) => w.judged.required_stale(who, number, bound, asked.at),
            }
        });
        let excused = || self.shared.with(|w| w.origin.excuses(number, got, least));
        if got < least && !excused() {
            let (pod, stale) = (self.pod, found.stale);
            let what = format!(
                "pod {pod} returned {got} of key {number} under {at} (stale: {stale:?}), not {least} ({rule})"
            );
            self.shared.violate("I-6", Some(number), what);
        }
    }

    /// Key and counter of what was found; a negative entry's is known by its
    /// version.
    pub(super) fn content(&self, found: &Found) -> Option<(usize, u64)> {
        match &found.payload {
            Payload::Value(value) => {
                let text = std::str::from_utf8(&value.data).expect("text was stored");
                Some(names::parse(text).expect("a key and a counter"))
            }
            Payload::NotFound => self
                .shared
                .with(|w| w.lives.content(&found.version.to_string())),
        }
    }

    fn least(&self, found: &Found, asked: &Asked, leasts: &Leasts) -> Least {
        if found.stale.is_some() {
            return leasts.stale;
        }
        let now = self.shared.handle.now();
        let sure = self
            .shared
            .with(|w| !w.judged.suspect(now) && w.judged.losses.len() == asked.losses);
        match sure && leasts.current.0 > leasts.fresh.0 {
            true => leasts.current,
            false => leasts.fresh,
        }
    }

    fn judge_ends(&self, number: usize, got: u64, found: &Found, asked: &Asked) {
        let ends = self
            .shared
            .with(|w| w.lives.ends(&found.version.to_string(), (number, got)));
        let end = match found.stale {
            None => ends.fresh,
            Some(_) => ends.valid,
        };
        let end = end.saturating_add(EXPIRED);
        let by = asked.at.saturating_sub(end);
        let excused = |by| {
            self.shared
                .with(|w| w.judged.server_clock.excuses(asked.at, by))
        };
        if by > 0 && !excused(by) {
            let pod = self.pod;
            let what = format!(
                "pod {pod} returned {got}, which had ended {by} µs before (stale: {:?})",
                found.stale
            );
            self.shared.violate("I-12", Some(number), what);
        }
    }

    fn note_read(&self, number: usize, got: u64, found: &Found, least: u64) {
        let (pod, tier, version, stale) = (self.pod, found.tier, &found.version, found.stale);
        self.shared.note(Scope::Key(number), || {
            format!(
                "pod {pod} read {got} ({version}) from {tier:?}, stale {stale:?}, at least {least}"
            )
        });
    }

    /// I-21 of a read: it is not judged before it was asked for.
    pub(super) fn judge_reading(&self, asked: &Asked, position: Position) {
        self.judge_position(position);
        let (pod, from) = (self.pod, asked.from);
        if position.epoch == from.epoch && position.sequence < from.sequence {
            let what = format!("pod {pod} answered at {position}, and had been at {from}");
            self.shared.violate("I-21", None, what);
        }
    }

    /// An answer's position is that of its judgement, so that answers may overtake
    /// each other. It is none that the pod has not reached, and the pod's own does
    /// not go back.
    pub(crate) fn judge_position(&self, position: Position) {
        let (pod, start) = (self.pod, self.start);
        let reached = self.engine.status().position;
        let known = position.epoch != reached.epoch || position.sequence <= reached.sequence;
        if !known {
            let what = format!("pod {pod} answered at {position}, and is at {reached}");
            self.shared.violate("I-21", None, what);
        }
        self.shared.with(|w| w.judged.newest = Some(position));
        if !self.shared.with(|w| w.judged.goes_on(pod, start, reached)) {
            let what = format!("pod {pod} went back to {reached}");
            self.shared.violate("I-21", None, what);
        }
    }
}
