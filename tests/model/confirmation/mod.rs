//! A Set stands only once it is confirmed that nothing between its position and
//! its own record was discarded unread. Two pods, one key, a log that discards
//! its oldest records at any time.
//!
//! Guarantees I-2 and I-8 of Sets where records go unread (decision page 0007):
//! a Set is never decided over an invalidation, or over another Set, that its pod
//! did not meet; and who waits for the confirmation has asked for it. The engine's
//! machine is held against this model's pod in `engine`.
//!
//! Abstractions. Everything that was stored may be met by everybody, and
//! sessions are always fresh: a pod answers for what it has verified (D is how
//! long that takes). The source is written and its record appended in one step;
//! a Set brings what the source had when a pod told its position; with the own
//! pod's it stands for a CompareAndSet, too. Reading goes on across what was
//! removed without noticing, also over the beats of the other pod, which are not
//! delivered; a question is answered at any time after it was asked. Gaps: words,
//! FLEET and sessions (`truncation`), conditional appends and fills (`writes`),
//! epochs, answers that are lost (they are late here).

mod actions;
mod properties;
mod rules;
mod steps;

use crate::report::{self, Design, Removal};
use crate::row::Row;
pub(crate) use actions::{Action, Asks};

const PODS: usize = 2;
const SETS: usize = 2;
const LOG: usize = 6;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Safeguard {
    ConfirmedBeforeItStands,
    OnlyWhatFollowsIsVerified,
    ComparedWithWhatWasVerified,
    /// An answer tells of what had been processed when it was asked for.
    AnswerReachesNoFurtherThanAsked,
    GapIsRemembered,
    GapRefusesWhatWasAccepted,
    BegunAnewTheUnverifiedIsAGap,
    PositionBelowTheHorizonIsRefused,
    WantedMeanwhileIsAskedFor,
}

const ALL: [(Safeguard, Bounds); 9] = {
    use Safeguard::*;
    [
        (ConfirmedBeforeItStands, TWO_SETS),
        (OnlyWhatFollowsIsVerified, TWO_SETS),
        (ComparedWithWhatWasVerified, TWO_SETS),
        (AnswerReachesNoFurtherThanAsked, TWO_SETS),
        (GapIsRemembered, TWO_SETS),
        (GapRefusesWhatWasAccepted, SETS_ALONE),
        (BegunAnewTheUnverifiedIsAGap, OPENED),
        (PositionBelowTheHorizonIsRefused, OPENED),
        (WantedMeanwhileIsAskedFor, TWO_SETS),
    ]
};

#[derive(Clone, Copy, Debug)]
struct Bounds {
    name: &'static str,
    log: u8,
    values: u8,
    sets: u8,
    beats: u8,
    cuts: u8,
    /// How often a connection breaks by itself.
    breaks: u8,
}

const TWO_SETS: Bounds = Bounds {
    name: "confirmation: two Sets",
    log: 4,
    values: 1,
    sets: 2,
    beats: 1,
    cuts: 1,
    breaks: 0,
};
/// Without invalidations a Set can only undo the other one.
const SETS_ALONE: Bounds = Bounds {
    values: 0,
    ..TWO_SETS
};
const OPENED: Bounds = Bounds {
    name: "confirmation: opened again",
    log: 5,
    sets: 1,
    cuts: 2,
    breaks: 1,
    ..TWO_SETS
};

const SMALL: Bounds = Bounds {
    name: "confirmation: small",
    log: 3,
    cuts: 2,
    breaks: 1,
    ..TWO_SETS
};

#[derive(Clone)]
pub(crate) struct Confirmation {
    bounds: Bounds,
    without: Option<Safeguard>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Record {
    /// The source has this value now.
    Invalidate(u8),
    Write {
        value: u8,
        position: u8,
    },
    /// Delivered to its own pod only.
    Beat(usize),
    /// Of a pod that begins to read anew.
    Join,
}

/// A Set under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Set {
    pub(crate) pod: usize,
    value: u8,
    pub(crate) position: u8,
    pub(crate) phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Phase {
    /// Its value was read.
    Read,
    /// Its record is here.
    Appended(u8),
    /// Nothing that was processed covers it.
    Accepted(u8),
}

/// A question for the log's first retained sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Question {
    processed: u8,
    /// What the log read.
    pub(crate) first: Option<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Pod {
    pub(crate) processed: u8,
    /// Where reading begins: the last record that was processed and is no beat.
    pub(crate) anchor: u8,
    /// The newest cover that was met.
    floor: u8,
    /// Falls when the log is replayed.
    horizon: u8,
    /// Of what went unread; never falls.
    pub(crate) gap: u8,
    /// Nothing up to here was missed.
    verified: u8,
    /// What somebody wants to know more than the question under way tells.
    wanted: u8,
    asked: Option<Question>,
    /// The question of an echo.
    pub(crate) echo: Option<Question>,
    pub(crate) connected: bool,
    pub(crate) replaying: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    source: u8,
    pub(crate) log: Row<Record, LOG>,
    pub(crate) first: u8,
    pub(crate) pods: [Pod; PODS],
    /// In order: which began first does not matter.
    pub(crate) sets: [Option<Set>; SETS],
    /// Positions of the Sets that stand.
    stored: u8,
    began: u8,
    beats: u8,
    cuts: u8,
    breaks: u8,
}

pub(crate) fn designs() -> Vec<Design> {
    let design = |bounds: Bounds| {
        let without = None;
        report::design(bounds.name, Confirmation { bounds, without })
    };
    [TWO_SETS, OPENED].map(design).into()
}

pub(crate) fn removals() -> Vec<Removal> {
    let removal = |(safeguard, bounds): (Safeguard, Bounds)| {
        let without = Some(safeguard);
        report::removal(bounds.name, safeguard, Confirmation { bounds, without })
    };
    ALL.map(removal).into()
}

/// What the engine's machine is led through.
pub(crate) fn small() -> Confirmation {
    let (bounds, without) = (SMALL, None);
    Confirmation { bounds, without }
}
