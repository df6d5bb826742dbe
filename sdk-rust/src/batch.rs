//! Writes of many keys in one call, each decided by itself.

use crate::answer::Answer;
use crate::options::storing;
use crate::outcome::SetOutcome;
use crate::write::no_position;
use crate::{Ack, Cache, Content, EntryOptions, Error};
use std::pin::pin;
use unstale_proto::v1;

/// One write of a [`Cache::set_many`].
///
/// ```
/// use std::time::Duration;
/// use unstale::{EntryOptions, SetItem};
///
/// let entry = EntryOptions::default().ttl(Duration::from_secs(60));
/// let item = SetItem::new("user:7", "Ada").entry(entry).if_absent();
/// assert_eq!(item.key, "user:7");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetItem {
    /// The key; once in a batch.
    pub key: String,
    /// The value, or that the origin has none.
    pub content: Content,
    /// How the entry is stored.
    pub entry: EntryOptions,
    /// As in [`crate::SetOptions`].
    pub position: Option<String>,
    /// As in [`crate::SetOptions`].
    pub if_absent: bool,
}

impl SetItem {
    /// A write of what the origin has now.
    #[must_use]
    pub fn new(key: impl Into<String>, content: impl Into<Content>) -> Self {
        Self {
            key: key.into(),
            content: content.into(),
            entry: EntryOptions::default(),
            position: None,
            if_absent: false,
        }
    }

    /// Sets how the entry is stored.
    #[must_use]
    pub fn entry(mut self, entry: EntryOptions) -> Self {
        self.entry = entry;
        self
    }

    /// Sets the position held before the origin was read.
    #[must_use]
    pub fn position(mut self, position: impl Into<String>) -> Self {
        self.position = Some(position.into());
        self
    }

    /// Writes only if nothing is cached.
    #[must_use]
    pub fn if_absent(mut self) -> Self {
        self.if_absent = true;
        self
    }

    fn message(self) -> v1::BatchSetItem {
        storing!(
            BatchSetItem {
                key: self.key,
                position: self.position.unwrap_or_default(),
                if_absent: self.if_absent.then_some(v1::IfAbsent {}),
            },
            self.content,
            self.entry
        )
    }
}

/// What became of each write of a batch, in the order of the items.
pub type SetResults = Vec<Result<SetOutcome, Error>>;

impl Cache {
    /// Writes up to 256 keys (4 MiB of values together); one result per item,
    /// in order. One that fails does not touch the others.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), unstale::Error> {
    /// # let cache = unstale::Cache::builder().no_sidecar().connect().await?;
    /// use unstale::{Ack, Content, SetItem};
    ///
    /// let users = [
    ///     SetItem::new("user:1", "Ada"),
    ///     SetItem::new("user:2", Content::NotFound),
    /// ];
    /// for result in cache.set_many(users, Ack::Log).await?.result {
    ///     println!("{:?}", result?);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// See [`Error`]: of the whole call, when nothing or an unknown part of it
    /// was done; [`Error::Invalid`] when any item breaks a rule.
    pub async fn set_many(
        &self,
        items: impl IntoIterator<Item = SetItem>,
        ack: Ack,
    ) -> Result<Answer<SetResults>, Error> {
        let items: Vec<_> = items.into_iter().collect();
        let judged = |item: &SetItem| !no_position(item.position.as_deref());
        let sent: Vec<bool> = items.iter().map(judged).collect();
        let items = items.into_iter().filter(judged).map(SetItem::message);
        let items: Vec<_> = items.collect();
        let asked = items.len();
        let away = |error: &Error| (0..asked).map(|_| Ok(SetOutcome::failed(error))).collect();
        let answer = match sent.contains(&true) || sent.is_empty() {
            true => {
                let writing = async move || self.write_many(items, ack).await;
                self.or_else(writing, away).await?
            }
            false => Answer::away(Vec::new()),
        };
        Ok(answer.map(|results| self.in_order(&sent, results)))
    }

    /// One result per item; those that were not sent are not stored.
    fn in_order(&self, sent: &[bool], results: SetResults) -> SetResults {
        let mut results = results.into_iter();
        let each = sent.iter().map(|sent| match sent {
            true => results
                .next()
                .map_or(Ok(SetOutcome::away()), |one| self.judged(one)),
            false => Ok(SetOutcome::away()),
        });
        each.collect()
    }

    /// One write, by the policy.
    fn judged(&self, result: Result<SetOutcome, Error>) -> Result<SetOutcome, Error> {
        match result {
            Err(error) if self.goes_on(&error) => Ok(SetOutcome::failed(&error)),
            result => result,
        }
    }

    async fn write_many(
        &self,
        items: Vec<v1::BatchSetItem>,
        ack: Ack,
    ) -> Result<Answer<SetResults>, Error> {
        let keys = items.iter().map(|item| item.key.as_str());
        self.shared.flights.forget(&self.namespace, keys);
        let asked = items.len();
        let asking = self.asked(v1::BatchSetRequest {
            namespace: self.namespace.clone(),
            items,
            ack: v1::Ack::from(ack).into(),
        });
        let call = pin!(self.lanes.call(asking));
        let answer = self.answer_acked(ack, call).await?;
        if answer.results.len() != asked {
            return Err(Error::Answer("BatchSet has not one result per item"));
        }
        let results = answer.results.into_iter().map(outcome).collect();
        Ok(Answer::new(results, answer.position, answer.degraded))
    }
}

fn outcome(result: v1::BatchSetResult) -> Result<SetOutcome, Error> {
    use v1::batch_set_result::Result as Became;
    let result = result.result;
    match result.ok_or(Error::Answer("a BatchSet result is empty"))? {
        Became::Stored(stored) => Ok(SetOutcome::stored(stored)),
        Became::NotStored(not) => SetOutcome::not_stored(not),
        Became::Error(error) => Err(error.into()),
    }
}
