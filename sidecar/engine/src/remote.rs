//! The port to the remote tier: get, conditional put, delete.
//!
//! A tier only has to return what was stored under that key, or nothing. It
//! need not be linearizable and is not trusted: every record is judged by the
//! hit rule after it was read. Only an acknowledged conditional write decides
//! anything.

use crate::key::NameHash;
use bytes::Bytes;
use futures::future::join_all;
use std::time::Duration;

/// A tier's name for one stored state of a key. Never leaves the pod: versions
/// that callers see are positions or fill tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revision(pub u64);

/// What a conditional put or delete expects to find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Nothing is stored under the key.
    Absent,
    /// Exactly this state is stored.
    Revision(Revision),
}

/// A stored record and its revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The state that was read.
    pub revision: Revision,
    /// The record: an envelope of `crate::entry`.
    pub record: Bytes,
}

/// What became of a conditional put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutOutcome {
    /// Stored, under this revision.
    Stored(Revision),
    /// Something else was there; read again.
    Conflict,
}

/// What reading one key came to: a record, or nothing.
pub type Read = Result<Option<Stored>, RemoteError>;

/// Why a tier did not answer, by what the caller should do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RemoteError {
    /// Try again later; nothing was done.
    #[error("{0}")]
    Unavailable(String),
    /// Sent, and no answer: a put or delete may have happened.
    #[error("{0}")]
    Unknown(String),
    /// The tier answers, and will not do this now (it is full, say); nothing was
    /// done. Other calls may well succeed: a tier that refuses is not away.
    #[error("{0}")]
    Refused(String),
    /// Trying again will not help before somebody changes the configuration
    /// (a wrong password, a missing permission).
    #[error("{0}")]
    Misconfigured(String),
}

impl From<RemoteError> for crate::Error {
    fn from(error: RemoteError) -> Self {
        match error {
            RemoteError::Unknown(why) => Self::RemoteUnknown(why),
            RemoteError::Unavailable(why)
            | RemoteError::Refused(why)
            | RemoteError::Misconfigured(why) => Self::RemoteUnavailable(why),
        }
    }
}

/// A remote tier. All methods are cancel safe in the sense that a cancelled
/// put may or may not have happened.
#[async_trait::async_trait]
pub trait Remote: Send + Sync + 'static {
    /// The tier's name in status and metrics ("memory", "nats").
    fn name(&self) -> &'static str;
    /// Reads what is stored under `key`; it may be old.
    async fn get(&self, key: NameHash) -> Read;
    /// Reads many keys of one [`part`](Remote::part) at once: one answer per
    /// key, in their order, each of which is [`get`](Remote::get)'s. Keys may
    /// repeat.
    async fn get_many(&self, keys: &[NameHash]) -> Vec<Read> {
        join_all(keys.iter().map(|key| self.get(*key))).await
    }
    /// Stores `record` if what is there is as expected; it may be dropped by
    /// the tier after `ttl` (the engine keeps exact deadlines in the record).
    async fn put(
        &self,
        key: NameHash,
        expect: Expect,
        record: Bytes,
        ttl: Duration,
    ) -> Result<PutOutcome, RemoteError>;
    /// Removes exactly this state; nothing happens if another is there.
    async fn delete(&self, key: NameHash, revision: Revision) -> Result<(), RemoteError>;
    /// Asks whether the tier answers at all, for status.
    async fn ping(&self) -> Result<(), RemoteError>;
    /// Wakes whoever waits for this key in other pods. Best effort.
    fn hint(&self, key: NameHash);
    /// Returns when somebody hinted at this key after the call began, or never.
    /// Callers poll as well. Cancel safe.
    async fn hinted(&self, key: NameHash);
    /// What keeps this key, if the tier has several parts that can be away each
    /// by itself: keys of one number fail together. Numbers are small.
    fn part(&self, _key: NameHash) -> u16 {
        0
    }
    /// A read gave what had been stored for another key: whatever connection
    /// it came over may be out of step, and must not be used again.
    fn distrust(&self, _key: NameHash) {}
}
