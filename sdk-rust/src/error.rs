//! What can fail, by what the caller should do about it. What the sidecar's
//! words for it mean stands in `status.rs`.

use crate::CodecError;
use std::time::Duration;
use tonic::Code;

/// Why a call failed, by what the caller should do. A miss, a conflict and a
/// voided lease are no errors.
///
/// ```
/// use unstale::Error;
///
/// fn advice(error: &Error) -> &'static str {
///     match error {
///         Error::Endpoint(_) | Error::Invalid { .. } => "mend the program",
///         Error::Unsupported { .. } => "upgrade the sidecar",
///         Error::OutcomeUnknown { .. } => "repeat it with the same id",
///         error if error.is_outage() => "go on without the cache",
///         _ => "tell somebody",
///     }
/// }
/// let error = Error::Unreachable("connection refused".to_owned());
/// assert_eq!(advice(&error), "go on without the cache");
/// ```
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The endpoint cannot be read.
    #[error("the endpoint {0}")]
    Endpoint(String),
    /// Nobody answers at the endpoint, or the connection broke: a write may
    /// or may not have happened.
    #[error("cannot reach the sidecar: {0}")]
    Unreachable(String),
    /// The request breaks a rule of the contract; repeating it is useless.
    #[error("{message}")]
    Invalid {
        /// `INVALID_REQUEST`, `VALUE_TOO_LARGE` or `BATCH_TOO_LARGE`.
        reason: String,
        /// Everything that is wrong, in one line.
        message: String,
        /// Everything that is wrong, field by field.
        violations: Vec<Violation>,
    },
    /// The sidecar is there, but a part it needs is not; nothing was done.
    #[error("{message}")]
    Unavailable {
        /// `LOG_UNAVAILABLE`, `REMOTE_UNAVAILABLE`, `SHUTTING_DOWN`…
        reason: String,
        /// What is away.
        message: String,
        /// When to try again.
        retry_after: Option<Duration>,
    },
    /// The sidecar has more calls in flight than it allows, or a limit of the
    /// transport was reached.
    #[error("{message}")]
    Overloaded {
        /// `OVERLOADED`, or `RESOURCE_EXHAUSTED` of the gRPC library; empty when
        /// the sidecar had no word in it.
        reason: String,
        /// What is exhausted.
        message: String,
        /// When to try again.
        retry_after: Option<Duration>,
    },
    /// The deadline passed; a write may still have happened.
    #[error("{message}")]
    DeadlineExceeded {
        /// `POSITION_NOT_REACHED` when the sidecar lags behind the asked
        /// position; else `DEADLINE_EXCEEDED` or empty.
        reason: String,
        /// What was late.
        message: String,
    },
    /// Perhaps done, perhaps not: repeat the call, an invalidation with the same
    /// id.
    #[error("{message}")]
    OutcomeUnknown {
        /// `FLEET_UNKNOWN`: this pod's session ended while it waited.
        /// `REMOTE_UNKNOWN`: the remote tier did not confirm.
        reason: String,
        /// What was not confirmed.
        message: String,
    },
    /// The lease token was never granted by this sidecar.
    #[error("{0}")]
    UnknownLease(String),
    /// Another caller was still loading the key when the wait ended, or a load
    /// failed and nobody may try again yet.
    #[error("another caller is still loading the key, or its load failed just now")]
    Busy {
        /// When to ask again.
        retry_after: Duration,
    },
    /// The sidecar is older than this client and has no such call: upgrade it.
    #[error("the sidecar is too old for this call: {message}")]
    Unsupported {
        /// `UNIMPLEMENTED`; empty when the sidecar gave none.
        reason: String,
        /// What it does not have.
        message: String,
    },
    /// The value has no form in its codec, or is none of the type asked for.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// The answer lacks what the contract promises (a newer sidecar).
    #[error("the sidecar's answer cannot be understood: {0}")]
    Answer(&'static str),
    /// Any other failure.
    #[error("{message} ({code:?})")]
    Other {
        /// The gRPC code.
        code: Code,
        /// The ErrorInfo's reason; empty when there is none.
        reason: String,
        /// The message.
        message: String,
    },
}

/// One broken rule of a request.
///
/// ```
/// use unstale::Violation;
///
/// let violation = Violation {
///     field: "key".to_owned(),
///     description: "is empty".to_owned(),
/// };
/// assert_eq!(format!("{} {}", violation.field, violation.description), "key is empty");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Path of the field in the request.
    pub field: String,
    /// What is wrong with it.
    pub description: String,
}

/// Why [`crate::Cache::get_or_load`] has no value.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), unstale::Error> {
/// # let cache = unstale::Cache::builder().no_sidecar().connect().await?;
/// use unstale::{LoadError, LoadOptions};
///
/// let load = || async { Err::<String, _>("the origin is away") };
/// match cache.get_or_load("user:7", LoadOptions::default(), load).await {
///     Err(LoadError::Loader(why)) => assert_eq!(why, "the origin is away"),
///     other => panic!("{other:?}"),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, thiserror::Error)]
pub enum LoadError<E> {
    /// The cache could neither give the value nor the right to load it.
    #[error(transparent)]
    Cache(#[from] Error),
    /// The loader failed; the lease was given back.
    #[error("the loader failed: {0}")]
    Loader(E),
    /// The loader took longer than [`crate::LoadOptions::hard_timeout`] and was
    /// dropped; the lease was given back.
    #[error("the loader did not end within {0:?}")]
    TimedOut(Duration),
}
