//! What became of a write, and why it was not stored.

use crate::Error;
use crate::entry::Entry;
use unstale_proto::v1;

/// What became of a write.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), unstale::Error> {
/// # let cache = unstale::Cache::builder().no_sidecar().connect().await?;
/// use unstale::SetOutcome;
///
/// match cache.set("user:7", "Ada").await?.result {
///     SetOutcome::Stored { version } => println!("stored as {version:?}"),
///     SetOutcome::NotStored { reason, .. } => println!("not stored: {reason:?}"),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetOutcome {
    /// Stored, or what is cached already: then only its ttl was refreshed.
    Stored {
        /// The version; none after [`crate::Ack::Local`], when the log has not
        /// decided.
        version: Option<String>,
    },
    /// Not stored.
    NotStored {
        /// Why.
        reason: NotStoredReason,
        /// What the cache holds instead; none when nothing, or no value.
        current: Option<Box<Entry>>,
    },
}

/// Why a write, or a compare-and-set, was not stored.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), unstale::Error> {
/// # let cache = unstale::Cache::builder().no_sidecar().connect().await?;
/// use unstale::{NotStoredReason, SetOutcome};
///
/// let outcome = cache.set("user:7", "Ada").await?.result;
/// let reason = NotStoredReason::SidecarUnavailable;
/// assert_eq!(outcome, SetOutcome::NotStored { reason, current: None });
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotStoredReason {
    /// An invalidation or another write came after the caller's position.
    Covered,
    /// The position is of another epoch, or too old to be judged.
    PositionTooOld,
    /// The position is beyond the end of this fleet's log.
    PositionUnknown,
    /// A higher source version of the key is known: the origin that was read
    /// lags.
    OlderSourceVersion {
        /// The least source version that is accepted.
        min_source_version: u64,
    },
    /// Something is cached, and `if_absent` was asked for.
    Present,
    /// What the value was made of is not cached in that version, is not fresh,
    /// was invalidated or written meanwhile, or cannot be looked up now.
    DependencyChanged,
    /// Directly and through others the entry depends on more than an entry may.
    TooManyDependencies,
    /// The sidecar did not answer ([`crate::Builder::strict`] makes that an
    /// error). It was not stored as far as is known; when the answer got lost,
    /// it may have been.
    SidecarUnavailable,
    /// The sidecar could not do it, and said why ([`crate::Builder::strict`]
    /// makes that an error).
    Failed {
        /// `LOG_UNAVAILABLE`, `OVERLOADED`…: [`Error::reason`].
        reason: String,
    },
    /// A reason this client does not know yet.
    Other,
}

impl NotStoredReason {
    pub(crate) fn decode(
        reason: v1::NotStoredReason,
        min_source_version: Option<u64>,
    ) -> Result<Self, Error> {
        Ok(match reason {
            v1::NotStoredReason::Covered => Self::Covered,
            v1::NotStoredReason::PositionTooOld => Self::PositionTooOld,
            v1::NotStoredReason::PositionUnknown => Self::PositionUnknown,
            v1::NotStoredReason::OlderSourceVersion => Self::OlderSourceVersion {
                min_source_version: least(min_source_version)?,
            },
            v1::NotStoredReason::Present => Self::Present,
            v1::NotStoredReason::DependencyChanged => Self::DependencyChanged,
            v1::NotStoredReason::TooManyDependencies => Self::TooManyDependencies,
            v1::NotStoredReason::Unspecified => Self::Other,
        })
    }
}

/// The least source version, where the contract promises one.
pub(crate) fn least(min_source_version: Option<u64>) -> Result<u64, Error> {
    min_source_version.ok_or(Error::Answer("an older source version names no least one"))
}

impl SetOutcome {
    /// What a write without a sidecar is.
    pub(crate) fn away() -> Self {
        Self::NotStored {
            reason: NotStoredReason::SidecarUnavailable,
            current: None,
        }
    }

    /// What a write that failed is, when the policy goes on without it.
    pub(crate) fn failed(error: &Error) -> Self {
        let Some(reason) = error.reason() else {
            return Self::away();
        };
        Self::NotStored {
            reason: NotStoredReason::Failed {
                reason: reason.to_owned(),
            },
            current: None,
        }
    }

    pub(crate) fn stored(stored: v1::Stored) -> Self {
        Self::Stored {
            version: Some(stored.version).filter(|v| !v.is_empty()),
        }
    }

    pub(crate) fn not_stored(not: v1::NotStored) -> Result<Self, Error> {
        let reason = NotStoredReason::decode(not.reason(), not.min_source_version)?;
        let current = not.current.map(Entry::decode).transpose()?.map(Box::new);
        Ok(Self::NotStored { reason, current })
    }
}
