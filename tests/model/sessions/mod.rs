//! Sessions and FLEET: two pods that both serve and invalidate one key (or tag:
//! one floor), with sessions renewed through the log, bounded clocks, Leave,
//! Expel, restart with replay, and early answers by words.
//!
//! Guarantees I-1, I-2, I-3 and, for who waits for a position, I-4.
//!
//! Abstractions. The cache is the most hostile one there can be: whatever any
//! pod could have loaded at any time is held by everybody for ever and judged
//! by the hit rule (so L1, remote tier, lagging replica and late fill are one).
//! A word is known as soon as its sender has processed, or never heard: who
//! waits may always go on waiting. Time is in ticks; pod 0's clock may lose
//! one. Gaps: nothing is truncated and there is one epoch (truncation, epochs),
//! an append is answered as soon as it is in, but for a restarted pod's Join.

mod properties;
mod rules;
mod steps;

use crate::report::{self, Design, Removal};
use crate::row::Row;

const PODS: usize = 2;
const SESSIONS: usize = 4;
const LOG: usize = 8;
const VALUES: usize = 2;

/// What the protocol does against staleness here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Safeguard {
    DriftMargin,
    CountedFromBeforeTheAppend,
    RenewedByTheEcho,
    JoinBeforeBeat,
    OwnExpelEndsTheSession,
    ExpelledWaitsD,
    SilenceBeforeLeave,
    FleetWaitsForSilentPods,
    SessionsKnownAsOfN,
    WordAfterProcessing,
    PendingCover,
    HorizonOfAJoiner,
    EarlyOnlyAfterReplay,
    DFromTheAppend,
    NewIdAfterExpel,
    MinPositionWaits,
    JoinUndoesAnExpel,
}

const ALL: [(Safeguard, Bounds); 17] = {
    use Safeguard::*;
    [
        (DriftMargin, CALLS),
        (CountedFromBeforeTheAppend, CALLS),
        (RenewedByTheEcho, CALLS),
        (JoinBeforeBeat, EXPEL),
        (OwnExpelEndsTheSession, EXPEL),
        (ExpelledWaitsD, EXPEL),
        (SilenceBeforeLeave, LEAVE),
        (FleetWaitsForSilentPods, CALLS),
        (SessionsKnownAsOfN, LEAVE),
        (WordAfterProcessing, CALLS),
        (PendingCover, CALLS),
        (HorizonOfAJoiner, RESTART),
        (EarlyOnlyAfterReplay, RESTART),
        (DFromTheAppend, CALLS),
        (NewIdAfterExpel, EXPEL),
        (MinPositionWaits, CALLS),
        (JoinUndoesAnExpel, REJOIN),
    ]
};

/// How far a model goes.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    name: &'static str,
    ticks: u8,
    log: u8,
    values: u8,
    /// Pod 0 serves and pod 1 calls; else both do both.
    roles: bool,
    restarts: u8,
    expels: u8,
    leaves: u8,
    rejoins: u8,
}

const CALLS: Bounds = Bounds {
    name: "sessions: both serve and call",
    ticks: 3,
    log: 5,
    values: 1,
    roles: false,
    restarts: 0,
    expels: 0,
    leaves: 0,
    rejoins: 0,
};
const RESTART: Bounds = Bounds {
    name: "sessions: restart",
    roles: true,
    restarts: 1,
    ..CALLS
};
const EXPEL: Bounds = Bounds {
    name: "sessions: expel",
    ticks: 3,
    log: 6,
    values: 2,
    roles: true,
    expels: 1,
    ..CALLS
};
const LEAVE: Bounds = Bounds {
    name: "sessions: leave and restart",
    log: 6,
    roles: true,
    restarts: 1,
    leaves: 1,
    ..CALLS
};
/// Pod 0 starts, and says its Join again because the first was not answered.
/// Meanwhile somebody may expel it.
const REJOIN: Bounds = Bounds {
    name: "sessions: a Join said again",
    ticks: 2,
    log: 6,
    values: 1,
    roles: true,
    expels: 1,
    rejoins: 1,
    ..CALLS
};

/// The model: bounds, and what was taken away.
#[derive(Clone)]
struct Sessions {
    bounds: Bounds,
    without: Option<Safeguard>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Record {
    /// The source had `value`; committed at `at`, in the world's time.
    Invalidate {
        value: u8,
        at: u8,
    },
    Join(u8),
    /// Sent when its pod's clock said this.
    Beat {
        session: u8,
        sent: u8,
    },
    Leave(u8),
    Expel(u8),
}

/// An Invalidate(FLEET) of a pod's caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Call {
    None,
    Begun { value: u8, at: u8 },
    Appended { value: u8, n: u8, at: u8 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Pod {
    processed: u8,
    floor: u8,
    horizon: u8,
    session: Option<u8>,
    /// The own Join was appended, and processed.
    said: bool,
    joined: bool,
    left: bool,
    /// The record that may renew was sent at this time; not appended yet.
    beat: Option<u8>,
    fresh_until: u8,
    replayed: bool,
    interrupted: Option<u8>,
    /// When it processed the Expel of each session.
    expelled: [Option<u8>; SESSIONS],
    call: Call,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct State {
    now: u8,
    /// Ticks that pod 0's clock has lost.
    lag: u8,
    source: u8,
    log: Row<Record, LOG>,
    sessions: u8,
    pods: [Pod; PODS],
    /// The highest word of each session.
    words: [u8; SESSIONS],
    /// For each value, the positions as of which it may have been loaded.
    held: [u16; VALUES + 1],
    /// The newest value whose FLEET was answered OK.
    answered: u8,
    restarts: u8,
    expels: u8,
    leaves: u8,
    rejoins: u8,
}

pub(crate) fn designs() -> Vec<Design> {
    let design = |bounds: Bounds| {
        let without = None;
        report::design(bounds.name, Sessions { bounds, without })
    };
    [CALLS, RESTART, EXPEL, LEAVE, REJOIN].map(design).into()
}

pub(crate) fn removals() -> Vec<Removal> {
    let removal = |(safeguard, bounds): (Safeguard, Bounds)| {
        let without = Some(safeguard);
        report::removal(bounds.name, safeguard, Sessions { bounds, without })
    };
    ALL.map(removal).into()
}
