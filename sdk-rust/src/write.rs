//! Writes of one key, decided by the log.

use crate::answer::Answer;
use crate::options::storing;
use crate::outcome::SetOutcome;
use crate::{Cache, Content, EntryOptions, Error};
use std::pin::pin;
use unstale_proto::v1;

/// How far a write or invalidation must have got before it is answered.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), unstale::Error> {
/// # let cache = unstale::Cache::builder().no_sidecar().connect().await?;
/// use unstale::{Ack, Invalidate};
///
/// let what = Invalidate::default().key("user:7").ack(Ack::Fleet);
/// cache.invalidate(what).await?; // no pod returns the old value as fresh from now on
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ack {
    /// The pod obeys it; the log follows.
    Local,
    /// It is in the ordered log and the pod has processed it.
    #[default]
    Log,
    /// Every live pod has processed it, or its session has lapsed.
    Fleet,
}

impl From<Ack> for v1::Ack {
    fn from(ack: Ack) -> Self {
        match ack {
            Ack::Local => Self::Local,
            Ack::Log => Self::Log,
            Ack::Fleet => Self::Fleet,
        }
    }
}

/// How [`Cache::set_with`] writes.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), unstale::Error> {
/// # let cache = unstale::Cache::builder().no_sidecar().connect().await?;
/// use std::time::Duration;
/// use unstale::{EntryOptions, SetOptions};
///
/// let entry = EntryOptions::default().ttl(Duration::from_secs(60));
/// let options = SetOptions::from(entry).if_absent();
/// cache.set_with("user:7", "Ada", options).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SetOptions {
    /// How the entry is stored.
    pub entry: EntryOptions,
    /// The position held before the origin was read; when set, the write is
    /// refused if anything covered the key after it. When none, the caller
    /// claims that the value is true now. That of a read without a sidecar is
    /// empty: nothing is stored then, for nobody can judge it.
    pub position: Option<String>,
    /// Write only if nothing (or a negative entry) is cached. Not together
    /// with `position` or [`Ack::Local`].
    pub if_absent: bool,
    /// How far the write must have got.
    pub ack: Ack,
}

impl SetOptions {
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

    /// Sets how far the write must have got.
    #[must_use]
    pub fn ack(mut self, ack: Ack) -> Self {
        self.ack = ack;
        self
    }
}

impl From<EntryOptions> for SetOptions {
    fn from(entry: EntryOptions) -> Self {
        Self {
            entry,
            ..Self::default()
        }
    }
}

/// Whether the position is that of a read which the sidecar had no part in. The
/// contract would take it for the claim that the value is true now.
pub(crate) fn no_position(position: Option<&str>) -> bool {
    position.is_some_and(str::is_empty)
}

impl Cache {
    /// Writes one key, as [`Cache::set_with`] without options: the caller
    /// claims that the value is true now.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), unstale::Error> {
    /// # let cache = unstale::Cache::builder().no_sidecar().connect().await?;
    /// cache.set("user:7", "Ada").await?;
    /// cache.set("blob:7", vec![1, 2, 3]).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// See [`Cache::set_with`].
    pub async fn set(
        &self,
        key: impl Into<String>,
        content: impl Into<Content>,
    ) -> Result<Answer<SetOutcome>, Error> {
        self.set_with(key, content, SetOptions::default()).await
    }

    /// Writes one key: a value, or that the origin has none. A write that is
    /// refused is a value, never an error.
    ///
    /// ```
    /// # async fn origin() -> (&'static str, u64) { ("Ada", 7) }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), unstale::Error> {
    /// # let cache = unstale::Cache::builder().no_sidecar().connect().await?;
    /// use unstale::{EntryOptions, SetOptions};
    ///
    /// // The position comes first: whatever invalidates the key while the
    /// // origin is read makes the write a refused one.
    /// let position = cache.get("user:7").await?.position;
    /// let (name, row_version) = origin().await;
    /// let entry = EntryOptions::default().source_version(row_version);
    /// let options = SetOptions::from(entry).position(position);
    /// cache.set_with("user:7", name, options).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// See [`Error`]. After [`Error::Unreachable`],
    /// [`Error::DeadlineExceeded`] and [`Error::OutcomeUnknown`] the write may
    /// have happened.
    pub async fn set_with(
        &self,
        key: impl Into<String>,
        content: impl Into<Content>,
        options: SetOptions,
    ) -> Result<Answer<SetOutcome>, Error> {
        let (key, content) = (key.into(), content.into());
        let writing = async move || self.write(key, content, options).await;
        self.or_else(writing, SetOutcome::failed).await
    }

    async fn write(
        &self,
        key: String,
        content: Content,
        options: SetOptions,
    ) -> Result<Answer<SetOutcome>, Error> {
        self.shared.flights.forget(&self.namespace, [key.as_str()]);
        if no_position(options.position.as_deref()) {
            return Ok(Answer::away(SetOutcome::away()));
        }
        let message = storing!(
            SetRequest {
                namespace: self.namespace.clone(),
                key: key,
                position: options.position.unwrap_or_default(),
                if_absent: options.if_absent.then_some(v1::IfAbsent {}),
                ack: v1::Ack::from(options.ack).into(),
            },
            content,
            options.entry
        );
        let call = pin!(self.lanes.call(self.asked(message)));
        let answer = self.answer_acked(options.ack, call).await?;
        use v1::set_response::Result as Became;
        let result = match answer.result.ok_or(Error::Answer("Set has no result"))? {
            Became::Stored(stored) => SetOutcome::stored(stored),
            Became::NotStored(not) => SetOutcome::not_stored(not)?,
        };
        Ok(Answer::new(result, answer.position, answer.degraded))
    }

    /// Caches that the origin has nothing under the key: a negative entry.
    /// Without a ttl it lives for the namespace's `negative_ttl`.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), unstale::Error> {
    /// # let cache = unstale::Cache::builder().no_sidecar().connect().await?;
    /// use unstale::SetOptions;
    ///
    /// cache.set_not_found("user:8", SetOptions::default()).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// See [`Cache::set_with`].
    pub async fn set_not_found(
        &self,
        key: impl Into<String>,
        options: SetOptions,
    ) -> Result<Answer<SetOutcome>, Error> {
        self.set_with(key, Content::NotFound, options).await
    }
}
