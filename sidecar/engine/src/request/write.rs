//! Writes: Set and CompareAndSet.

use super::{Etag, Found, NewEntry};
use crate::clock::Moment;
use crate::key::Key;
use crate::position::Position;

/// How far an invalidation or write must have got before it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ack {
    /// This pod obeys.
    Local,
    /// In the log and processed here.
    Log,
    /// Every live pod processed it or its session lapsed.
    Fleet,
}

/// Set: an unconditional write.
#[derive(Clone, Debug)]
pub struct Set {
    /// The key.
    pub key: Key,
    /// The entry.
    pub entry: NewEntry,
    /// The position held before the origin was read.
    pub position: Option<Position>,
    /// Only if nothing is cached.
    pub if_absent: bool,
    /// How far.
    pub ack: Ack,
    /// When the answer is of no more use.
    pub deadline: Moment,
}

/// What became of a Set.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "one at a time, and soon told")]
pub enum SetOutcome {
    /// Stored under this version; none when the log has not decided yet
    /// (LOCAL).
    Stored(Option<String>),
    /// Not stored, and what is there instead.
    NotStored(NotStored, Option<Found>),
}

/// Why a write was not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotStored {
    /// An invalidation or another write came after the caller's position.
    Covered,
    /// The position is of another epoch, below the horizon, or one that this pod
    /// told over records which the log had discarded unread.
    PositionTooOld,
    /// The position is beyond the log's end.
    PositionUnknown,
    /// A higher source version is known: this one.
    OlderSourceVersion(u64),
    /// Something is cached.
    Present,
    /// What it depends on is not what it was made of, or nobody can tell.
    DependencyChanged,
    /// It depends on more than an entry may.
    TooManyDependencies,
}

/// What a compare-and-set expects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// An entry of this version.
    Version(String),
    /// An entry of this content.
    Etag(Etag),
    /// No entry, or a negative one.
    Absent,
}

/// CompareAndSet.
#[derive(Clone, Debug)]
pub struct CompareAndSet {
    /// The key.
    pub key: Key,
    /// What must be current.
    pub expected: Expected,
    /// The entry.
    pub entry: NewEntry,
    /// Log or Fleet.
    pub ack: Ack,
    /// When the answer is of no more use.
    pub deadline: Moment,
}

/// What became of a CompareAndSet.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "one at a time, and soon told")]
pub enum CasOutcome {
    /// Stored under this version.
    Stored(String),
    /// Not stored, and what is there; why, if not because the expectation does
    /// not hold.
    Conflict(Option<NotStored>, Option<Found>),
}
