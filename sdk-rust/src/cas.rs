//! Compare-and-set: a write that happens only if what is cached is what the
//! caller expects. Of two that race, the log lets one happen.

use crate::answer::Answer;
use crate::entry::{Entry, Lookup, Negative};
use crate::options::storing;
use crate::{Ack, Cache, Content, EntryOptions, Error};
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
///     CasOutcome::Conflict(current) => println!("it is {current:?}"),
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
    /// The expectation does not hold; this is what is cached.
    Conflict(Box<Lookup>),
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
    /// let Lookup::Hit(seen) = cache.get("stock:7").await?.result else {
    ///     return Ok(());
    /// };
    /// let expected = Expected::Version(seen.version);
    /// let (entry, ack) = (EntryOptions::default(), Ack::Log);
    /// let swap = cache.compare_and_set("stock:7", expected, "11", entry, ack);
    /// if let CasOutcome::Conflict(current) = swap.await?.result {
    ///     println!("somebody was faster: {current:?}");
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
        let call = self.lanes.call(self.asked(message));
        let answer = self.answer_acked(ack, call).await?;
        use v1::compare_and_set_response::Result as Became;
        let result = answer.result;
        let result = match result.ok_or(Error::Answer("CompareAndSet has no result"))? {
            Became::Stored(v1::Stored { version }) => CasOutcome::Stored { version },
            Became::Conflict(conflict) => CasOutcome::Conflict(Box::new(current(conflict)?)),
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
        Expected::Version(_) | Expected::Etag(_) => CasOutcome::Conflict(Box::new(Lookup::Miss)),
    }
}

fn current(conflict: v1::Conflict) -> Result<Lookup, Error> {
    use v1::conflict::Current;
    let current = conflict.current;
    let current = current.ok_or(Error::Answer("a conflict names nothing current"))?;
    Ok(match current {
        Current::Found(entry) => Lookup::Hit(Entry::decode(entry)?),
        Current::Negative(negative) => Lookup::Negative(Negative::decode(negative)?),
        Current::Missing(v1::Missing {}) => Lookup::Miss,
    })
}
