//! What a caller can do about an error, without a look at each of its variants.

use crate::Error;
use std::time::Duration;

impl Error {
    /// Whether the cache is what failed, and not the request: a caller to whom
    /// the cache is optional goes on without it. This is what the fail-open
    /// policy goes on without ([`crate::Builder::strict`]).
    ///
    /// ```
    /// use unstale::Error;
    ///
    /// assert!(Error::Unreachable("it is not there".to_owned()).is_outage());
    /// assert!(!Error::Endpoint("names no socket".to_owned()).is_outage());
    /// ```
    #[must_use]
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Unreachable(_)
            | Self::Unavailable { .. }
            | Self::Overloaded { .. }
            | Self::DeadlineExceeded { .. }
            | Self::OutcomeUnknown { .. }
            | Self::Unsupported { .. }
            | Self::Answer(_)
            | Self::Other { .. } => true,
            Self::Endpoint(_)
            | Self::Invalid { .. }
            | Self::UnknownLease(_)
            | Self::Busy { .. }
            | Self::Codec(_) => false,
        }
    }

    /// The sidecar's reason, as in the contract's error table; none when the
    /// sidecar had no word in it.
    ///
    /// ```
    /// let error = unstale::Error::OutcomeUnknown {
    ///     reason: "FLEET_UNKNOWN".to_owned(),
    ///     message: "the session ended".to_owned(),
    /// };
    /// assert_eq!(error.reason(), Some("FLEET_UNKNOWN"));
    /// ```
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        let reason: &str = match self {
            Self::Invalid { reason, .. }
            | Self::Unavailable { reason, .. }
            | Self::Overloaded { reason, .. }
            | Self::Unsupported { reason, .. }
            | Self::DeadlineExceeded { reason, .. }
            | Self::OutcomeUnknown { reason, .. }
            | Self::Other { reason, .. } => reason,
            Self::UnknownLease(_) => "UNKNOWN_LEASE",
            Self::Endpoint(_)
            | Self::Unreachable(_)
            | Self::Busy { .. }
            | Self::Codec(_)
            | Self::Answer(_) => "",
        };
        Some(reason).filter(|reason| !reason.is_empty())
    }

    /// When to try again, where the sidecar said so.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let retry_after = Duration::from_millis(250);
    /// let busy = unstale::Error::Busy { retry_after };
    /// assert_eq!(busy.retry_after(), Some(retry_after));
    /// ```
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Unavailable { retry_after, .. } | Self::Overloaded { retry_after, .. } => {
                *retry_after
            }
            Self::Busy { retry_after } => Some(*retry_after),
            Self::Endpoint(_)
            | Self::Unreachable(_)
            | Self::Invalid { .. }
            | Self::DeadlineExceeded { .. }
            | Self::OutcomeUnknown { .. }
            | Self::UnknownLease(_)
            | Self::Unsupported { .. }
            | Self::Codec(_)
            | Self::Answer(_)
            | Self::Other { .. } => None,
        }
    }

    /// Whether no word came from the sidecar.
    pub(crate) fn is_silence(&self) -> bool {
        match self {
            Self::Unreachable(_) => true,
            Self::DeadlineExceeded { reason, .. } => reason.is_empty(),
            _ => false,
        }
    }
}
