//! The engine's one error: a variant exists only if a caller would act
//! differently. A miss, a conflict, "not stored" are values, never errors.

use std::time::Duration;

/// Why a call did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The log is away; nothing was done. Retry later.
    #[error("the log is unavailable, nothing was done: {0}")]
    LogUnavailable(String),
    /// The remote tier is away; nothing was done. Retry later.
    #[error("the remote tier is unavailable, nothing was done: {0}")]
    RemoteUnavailable(String),
    /// The remote tier did not confirm: perhaps done. Repeat the same call.
    #[error("the remote tier did not confirm, perhaps it was done; repeat the call: {0}")]
    RemoteUnknown(String),
    /// The own session ended while FLEET waited: perhaps done. Repeat with the
    /// same id.
    #[error(
        "this pod's session ended while it waited for the fleet; repeat the call with the same id"
    )]
    FleetUnknown,
    /// The deadline passed; whether it was done is not known. Repeat a write
    /// with the same id.
    #[error("the deadline passed before the outcome was known")]
    DeadlineExceeded,
    /// `min_position` was not reached before the deadline; nothing was done.
    #[error("this pod did not reach min_position before the deadline")]
    PositionNotReached,
    /// Too much is in flight; nothing was done. Retry after the time given.
    #[error("too many calls are in flight")]
    Overloaded {
        /// When to try again.
        retry_after: Duration,
    },
    /// This pod granted no such lease token.
    #[error("this sidecar did not grant this lease token, or it was used long ago")]
    UnknownLease,
    /// The references are away: whether it was done is not known. Repeat the call,
    /// later.
    #[error("the references are unavailable, perhaps it was done; repeat the call: {0}")]
    ReferencesUnavailable(String),
    /// There are as many references as this pod follows; nothing was done.
    #[error("there are {max} references in the fleet already, as many as may be", max = crate::limits::REFERENCES)]
    ReferencesFull,
    /// The sidecar is draining; nothing was done. Use another connection.
    #[error("the sidecar is shutting down")]
    ShuttingDown,
}
