//! Truncation: the log forgets its oldest records, also ones that a pod has not
//! read. A pod that serves and may be paused at any time, a pod that
//! invalidates (and may have just joined), Expel, Joins said again.
//!
//! Guarantees I-1 and I-5 where records go unread (decision page 0001): the
//! horizon rises at a gap, a gap ends the session, and who does not know all
//! sessions waits D.
//!
//! A pod answers for what it has verified, as the engine's does (`verified.rs`,
//! decision page 0007): its word, and its FLEET that ends before D, mean that
//! nothing up to the record was discarded unread.
//!
//! Abstractions. The most hostile cache, and words as in `sessions`. A Beat is
//! noted and appended in one tick, clocks agree (`sessions` has both). Reading
//! goes on across what was removed without noticing: the hardest case; a pod
//! that reconnects finds its anchor gone and begins as a joiner does. The log
//! answers at once (`confirmation` has late answers). A call outlives a session
//! of its pod, which does not wait for itself: the engine ends it as unknown. A
//! Join is said again after one tick, and a replay of three has met them all:
//! more than a quarter of the retention and D. Gaps: writes (`confirmation`),
//! epochs (`epochs`).

mod properties;
mod rules;
mod steps;

use crate::report::{self, Design, Removal};
use crate::row::Row;

const PODS: usize = 2;
/// The pod that serves; the other one invalidates.
const SERVER: usize = 0;
const CALLER: usize = 1;
const SESSIONS: usize = 4;
const LOG: usize = 9;
const VALUES: usize = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Safeguard {
    FirstRetainedIsChecked,
    VerifiedBelongsToTheReading,
    GapEndsTheSession,
    HorizonRisesAtAGap,
    GapDelaysFleet,
    JoinerKnowsHalfTheRetention,
    OverdueJoinEndsTheSession,
    HorizonOfAJoiner,
    WordMeansTheVerified,
    /// Else the list of sessions may be wrong.
    EarlyMeansTheVerified,
}

const ALL: [(Safeguard, Bounds); 10] = {
    use Safeguard::*;
    [
        (FirstRetainedIsChecked, GAP),
        (VerifiedBelongsToTheReading, GAP),
        (GapEndsTheSession, GAP),
        (HorizonRisesAtAGap, GAP),
        (GapDelaysFleet, CALLER_GAP),
        (JoinerKnowsHalfTheRetention, JOINER),
        (OverdueJoinEndsTheSession, JOINER),
        (HorizonOfAJoiner, CALLER_GAP),
        (WordMeansTheVerified, CALLER_GAP),
        (EarlyMeansTheVerified, CALLER_GAP),
    ]
};

#[derive(Clone, Copy, Debug)]
struct Bounds {
    name: &'static str,
    ticks: u8,
    log: u8,
    values: u8,
    cuts: u8,
    expels: u8,
    /// Joins are said again, and may be overdue.
    rejoins: bool,
    /// Which pods are in the log from the start.
    joined: [bool; PODS],
    /// The caller beats, and so checks its own reading.
    checks: bool,
    /// The log is asked between beats, too.
    asks: bool,
}

const GAP: Bounds = Bounds {
    name: "truncation: gap and expel",
    ticks: 2,
    log: 6,
    values: 2,
    cuts: 1,
    expels: 1,
    rejoins: false,
    joined: [true, true],
    checks: false,
    asks: true,
};
const JOINER: Bounds = Bounds {
    name: "truncation: joiner",
    ticks: 4,
    log: 5,
    values: 1,
    expels: 0,
    rejoins: true,
    joined: [true, false],
    asks: false,
    ..GAP
};
const CALLER_GAP: Bounds = Bounds {
    name: "truncation: the caller's gap",
    ticks: 3,
    log: 5,
    values: 1,
    expels: 0,
    joined: [false, true],
    checks: true,
    ..GAP
};

#[derive(Clone)]
struct Truncation {
    bounds: Bounds,
    without: Option<Safeguard>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Record {
    Invalidate(u8),
    Join { session: u8, said: u8 },
    Beat { session: u8, sent: u8 },
    Expel(u8),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Call {
    value: u8,
    n: u8,
    at: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Pod {
    processed: u8,
    floor: u8,
    /// Falls when the log is replayed.
    horizon: u8,
    /// Of what went unread; never falls.
    gap: u8,
    session: Option<u8>,
    /// When the newest own Join that was processed had been said.
    joined: Option<u8>,
    fresh_until: u8,
    /// Nothing up to here was missed.
    verified: u8,
    replaying: bool,
    /// From when on all sessions are known; none: not yet.
    known_at: Option<u8>,
    interrupted: Option<u8>,
    /// The first Join met of each session; 0: none.
    first_join: [u8; SESSIONS],
    expelled: [Option<u8>; SESSIONS],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct State {
    now: u8,
    source: u8,
    log: Row<Record, LOG>,
    /// When each record was appended.
    times: [u8; LOG],
    first: u8,
    sessions: u8,
    pods: [Pod; PODS],
    /// The highest word of each session.
    words: [u8; SESSIONS],
    held: [u16; VALUES + 1],
    call: Option<Call>,
    answered: u8,
    cuts: u8,
    expels: u8,
}

pub(crate) fn designs() -> Vec<Design> {
    let design = |bounds: Bounds| {
        let without = None;
        report::design(bounds.name, Truncation { bounds, without })
    };
    [GAP, JOINER, CALLER_GAP].map(design).into()
}

pub(crate) fn removals() -> Vec<Removal> {
    let removal = |(safeguard, bounds): (Safeguard, Bounds)| {
        let without = Some(safeguard);
        report::removal(bounds.name, safeguard, Truncation { bounds, without })
    };
    ALL.map(removal).into()
}
