//! References to keys: counted in the whole fleet, by owner and term. While
//! anybody refers to a key no pod evicts its entry, within bounds.

use crate::answer::{proto_duration, std_duration};
use crate::cache::alone;
use crate::{Cache, Error};
use std::pin::pin;
use std::time::Duration;
use unstale_proto::v1;

/// The sidecar's default term.
pub(crate) const TERM: Duration = Duration::from_secs(30);

/// How [`Cache::retain_with`] and [`Cache::retain_as`] refer to a key.
///
/// ```
/// use std::time::Duration;
/// use unstale::RetainOptions;
///
/// let options = RetainOptions::default().term(Duration::from_secs(60)).drop_at_zero();
/// assert!(options.owner.is_none(), "a name that nobody else has");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RetainOptions {
    /// Who refers to it, 1 to 128 bytes; a name drawn at random when none.
    pub owner: Option<String>,
    /// How long the reference outlives an owner that died, 1 s to 1 h; the
    /// sidecar's default (30 s) when none.
    pub term: Option<Duration>,
    /// Whether the entry is invalidated if this is the last reference to go.
    pub drop_at_zero: bool,
}

impl RetainOptions {
    /// Sets who refers to the key. The same name is one owner.
    #[must_use]
    pub fn owner(mut self, owner: impl Into<String>) -> Self {
        self.owner = Some(owner.into());
        self
    }

    /// Sets how long the reference outlives an owner that died.
    #[must_use]
    pub fn term(mut self, term: Duration) -> Self {
        self.term = Some(term);
        self
    }

    /// The entry is invalidated if this is the last reference to go.
    #[must_use]
    pub fn drop_at_zero(mut self) -> Self {
        self.drop_at_zero = true;
        self
    }
}

/// A reference that is there.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), unstale::Error> {
/// # let cache = unstale::Cache::builder().no_sidecar().connect().await?;
/// use unstale::RetainOptions;
///
/// let reference = cache.retain_as("model:7", "worker 3", RetainOptions::default()).await?;
/// println!("{} owners, for {:?}", reference.references, reference.term);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reference {
    /// Owners that refer to the key, in the whole fleet.
    pub references: u32,
    /// How long this reference lasts unless it is renewed.
    pub term: Duration,
    /// Whether the sidecar keeps the entry in its L1.
    pub here: Pinning,
}

/// Whether a sidecar keeps an entry in its L1.
///
/// ```
/// use unstale::Pinning;
///
/// assert_eq!(Pinning::NoRoom.as_str(), "NO_ROOM");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pinning {
    /// It does.
    Pinned,
    /// It does not hold the entry, and will keep it when it comes.
    NotCached,
    /// It holds the entry, and has no room to keep it: it may be evicted.
    NoRoom,
    /// What this client does not know yet.
    Other,
}

impl Pinning {
    /// The word of the contract.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pinned => "PINNED",
            Self::NotCached => "NOT_CACHED",
            Self::NoRoom => "NO_ROOM",
            Self::Other => "OTHER",
        }
    }

    fn decode(here: Option<v1::retain_response::Here>) -> Self {
        use v1::retain_response::Here;
        match here {
            Some(Here::Pinned(_)) => Self::Pinned,
            Some(Here::NotPinned(not)) => match not.reason() {
                v1::NotPinnedReason::NotCached => Self::NotCached,
                v1::NotPinnedReason::NoRoom => Self::NoRoom,
                v1::NotPinnedReason::Unspecified => Self::Other,
            },
            None => Self::Other,
        }
    }
}

/// What became of a reference that was to end.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), unstale::Error> {
/// # let cache = unstale::Cache::builder().no_sidecar().connect().await?;
/// use unstale::Released;
///
/// match cache.release("model:7", "worker 3").await? {
///     Released::Done { references, .. } => println!("{references} left"),
///     Released::NotRetained => println!("nothing to release"),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Released {
    /// It has ended.
    Done {
        /// Owners that still refer to the key, in the whole fleet.
        references: u32,
        /// Where the entry was invalidated, because this was the last reference
        /// and its owner wanted that.
        dropped: Option<String>,
    },
    /// There was none: never, or not any more.
    NotRetained,
}

impl Cache {
    /// Refers to a key once, as this owner, or renews that. It ends with its term:
    /// [`Cache::retain`] keeps it up.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), unstale::Error> {
    /// # let cache = unstale::Cache::builder().no_sidecar().connect().await?;
    /// use unstale::RetainOptions;
    ///
    /// let options = RetainOptions::default();
    /// let reference = cache.retain_as("model:7", "worker 3", options).await?;
    /// assert_eq!(reference.references, 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// See [`Error`]; a failure is told under every policy. Repeating the call does
    /// no harm.
    pub async fn retain_as(
        &self,
        key: impl Into<String>,
        owner: impl Into<String>,
        options: RetainOptions,
    ) -> Result<Reference, Error> {
        if self.has_no_sidecar() {
            return Ok(Reference {
                references: 1,
                term: options.term.unwrap_or(TERM),
                here: Pinning::NotCached,
            });
        }
        let request = self.request(v1::RetainRequest {
            namespace: self.namespace.clone(),
            key: key.into(),
            owner: owner.into(),
            term: options.term.map(proto_duration),
            drop_at_zero: options.drop_at_zero.then_some(v1::DropAtZero {}),
        });
        let mut client = self.client();
        let answer = self.answer(pin!(alone(client.retain(request)))).await?;
        Ok(Reference {
            references: answer.references,
            term: std_duration(answer.term),
            here: Pinning::decode(answer.here),
        })
    }

    /// Ends an owner's reference to a key.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), unstale::Error> {
    /// # let cache = unstale::Cache::builder().no_sidecar().connect().await?;
    /// let released = cache.release("model:7", "worker 3").await?;
    /// assert_eq!(released, unstale::Released::NotRetained);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// See [`Error`]; a failure is told under every policy: the reference then ends
    /// with its term. That there was none is a value.
    pub async fn release(
        &self,
        key: impl Into<String>,
        owner: impl Into<String>,
    ) -> Result<Released, Error> {
        if self.has_no_sidecar() {
            return Ok(Released::NotRetained);
        }
        let request = self.request(v1::ReleaseRequest {
            namespace: self.namespace.clone(),
            key: key.into(),
            owner: owner.into(),
        });
        let mut client = self.client();
        let answer = self.answer(pin!(alone(client.release(request)))).await?;
        use v1::release_response::Result as Became;
        let result = answer
            .result
            .ok_or(Error::Answer("Release has no result"))?;
        Ok(match result {
            Became::NotRetained(_) => Released::NotRetained,
            Became::Released(done) => Released::Done {
                references: done.references.unwrap_or_default(),
                dropped: Some(done.dropped_position).filter(|p| !p.is_empty()),
            },
        })
    }
}
