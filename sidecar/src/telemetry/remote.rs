//! What is counted around the remote tier: calls that were late, too many,
//! repeated or not made at all, and records that were not believed.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};

/// Whether the remote tier is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Breaker {
    /// It is.
    Closed,
    /// One call finds out whether it is back.
    HalfOpen,
    /// It is left alone.
    Open,
}

impl Breaker {
    /// Every state.
    pub const ALL: [Self; 3] = [Self::Closed, Self::HalfOpen, Self::Open];

    /// Its name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

/// Why a record from the remote tier was not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unopened {
    /// It is encrypted, and this pod has no keys.
    NoKeys,
    /// It is not encrypted, and this pod has keys.
    NotEncrypted,
    /// It was encrypted with a key that is not in the file.
    UnknownKey,
    /// It was stored under another key.
    OtherKey,
    /// It is not what was encrypted, or of another fleet.
    Tampered,
    /// It does not decompress, or to more than a record may have.
    BadCompression,
}

impl Unopened {
    /// Every reason.
    pub const ALL: [Self; 6] = [
        Self::NoKeys,
        Self::NotEncrypted,
        Self::UnknownKey,
        Self::OtherKey,
        Self::Tampered,
        Self::BadCompression,
    ];

    /// Its name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::NoKeys => "no_keys",
            Self::NotEncrypted => "not_encrypted",
            Self::UnknownKey => "unknown_key",
            Self::OtherKey => "other_key",
            Self::Tampered => "tampered",
            Self::BadCompression => "bad_compression",
        }
    }
}

/// The counts, of all that stands around one tier.
#[derive(Debug, Default)]
pub struct RemoteCounts {
    /// Calls that the tier did not answer in time.
    pub(crate) timeouts: Count,
    /// Calls that were not made because too many were under way.
    pub(crate) shed: Count,
    /// Reads that were asked a second time.
    pub(crate) hedges: Count,
    /// Second reads that were answered first.
    pub(crate) hedges_won: Count,
    /// Key files that came into force, the first one included.
    pub(crate) keys_read: Count,
    /// Key files that could not be used.
    pub(crate) keys_refused: Count,
    breaker: AtomicU8,
    turned: [Count; Breaker::ALL.len()],
    unopened: [Count; Unopened::ALL.len()],
}

/// A number that rises.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn one_more(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    pub(crate) fn read(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

impl RemoteCounts {
    /// A circuit of the breaker came into this state; the worst of all is given
    /// beside it.
    pub(crate) fn turn(&self, breaker: Breaker, worst: Breaker) {
        self.breaker.store(worst as u8, Relaxed);
        self.turned[breaker as usize].one_more();
    }

    /// A record was not opened.
    pub(crate) fn refuse(&self, why: Unopened) {
        self.unopened[why as usize].one_more();
    }

    /// Every state of the breaker, and whether it is in it.
    pub(crate) fn breaker(&self) -> impl Iterator<Item = (&'static str, bool)> {
        let now = self.breaker.load(Relaxed);
        Breaker::ALL
            .map(|at| (at.name(), at as u8 == now))
            .into_iter()
    }

    /// How often the breaker came into each state.
    pub(crate) fn turns(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let count = |at: Breaker| (at.name(), self.turned[at as usize].read());
        Breaker::ALL.map(count).into_iter()
    }

    /// Records that were not opened, by reason.
    pub(crate) fn unopened(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let count = |why: Unopened| (why.name(), self.unopened[why as usize].read());
        Unopened::ALL.map(count).into_iter()
    }
}
