//! Invalidation: what, how far, and who confirmed it.

use crate::answer::Session;
use crate::{Ack, Cache, Error};
use std::pin::pin;
use unstale_proto::v1;

/// What an invalidation does to the entries it covers.
///
/// ```
/// use unstale::{Invalidate, InvalidateMode};
///
/// let what = Invalidate::default().tag("users").soft();
/// assert_eq!(what.mode, InvalidateMode::Soft);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InvalidateMode {
    /// They are gone; not even a flagged answer returns them.
    #[default]
    Hard,
    /// They are stale: they may be served, flagged, while one loader refreshes.
    Soft,
}

impl InvalidateMode {
    /// A mode this client does not know is hard, the safe one.
    pub(crate) fn decode(mode: v1::InvalidateMode) -> Self {
        match mode {
            v1::InvalidateMode::Soft => Self::Soft,
            v1::InvalidateMode::Hard | v1::InvalidateMode::Unspecified => Self::Hard,
        }
    }
}

impl From<InvalidateMode> for v1::InvalidateMode {
    fn from(mode: InvalidateMode) -> Self {
        match mode {
            InvalidateMode::Hard => Self::Hard,
            InvalidateMode::Soft => Self::Soft,
        }
    }
}

/// What to invalidate; at least one of keys, tags, prefixes and all must be
/// given.
///
/// ```
/// use unstale::Invalidate;
///
/// let what = Invalidate::default().key("user:7").prefix("page:").soft();
/// assert_eq!(what.prefixes, ["page:"]);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Invalidate {
    /// Keys, at most 256.
    pub keys: Vec<String>,
    /// Tags, at most 16: every entry that carries one of them.
    pub tags: Vec<String>,
    /// Prefixes, at most 16: every entry whose key begins with one of them.
    /// Those that end with a delimiter (`:`, `/`, `.`) are the cheap ones.
    pub prefixes: Vec<String>,
    /// The whole namespace.
    pub all: bool,
    /// Whether the entries are gone or stale.
    pub mode: InvalidateMode,
    /// The origin's version from which on the keys are true: fills and writes
    /// below it (of a lagging replica) are refused. Only with keys.
    pub min_source_version: Option<u64>,
    /// How far it must have got.
    pub ack: Ack,
    /// Idempotency id, at most 64 bytes: the same one when a call with unknown
    /// outcome is repeated; a new one when none.
    pub id: Option<String>,
    /// Why, for people; at most 256 bytes.
    pub reason: String,
    /// The W3C traceparent of what asks, for people who ask what invalidated
    /// their entry.
    pub traceparent: String,
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

    /// Adds a prefix of keys.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefixes.push(prefix.into());
        self
    }

    /// The whole namespace.
    #[must_use]
    pub fn all(mut self) -> Self {
        self.all = true;
        self
    }

    /// Stale rather than gone.
    #[must_use]
    pub fn soft(mut self) -> Self {
        self.mode = InvalidateMode::Soft;
        self
    }

    /// Sets the origin's version from which on the keys are true.
    #[must_use]
    pub fn min_source_version(mut self, least: u64) -> Self {
        self.min_source_version = Some(least);
        self
    }

    /// Sets how far it must have got.
    #[must_use]
    pub fn ack(mut self, ack: Ack) -> Self {
        self.ack = ack;
        self
    }

    /// Sets the idempotency id.
    #[must_use]
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Says why.
    #[must_use]
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.reason = reason.into();
        self
    }

    /// Sets the W3C traceparent of what asks.
    #[must_use]
    pub fn traceparent(mut self, traceparent: impl Into<String>) -> Self {
        self.traceparent = traceparent.into();
        self
    }
}

/// What became of an invalidation.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), unstale::Error> {
/// # let cache = unstale::Cache::builder().no_sidecar().connect().await?;
/// use unstale::{Ack, Invalidate};
///
/// let what = Invalidate::default().tag("users").ack(Ack::Fleet);
/// let done = cache.invalidate(what).await?;
/// println!("{} pods obey, {} have lapsed", done.acked.len(), done.lapsed.len());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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
    /// Makes entries unreadable (or, softly, stale) everywhere.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), unstale::Error> {
    /// # let cache = unstale::Cache::builder().no_sidecar().connect().await?;
    /// use unstale::{Ack, Invalidate};
    ///
    /// let what = Invalidate::default().tag("user:7").prefix("page:").ack(Ack::Fleet);
    /// cache.invalidate(what.reason("user 7 has moved")).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// See [`Error`]; after [`Error::OutcomeUnknown`], [`Error::Unreachable`]
    /// and [`Error::DeadlineExceeded`] repeat with the same id.
    pub async fn invalidate(&self, what: Invalidate) -> Result<Invalidated, Error> {
        self.no_one_joins(&what);
        if self.has_no_sidecar() {
            return Ok(Invalidated::default());
        }
        let asking = self.asked(v1::InvalidateRequest {
            namespace: self.namespace.clone(),
            keys: what.keys,
            tags: what.tags,
            prefixes: what.prefixes,
            all: what.all.then_some(v1::All {}),
            mode: v1::InvalidateMode::from(what.mode).into(),
            min_source_version: what.min_source_version,
            ack: v1::Ack::from(what.ack).into(),
            id: what.id.unwrap_or_default(),
            reason: what.reason,
            traceparent: what.traceparent,
        });
        let call = pin!(self.lanes.call(asking));
        let answer = self.answer_acked(what.ack, call).await?;
        Ok(Invalidated {
            position: Some(answer.position).filter(|p| !p.is_empty()),
            acked: answer.acked.into_iter().map(Session::from).collect(),
            lapsed: answer.lapsed.into_iter().map(Session::from).collect(),
        })
    }

    /// Makes one key unreadable everywhere: [`Cache::invalidate`] of it, in the
    /// log when this returns.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), unstale::Error> {
    /// # let cache = unstale::Cache::builder().no_sidecar().connect().await?;
    /// cache.delete("user:7").await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// See [`Cache::invalidate`].
    pub async fn delete(&self, key: impl Into<String>) -> Result<Invalidated, Error> {
        self.invalidate(Invalidate::default().key(key)).await
    }

    /// What this process loads without a sidecar may be what is invalidated.
    fn no_one_joins(&self, what: &Invalidate) {
        let flights = &self.shared.flights;
        let keys_only = what.tags.is_empty() && what.prefixes.is_empty() && !what.all;
        match keys_only {
            true => flights.forget(&self.namespace, what.keys.iter().map(String::as_str)),
            false => flights.forget_all(&self.namespace),
        }
    }
}
