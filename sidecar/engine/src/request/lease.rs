//! The right to load a key: Lease, Renew, Fill, Abandon.

use super::{Found, NewEntry};
use crate::clock::Moment;
use crate::key::Key;
use crate::position::Position;
use std::time::Duration;

/// Lease: read, or obtain the right to load.
#[derive(Clone, Debug)]
pub struct Lease {
    /// The key.
    pub key: Key,
    /// How long the lease lasts without renewal.
    pub term: Duration,
    /// How long to wait for another loader.
    pub wait: Duration,
    /// Wait until this position is processed.
    pub min_position: Option<Position>,
    /// Whether what is still fresh may be granted, as the namespace draws.
    pub may_refresh: bool,
    /// When the answer is of no more use.
    pub deadline: Moment,
}

/// 128 unpredictable bits that name one grant of one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LeaseToken(pub u128);

/// What a Lease got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeaseOutcome {
    /// The entry is cached.
    Hit(Found),
    /// The caller is the loader, for this term; what may be served meanwhile.
    Granted(LeaseToken, Duration, Option<Found>),
    /// Somebody else is; ask again after this; what may be served meanwhile.
    Busy(Duration, Option<Found>),
}

impl LeaseOutcome {
    /// The entry, if there is one.
    pub fn found(&self) -> Option<&Found> {
        match self {
            Self::Hit(found) => Some(found),
            Self::Granted(_, _, stale) | Self::Busy(_, stale) => stale.as_ref(),
        }
    }
}

/// Why a lease is void.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Voided {
    /// Covered after it was granted.
    Invalidated,
    /// Taken over, or used.
    Expired,
    /// A higher source version is known: this one.
    OlderSourceVersion(u64),
    /// What it depends on is not what it was made of, or nobody can tell.
    DependencyChanged,
    /// It depends on more than an entry may.
    TooManyDependencies,
}

/// Fill: the loaded value.
#[derive(Clone, Debug)]
pub struct Fill {
    /// The grant.
    pub token: LeaseToken,
    /// The entry.
    pub entry: NewEntry,
    /// When the answer is of no more use.
    pub deadline: Moment,
}

/// What became of a Fill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FillOutcome {
    /// Stored under this version.
    Stored(String),
    /// Not stored.
    Voided(Voided),
}

/// What became of a Renew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RenewOutcome {
    /// For another term.
    Renewed(Duration),
    /// The lease is gone.
    Voided(Voided),
}

/// Abandon: the load failed.
#[derive(Clone, Debug)]
pub struct Abandon {
    /// The grant.
    pub token: LeaseToken,
    /// The stale entry may be served for this much longer.
    pub serve_stale_for: Option<Duration>,
    /// Nobody is granted the lease before this has passed.
    pub retry_after: Option<Duration>,
    /// When the answer is of no more use.
    pub deadline: Moment,
}
