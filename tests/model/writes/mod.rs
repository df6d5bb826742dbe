//! Set, CompareAndSet and fills of one key by two pods: decided at their own
//! echo, put where nothing newer is.
//!
//! Guarantees I-8 as far as one key and versions go: no two CompareAndSets
//! succeed on one version, nothing that answered OK is undone by an older
//! write or lost to a marker, and a Set that names a position is never fresh
//! beyond a cover that came after it.
//!
//! Abstractions. Whatever was ever stored may be met by everybody; sessions are
//! always fresh; an append is answered at once. A value is the position as of
//! which it was true. Gaps: STRONG reads as a history (a known checker judges
//! those), source versions, Sets without a position (they promise nothing to
//! order), retries of an append, a tier that forgets.

mod properties;
mod steps;

use crate::report::{self, Design, Removal};
use crate::row::Row;

const PODS: usize = 2;
const LOG: usize = 5;
const TOKENS: usize = 2;
/// Versions: a Write's position, or `LOG` + 1 + a fill's token.
const VERSIONS: usize = LOG + 1 + TOKENS;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Safeguard {
    WriteRaisesTheFloor,
    RefusedAtItsEcho,
    WriteIsACover,
    /// Both: each alone is masked by the other.
    CasAppendIsConditionalOrRefused,
    PositionBelowTheHorizonIsRefused,
    PutNeverOverHigher,
    MarkerOutranksNothing,
    FillOnlyOverItsMarker,
}

const ALL: [(Safeguard, Bounds); 8] = {
    use Safeguard::*;
    [
        (WriteRaisesTheFloor, WRITES),
        (RefusedAtItsEcho, WRITES),
        (WriteIsACover, WRITES),
        (CasAppendIsConditionalOrRefused, WRITES),
        (PositionBelowTheHorizonIsRefused, RESTART),
        (PutNeverOverHigher, WRITES),
        (MarkerOutranksNothing, WRITES),
        (FillOnlyOverItsMarker, WRITES),
    ]
};

#[derive(Clone, Copy, Debug)]
struct Bounds {
    name: &'static str,
    log: u8,
    tokens: u8,
    restarts: u8,
}

const WRITES: Bounds = Bounds {
    name: "writes: set, cas, fill",
    log: 3,
    tokens: 2,
    restarts: 0,
};
const RESTART: Bounds = Bounds {
    name: "writes: restart",
    log: 3,
    tokens: 0,
    restarts: 1,
};

#[derive(Clone)]
struct Writes {
    bounds: Bounds,
    without: Option<Safeguard>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Record {
    Hard,
    Write,
}

/// A stored value: where the log was when it was known to be true.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Entry {
    version: u8,
    as_of: u8,
    base: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Slot {
    Empty,
    Value(Entry),
    Marker { token: u8, as_of: u8 },
}

/// A Set, or a CompareAndSet of a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Op {
    position: u8,
    compared: Option<u8>,
    /// The newest Write that was processed when it began.
    expects: u8,
    at: Option<u8>,
    accepted: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Pod {
    processed: u8,
    /// Nothing at or below is known yet.
    unread: u8,
    op: Option<Op>,
    /// A load under way: its token and `as_of`.
    load: Option<(u8, u8)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct State {
    log: Row<Record, LOG>,
    pods: [Pod; PODS],
    slot: Slot,
    ever: [Option<Entry>; VERSIONS],
    /// The position that the client was told last.
    client: u8,
    tokens: u8,
    /// Versions that a CompareAndSet has replaced.
    compared: u16,
    twice: bool,
    /// Positions of writes that answered OK.
    done: u8,
    restarts: u8,
}

pub(crate) fn designs() -> Vec<Design> {
    let design = |bounds: Bounds| {
        let without = None;
        report::design(bounds.name, Writes { bounds, without })
    };
    [WRITES, RESTART].map(design).into()
}

pub(crate) fn removals() -> Vec<Removal> {
    let removal = |(safeguard, bounds): (Safeguard, Bounds)| {
        let without = Some(safeguard);
        report::removal(bounds.name, safeguard, Writes { bounds, without })
    };
    ALL.map(removal).into()
}
