//! What answers have in common: the entry, where it was, whether it is fresh,
//! and at which position that was judged.

use super::{Etag, Payload, Version};
use crate::key::Tag;
use crate::position::Position;
use std::sync::Arc;
use std::time::Duration;

/// Which tier answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// This pod's memory.
    L1,
    /// The remote tier.
    Remote,
}

/// Why an entry is not fresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StaleReason {
    /// Its ttl has passed.
    Expired,
    /// A soft invalidation covers it.
    SoftInvalidated,
    /// This pod's session is not fresh.
    SessionNotFresh,
}

/// An entry as found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The value, or that there is none.
    pub payload: Payload,
    /// The version.
    pub version: Version,
    /// Hash of the content.
    pub etag: Etag,
    /// The origin's version.
    pub source_version: Option<u64>,
    /// Tags.
    pub tags: Arc<[Tag]>,
    /// Which tier answered.
    pub tier: Tier,
    /// Why it is not fresh; none: it is.
    pub stale: Option<StaleReason>,
    /// This pod's position when it was judged: nothing that was processed by
    /// then forbids it.
    pub position: Position,
    /// Time since it was stored.
    pub age: Duration,
    /// Time until it expires.
    pub ttl_left: Duration,
    /// Time until it may not even be served stale.
    pub stale_left: Duration,
    /// How long it took to load; none: it was not loaded under a lease.
    pub load_time: Option<Duration>,
}

/// What was not available while a call was answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Degraded {
    /// The remote tier did not answer.
    pub remote: bool,
    /// The session is not fresh.
    pub session: bool,
}

/// An answer with what every answer carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer<T> {
    /// The answer.
    pub result: T,
    /// This pod's position, safe to give to a Set of what is made of the answer:
    /// none newer than the one at which what is in it was judged.
    pub position: Position,
    /// What was not available.
    pub degraded: Degraded,
}
