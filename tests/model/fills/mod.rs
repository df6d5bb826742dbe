//! Fills and floors: two keys that hold one tag, two pods, markers with tokens,
//! a remote tier that forgets, and everything that was ever stored still to be
//! met somewhere (L1, a lagging replica, a late answer).
//!
//! Guarantees I-5, I-6, I-7 and the hard half of I-13: nothing below a hard
//! floor is served, not even flagged. The machine's judgement is held against
//! this model's in `engine`.
//!
//! Abstractions. The source is written and its cover appended in one step; a
//! value is the position of the cover that brought it. Nothing expires, terms
//! end at any time, sessions are always fresh (sessions has those).
//! Gaps: prefixes and namespaces (floors like a tag's), source versions,
//! collisions in the floor table (they only raise floors), negative entries
//! (values like any other).

mod properties;
mod rules;
mod steps;

use crate::report::{self, Design, Removal};
use crate::row::Row;
use unstale_engine::coherence::Freshness;

const PODS: usize = 2;
const KEYS: usize = 2;
const LOG: usize = 4;
/// Pairs of a value and an `as_of` are numbered in base `LOG + 1`.
const BASE: u8 = LOG as u8 + 1;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Safeguard {
    FloorsInTheHitRule,
    FloorsForAJoinedFlight,
    TagFloor,
    SoftDoesNotHideHard,
    StaleIsFlagged,
    FloorsNeverFall,
    HorizonOfAJoiner,
    AsOfBeforeTheRead,
    AsOfFromTheLog,
    FillLooksAtTheFloors,
    FillOnlyOverItsMarker,
    StaleKeepsItsOwnAsOf,
}

const ALL: [(Safeguard, Bounds); 12] = {
    use Safeguard::*;
    [
        (FloorsInTheHitRule, LOADS),
        (FloorsForAJoinedFlight, LOADS),
        (TagFloor, LOADS),
        (SoftDoesNotHideHard, LOADS),
        (StaleIsFlagged, LOADS),
        (FloorsNeverFall, LOADS),
        (HorizonOfAJoiner, RESTART),
        (AsOfBeforeTheRead, LOADS),
        (AsOfFromTheLog, LOADS),
        (FillLooksAtTheFloors, LOADS),
        (FillOnlyOverItsMarker, LOADS),
        (StaleKeepsItsOwnAsOf, LOADS),
    ]
};

#[derive(Clone, Copy, Debug)]
struct Bounds {
    name: &'static str,
    log: u8,
    tokens: u8,
    restarts: u8,
    forgets: u8,
}

const LOADS: Bounds = Bounds {
    name: "fills: two loads",
    log: 2,
    tokens: 2,
    restarts: 0,
    forgets: 1,
};
const THREE: Bounds = Bounds {
    name: "fills: three covers",
    log: 3,
    tokens: 2,
    forgets: 0,
    ..LOADS
};
const RESTART: Bounds = Bounds {
    name: "fills: restart",
    log: 2,
    tokens: 2,
    restarts: 1,
    forgets: 0,
};

#[derive(Clone)]
struct Fills {
    bounds: Bounds,
    without: Option<Safeguard>,
}

/// What a record covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Cover {
    /// Key 0, hard.
    Hard,
    /// Key 0, soft.
    Soft,
    /// The tag, so both keys, hard.
    Tag,
}

/// An entry: the value, and the position known before it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Entry {
    value: u8,
    as_of: u8,
}

/// What the tier holds under a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Slot {
    Empty,
    Value(Entry),
    Marker {
        token: u8,
        as_of: u8,
        stale: Option<Entry>,
    },
}

/// A load in a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Flight {
    None,
    Leased { token: u8, as_of: u8 },
    Read { token: u8, entry: Entry },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Pod {
    processed: u8,
    /// Nothing at or below is known yet; falls while the log is replayed.
    unread: u8,
    flights: [Flight; KEYS],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct State {
    log: Row<Cover, LOG>,
    pods: [Pod; PODS],
    tier: [Slot; KEYS],
    /// Every entry that was ever stored or held, per key.
    ever: [u32; KEYS],
    tokens: u8,
    /// Tokens whose marker another token has replaced.
    replaced: u8,
    /// Tokens whose fill was accepted.
    accepted: u8,
    /// A token was accepted twice, after it was replaced, or once covered.
    wrong: bool,
    restarts: u8,
    forgets: u8,
}

pub(crate) fn designs() -> Vec<Design> {
    let design = |bounds: Bounds| {
        let without = None;
        report::design(bounds.name, Fills { bounds, without })
    };
    [LOADS, THREE, RESTART].map(design).into()
}

pub(crate) fn removals() -> Vec<Removal> {
    let removal = |(safeguard, bounds): (Safeguard, Bounds)| {
        let without = Some(safeguard);
        report::removal(bounds.name, safeguard, Fills { bounds, without })
    };
    ALL.map(removal).into()
}

/// Every log of up to `length` covers.
pub(crate) fn logs(length: usize) -> Vec<Vec<Cover>> {
    let mut logs = vec![Vec::new()];
    let mut from = 0;
    for _ in 0..length {
        for at in std::mem::replace(&mut from, logs.len())..logs.len() {
            for cover in [Cover::Hard, Cover::Soft, Cover::Tag] {
                let mut longer = logs[at].clone();
                longer.push(cover);
                logs.push(longer);
            }
        }
    }
    logs
}

/// How the model judges an entry where `(processed, unread)` holds.
pub(crate) fn judgement(
    log: &[Cover],
    (processed, unread): (u64, u64),
    key: usize,
    as_of: u64,
) -> Freshness {
    let (bounds, without) = (LOADS, None);
    let mut row = Row::new();
    for cover in log {
        row.push(*cover);
    }
    let pod = Pod {
        processed: processed as u8,
        unread: unread as u8,
        flights: [Flight::None; KEYS],
    };
    Fills { bounds, without }.judge(&row, &pod, key, as_of as u8)
}
