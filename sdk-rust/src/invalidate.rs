//! Invalidation: what, how far, and who confirmed it.

use crate::entry::Session;
use crate::{Ack, Cache, Error};
use unstale_proto::v1;

/// What to invalidate; at least one of keys, tags and all must be given.
#[derive(Clone, Debug, Default)]
pub struct Invalidate {
    /// Keys, at most 256.
    pub keys: Vec<String>,
    /// Tags, at most 16.
    pub tags: Vec<String>,
    /// The whole namespace.
    pub all: bool,
    /// How far it must have got.
    pub ack: Ack,
    /// Idempotency id: the same one when a call with unknown outcome is
    /// repeated; a new one when none.
    pub id: Option<String>,
    /// Why, for people.
    pub reason: String,
}

impl Invalidate {
    /// Adds a key.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.keys.push(key.into());
        self
    }

    /// Adds a tag.
    #[must_use]
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.tags.push(tag.into());
        self
    }

    /// Sets how far it must have got.
    #[must_use]
    pub fn ack(mut self, ack: Ack) -> Self {
        self.ack = ack;
        self
    }
}

/// What became of an invalidation.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Invalidated {
    /// Its position in the log; none after ack LOCAL.
    pub position: Option<String>,
    /// FLEET: the sessions that processed it.
    pub acked: Vec<Session>,
    /// FLEET: the sessions that may call nothing fresh any more instead.
    pub lapsed: Vec<Session>,
}

impl Cache {
    /// Makes entries unreadable everywhere.
    ///
    /// # Errors
    /// See [`Error`]; after [`Error::OutcomeUnknown`] repeat with the same id.
    pub async fn invalidate(&self, what: Invalidate) -> Result<Invalidated, Error> {
        let request = self.request(v1::InvalidateRequest {
            namespace: self.namespace.clone(),
            keys: what.keys,
            tags: what.tags,
            all: what.all.then_some(v1::All {}),
            ack: v1::Ack::from(what.ack).into(),
            id: what.id.unwrap_or_default(),
            reason: what.reason,
        });
        let mut client = self.client.clone();
        let call = client.invalidate(request);
        let answer = self.answer_acked(what.ack, call).await?;
        Ok(Invalidated {
            position: Some(answer.position).filter(|p| !p.is_empty()),
            acked: answer.acked.into_iter().map(Session::from).collect(),
            lapsed: answer.lapsed.into_iter().map(Session::from).collect(),
        })
    }
}
