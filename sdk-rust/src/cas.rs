//! Compare-and-set: a write that happens only if what is cached is what the
//! caller expects. Of two that race, the log lets one happen.

use crate::answer::Answer;
use crate::entry::{Entry, Lookup, Negative};
use crate::options::storing;
use crate::{Ack, Cache, Content, EntryOptions, Error, NotStoredReason};
use std::pin::pin;
use unstale_proto::v1;

/// What must be current for a compare-and-set to happen.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), unstale::Error> {
/// # let cache = unstale::Cache::builder().no_sidecar().connect().await?;
/// use unstale::{Expected, Lookup};
///
/// let expected = match cache.get("stock:7").await?.result {
///     Lookup::Hit(entry) => Expected::Version(entry.version),
///     _ => Expected::Absent,
/// };
/// assert_eq!(expected, Expected::Absent);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// The entry with this version.
    Version(String),
    /// An entry with this etag: any version of that content.
    Etag(String),
    /// Nothing, or a negative entry.
    Absent,
}

impl From<Expected> for v1::compare_and_set_request::Expected {
    fn from(expected: Expected) -> Self {
        match expected {
            Expected::Version(version) => Self::Version(version),
            Expected::Etag(etag) => Self::Etag(etag),
            Expected::Absent => Self::Absent(v1::Absent {}),
        }
    }
}

/// What became of a compare-and-set.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), unstale::Error> {
/// # let cache = unstale::Cache::builder().no_sidecar().connect().await?;
/// use unstale::{Ack, CasOutcome, EntryOptions, Expected};
///
/// let (entry, ack) = (EntryOptions::default(), Ack::Log);
/// let swap = cache.compare_and_set("leader", Expected::Absent, "me", entry, ack);
/// match swap.await?.result {
///     CasOutcome::Stored { version } => println!("it is me, as of {version}"),
///     CasOutcome::Conflict { reason: None, current } => println!("it is {current:?}"),
///     CasOutcome::Conflict { reason, .. } => println!("it cannot be me: {reason:?}"),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CasOutcome {
    /// Stored.
    Stored {
        /// The new version.
        version: String,
    },
    /// Not stored.
    Conflict {
        /// Why; none when the expectation does not hold. It says what to do:
        ///
        /// | reason | what to do |
        /// | --- | --- |
        /// | none, `Covered`, `PositionTooOld` | read the key again, and decide anew |
        /// | `DependencyChanged` | read again what the value was made of, and make it anew: the same one is refused again |
        /// | `OlderSourceVersion` | do not repeat it: the origin that was read lags |
        /// | `TooManyDependencies` | do not repeat it: name fewer |
        /// | any other | do not repeat it: a newer sidecar knows why |
        reason: Option<NotStoredReason>,
        /// What is cached, which may be what was expected when there is a
        /// reason.
        current: Box<Lookup>,
    },
}

impl Cache {
    /// Writes one key if what is cached is what the caller expects. The ack is
    /// LOG or FLEET; LOCAL is refused: only the log can decide.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), unstale::Error> {
    /// # let cache = unstale::Cache::builder().no_sidecar().connect().await?;
    /// use unstale::{Ack, CasOutcome, EntryOptions, Expected, Lookup};
    ///
    /// let mut seen = cache.get("stock:7").await?.result;
    /// while let Lookup::Hit(entry) = seen {
    ///     let expected = Expected::Version(entry.version);
    ///     let (entry, ack) = (EntryOptions::default(), Ack::Log);
    ///     let swap = cache.compare_and_set("stock:7", expected, "11", entry, ack);
    ///     seen = match swap.await?.result {
    ///         CasOutcome::Stored { .. } => break,
    ///         // Somebody was faster.
    ///         CasOutcome::Conflict { reason: None, current } => *current,
    ///         // The same value would be refused again.
    ///         CasOutcome::Conflict { reason, .. } => {
    ///             println!("not stored: {reason:?}");
    ///             break;
    ///         }
    ///     };
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// See [`Error`]. A conflict is a value. After [`Error::Unreachable`],
    /// [`Error::DeadlineExceeded`] and [`Error::OutcomeUnknown`] the write may
    /// have happened.
    pub async fn compare_and_set(
        &self,
        key: impl Into<String>,
        expected: Expected,
        content: impl Into<Content>,
        entry: EntryOptions,
        ack: Ack,
    ) -> Result<Answer<CasOutcome>, Error> {
        let key = key.into();
        self.shared.flights.forget(&self.namespace, [key.as_str()]);
        if self.has_no_sidecar() {
            return Ok(Answer::away(without_a_sidecar(&expected)));
        }
        let message = storing!(
            CompareAndSetRequest {
                namespace: self.namespace.clone(),
                key: key,
                expected: Some(expected.into()),
                ack: v1::Ack::from(ack).into(),
            },
            content.into(),
            entry
        );
        let call = pin!(self.lanes.call(self.asked(message)));
        let answer = self.answer_acked(ack, call).await?;
        use v1::compare_and_set_response::Result as Became;
        let result = answer.result;
        let result = match result.ok_or(Error::Answer("CompareAndSet has no result"))? {
            Became::Stored(v1::Stored { version }) => CasOutcome::Stored { version },
            Became::Conflict(conflict) => conflicted(conflict)?,
        };
        Ok(Answer::new(result, answer.position, answer.degraded))
    }
}

/// Nothing is cached: what expects that happens, and is forgotten at once.
fn without_a_sidecar(expected: &Expected) -> CasOutcome {
    match expected {
        Expected::Absent => CasOutcome::Stored {
            version: "no sidecar".to_owned(),
        },
        Expected::Version(_) | Expected::Etag(_) => CasOutcome::Conflict {
            reason: None,
            current: Box::new(Lookup::Miss),
        },
    }
}

fn conflicted(conflict: v1::Conflict) -> Result<CasOutcome, Error> {
    // By the number: what a newer sidecar says is a reason, too, and a caller
    // who took it for none would try for ever.
    let reason = match conflict.reason {
        0 => None,
        _ => Some(NotStoredReason::decode(
            conflict.reason(),
            conflict.min_source_version,
        )?),
    };
    let current = conflict.current;
    let current = current.ok_or(Error::Answer("a conflict names nothing current"))?;
    let current = Box::new(decoded(current)?);
    Ok(CasOutcome::Conflict { reason, current })
}

fn decoded(current: v1::conflict::Current) -> Result<Lookup, Error> {
    use v1::conflict::Current;
    Ok(match current {
        Current::Found(entry) => Lookup::Hit(Entry::decode(entry)?),
        Current::Negative(negative) => Lookup::Negative(Negative::decode(negative)?),
        Current::Missing(v1::Missing {}) => Lookup::Miss,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(reason: i32, min_source_version: Option<u64>) -> Result<CasOutcome, Error> {
        conflicted(v1::Conflict {
            current: Some(v1::conflict::Current::Missing(v1::Missing {})),
            reason,
            min_source_version,
        })
    }

    fn conflict(reason: Option<NotStoredReason>) -> CasOutcome {
        CasOutcome::Conflict {
            reason,
            current: Box::new(Lookup::Miss),
        }
    }

    #[test]
    fn a_conflict_says_why_if_not_because_the_expectation_fails() {
        let changed = v1::NotStoredReason::DependencyChanged.into();
        let older = v1::NotStoredReason::OlderSourceVersion.into();
        let least = NotStoredReason::OlderSourceVersion {
            min_source_version: 7,
        };
        for (told, reason) in [
            (why(0, None), None),
            (why(changed, None), Some(NotStoredReason::DependencyChanged)),
            (why(older, Some(7)), Some(least)),
        ] {
            assert_eq!(told.expect("an outcome"), conflict(reason));
        }
        let nameless = why(older, None);
        assert!(matches!(nameless, Err(Error::Answer(_))), "{nameless:?}");
    }

    #[test]
    fn a_reason_of_a_newer_sidecar_is_no_plain_conflict() {
        let newer = why(1000, None).expect("an outcome");
        assert_eq!(newer, conflict(Some(NotStoredReason::Other)));
    }
}
