//! Compare-and-set: a write that happens only if what is cached is what the
//! caller expects. Of two that race, the log lets one happen.

use crate::answer::Answer;
use crate::entry::{Entry, Lookup, Negative};
use crate::options::storing;
use crate::{Ack, Cache, Content, EntryOptions, Error};
use unstale_proto::v1;

/// What must be current for a compare-and-set to happen.
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
    /// ```no_run
    /// # async fn example(cache: unstale::Cache) -> Result<(), unstale::Error> {
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
        let mut client = self.client.clone();
        let call = client.compare_and_set(self.request(message));
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
