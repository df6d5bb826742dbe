//! Epochs: a log that loses its tail, the pods that notice, NewEpoch, joiners
//! of a young epoch. A pod that serves, a pod that invalidates; either may have
//! processed what was lost.
//!
//! Guarantees I-10 (D after a NewEpoch nothing older is fresh), I-1 for what is
//! invalidated in the new epoch (decision page 0002), and that a pod reads on
//! only in the log that it has read before.
//!
//! Abstractions. The most hostile cache and words as in `sessions`; every
//! record's stamp is the world's time, and clocks agree. A lost tail breaks
//! every connection, as the failover of a server does; opening, the anchor and
//! the newest epoch are one step. Gaps: what is promised between the loss and
//! the NewEpoch is A1's affair (an invalidation appended then is not counted);
//! an epoch said again (SameEpoch); a log so empty that it names no epoch.

mod properties;
mod rules;
mod steps;

use crate::report::{self, Design, Removal};
use crate::row::Row;

const PODS: usize = 2;
/// The pod that serves; the other one invalidates.
const SERVER: usize = 0;
const CALLER: usize = 1;
const SESSIONS: usize = 6;
const LOG: usize = 6;
const EPOCHS: usize = 3;
const VALUES: usize = 1;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Safeguard {
    EpochInTheHitRule,
    AnchorIsVerified,
    /// Both its own and the interrupted reading's: each masks the other.
    YoungEpochWaitsD,
    JoinerOfAYoungEpochWaitsD,
    NewEpochEndsTheSession,
    LeftEpochIsNotBelieved,
}

const ALL: [(Safeguard, Bounds); 6] = {
    use Safeguard::*;
    [
        (EpochInTheHitRule, FALL),
        (AnchorIsVerified, FALL),
        (YoungEpochWaitsD, FALL),
        (JoinerOfAYoungEpochWaitsD, JOINER),
        (NewEpochEndsTheSession, FALL),
        (LeftEpochIsNotBelieved, TWICE),
    ]
};

#[derive(Clone, Copy, Debug)]
struct Bounds {
    name: &'static str,
    ticks: u8,
    log: u8,
    falls: u8,
    restarts: u8,
    values: u8,
}

const FALL: Bounds = Bounds {
    name: "epochs: a lost tail",
    ticks: 2,
    log: 5,
    falls: 1,
    restarts: 0,
    values: 1,
};
const JOINER: Bounds = Bounds {
    name: "epochs: joiner",
    ticks: 1,
    restarts: 1,
    ..FALL
};
const TWICE: Bounds = Bounds {
    name: "epochs: a lost NewEpoch",
    ticks: 0,
    log: 4,
    falls: 2,
    values: 0,
    restarts: 0,
};

#[derive(Clone)]
struct Epochs {
    bounds: Bounds,
    without: Option<Safeguard>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Body {
    Invalidate,
    Join(u8),
    Beat { session: u8, sent: u8 },
    NewEpoch(u8),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Record {
    id: u8,
    /// The server's stamp.
    time: u8,
    body: Body,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Call {
    epoch: u8,
    n: u8,
    at: u8,
    /// The log had not lost anything unnoticed when it was appended.
    counts: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Pod {
    reading: bool,
    epoch: u8,
    left: u8,
    processed: u8,
    /// The id of what was processed last.
    anchor: u8,
    floor: u8,
    horizon: u8,
    session: Option<u8>,
    joined: bool,
    fresh_until: u8,
    replaying: bool,
    known_at: Option<u8>,
    interrupted: Option<u8>,
    /// Sessions whose Join it has met.
    known: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct State {
    now: u8,
    source: u8,
    log: Row<Record, LOG>,
    ids: u8,
    epochs: u8,
    sessions: u8,
    pods: [Pod; PODS],
    /// The newest word of each session: its epoch and position.
    words: [(u8, u8); SESSIONS],
    held: [[u8; VALUES + 1]; EPOCHS],
    call: Option<Call>,
    /// The invalidation was answered OK, at this position.
    answered: Option<u8>,
    /// Something was lost, and no NewEpoch tells of it yet.
    fallen: bool,
    falls: u8,
    restarts: u8,
    /// When the newest NewEpoch was appended, and what the source had.
    declared: Option<(u8, u8)>,
}

pub(crate) fn designs() -> Vec<Design> {
    let design = |bounds: Bounds| {
        let without = None;
        report::design(bounds.name, Epochs { bounds, without })
    };
    [FALL, JOINER, TWICE].map(design).into()
}

pub(crate) fn removals() -> Vec<Removal> {
    let removal = |(safeguard, bounds): (Safeguard, Bounds)| {
        let without = Some(safeguard);
        report::removal(bounds.name, safeguard, Epochs { bounds, without })
    };
    ALL.map(removal).into()
}
