//! Retain and Release.

use crate::clock::Moment;
use crate::key::Key;
pub use crate::l1::Here;
use crate::position::Position;
use crate::references::Owner;
use std::time::Duration;

/// Refers to a key.
#[derive(Clone, Debug)]
pub struct Retain {
    /// The key.
    pub key: Key,
    /// Who refers to it.
    pub owner: Owner,
    /// For how long; none: the default.
    pub term: Option<Duration>,
    /// Whether the entry is dropped if this is the last reference to go.
    pub drop_at_zero: bool,
    /// When the answer is of no more use.
    pub deadline: Moment,
}

/// A reference that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retained {
    /// Owners that refer to the key now.
    pub references: usize,
    /// How long it lasts.
    pub term: Duration,
    /// Whether L1 keeps the entry.
    pub here: Here,
}

/// Ends a reference.
#[derive(Clone, Debug)]
pub struct Release {
    /// The key.
    pub key: Key,
    /// Who refers to it.
    pub owner: Owner,
    /// When the answer is of no more use.
    pub deadline: Moment,
}

/// A reference has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Released {
    /// Owners that refer to the key now.
    pub references: usize,
    /// Where the entry was dropped.
    pub dropped: Option<Position>,
}
