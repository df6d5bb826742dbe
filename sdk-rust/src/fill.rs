//! What the holder of a lease does with it: prolong it, complete it, or give
//! it back.

use crate::answer::{Answer, proto_duration, std_duration};
use crate::lease::TERM;
use crate::options::storing;
use crate::outcome::least;
use crate::{Cache, Content, EntryOptions, Error};
use std::pin::pin;
use std::time::Duration;
use unstale_proto::v1;

/// What became of a renewal.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), unstale::Error> {
/// # let cache = unstale::Cache::builder().no_sidecar().connect().await?;
/// use unstale::Renewal;
///
/// match cache.renew("a token").await? {
///     Renewal::Renewed { term } => println!("another {term:?}"),
///     Renewal::Voided(why) => println!("gone: {why:?}"),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// The lease lasts for another term.
    Renewed {
        /// How long from now.
        term: Duration,
    },
    /// The lease is gone; a fill would be refused.
    Voided(Voided),
}

/// What became of a fill.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), unstale::Error> {
/// # let cache = unstale::Cache::builder().no_sidecar().connect().await?;
/// use unstale::{EntryOptions, Filled};
///
/// match cache.fill("a token", "Ada", EntryOptions::default()).await?.result {
///     Filled::Stored { version } => println!("stored as {version}"),
///     Filled::Voided(why) => println!("not stored: {why:?}"),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filled {
    /// Stored.
    Stored {
        /// The version.
        version: String,
    },
    /// The lease was gone; nothing was stored.
    Voided(Voided),
}

/// Why a lease was voided.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), unstale::Error> {
/// # let cache = unstale::Cache::builder().no_sidecar().connect().await?;
/// use unstale::{EntryOptions, Filled, Voided};
///
/// let filled = cache.fill("a token", "Ada", EntryOptions::default()).await?;
/// if filled.result == Filled::Voided(Voided::Invalidated) {
///     println!("what was read is older than the invalidation");
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Voided {
    /// An invalidation or write covered the key after the grant.
    Invalidated,
    /// The term passed and another loader took over, or the grant was used.
    Expired,
    /// A higher source version of the key is known: the origin that was read
    /// lags.
    OlderSourceVersion {
        /// The least source version that is accepted.
        min_source_version: u64,
    },
    /// What the value was made of is not cached in that version, is not fresh,
    /// or cannot be looked up now.
    DependencyChanged,
    /// Directly and through others the entry depends on more than an entry may.
    TooManyDependencies,
    /// A reason this client does not know yet.
    Other,
}

impl Voided {
    fn decode(voided: v1::Voided) -> Result<Self, Error> {
        Ok(match voided.reason() {
            v1::VoidedReason::Invalidated => Self::Invalidated,
            v1::VoidedReason::Expired => Self::Expired,
            v1::VoidedReason::OlderSourceVersion => Self::OlderSourceVersion {
                min_source_version: least(voided.min_source_version)?,
            },
            v1::VoidedReason::DependencyChanged => Self::DependencyChanged,
            v1::VoidedReason::TooManyDependencies => Self::TooManyDependencies,
            v1::VoidedReason::Unspecified => Self::Other,
        })
    }
}

/// How [`Cache::abandon_with`] gives a lease back.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), unstale::Error> {
/// # let cache = unstale::Cache::builder().no_sidecar().connect().await?;
/// use std::time::Duration;
/// use unstale::AbandonOptions;
///
/// let minute = Duration::from_secs(60);
/// let rest = AbandonOptions::default().serve_stale_for(10 * minute).retry_after(minute);
/// cache.abandon_with("a token", rest).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AbandonOptions {
    /// Fail-safe: the stale entry, if there is one, may be served for this much
    /// longer from now; none: not longer than its `stale_for` said.
    pub serve_stale_for: Option<Duration>,
    /// Nobody is granted the key's lease before this has passed (100 ms to
    /// 5 min); none: at once, or after 1 s with `serve_stale_for`.
    pub retry_after: Option<Duration>,
}

impl AbandonOptions {
    /// Sets how much longer the stale entry may be served.
    #[must_use]
    pub fn serve_stale_for(mut self, serve_stale_for: Duration) -> Self {
        self.serve_stale_for = Some(serve_stale_for);
        self
    }

    /// Sets how long nobody is granted the lease.
    #[must_use]
    pub fn retry_after(mut self, retry_after: Duration) -> Self {
        self.retry_after = Some(retry_after);
        self
    }
}

impl Cache {
    /// Prolongs a lease while its holder works.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), unstale::Error> {
    /// # let cache = unstale::Cache::builder().no_sidecar().connect().await?;
    /// use unstale::Leased;
    ///
    /// if let Leased::Granted(grant) = cache.lease("report").await?.result {
    ///     cache.renew(&grant.token).await?; // well before grant.term has passed
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// See [`Error`]; [`Error::UnknownLease`] for a token of another sidecar.
    /// A renewal that is dropped may have happened.
    pub async fn renew(&self, token: &str) -> Result<Renewal, Error> {
        if self.has_no_sidecar() {
            return Ok(Renewal::Renewed { term: TERM });
        }
        let asking = self.asked(v1::RenewRequest {
            lease_token: token.to_owned(),
        });
        let answer = self.answer(pin!(self.lanes.call(asking))).await?;
        use v1::renew_response::Result as Became;
        Ok(
            match answer.result.ok_or(Error::Answer("Renew has no result"))? {
                Became::Renewed(renewed) => Renewal::Renewed {
                    term: std_duration(renewed.term),
                },
                Became::Voided(voided) => Renewal::Voided(Voided::decode(voided)?),
            },
        )
    }

    /// Completes a lease with what was loaded: a value, or that the origin has
    /// none ([`Content::NotFound`]).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), unstale::Error> {
    /// # let cache = unstale::Cache::builder().no_sidecar().connect().await?;
    /// use unstale::{EntryOptions, Leased};
    ///
    /// if let Leased::Granted(grant) = cache.lease("user:7").await?.result {
    ///     let name = "Ada"; // read the origin here
    ///     cache.fill(&grant.token, name, EntryOptions::default()).await?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// See [`Error`]. A voided lease is a value. After [`Error::Unreachable`],
    /// [`Error::DeadlineExceeded`] and [`Error::OutcomeUnknown`] the fill may
    /// have happened; repeating it does no harm.
    pub async fn fill(
        &self,
        token: &str,
        content: impl Into<Content>,
        entry: EntryOptions,
    ) -> Result<Answer<Filled>, Error> {
        if self.has_no_sidecar() {
            return Ok(Answer::away(Filled::Voided(Voided::Other)));
        }
        let lease_token = token.to_owned();
        let message = storing!(
            FillRequest {
                lease_token: lease_token
            },
            content.into(),
            entry
        );
        let asking = self.asked(message);
        let answer = self.answer(pin!(self.lanes.call(asking))).await?;
        use v1::fill_response::Result as Became;
        let result = match answer.result.ok_or(Error::Answer("Fill has no result"))? {
            Became::Stored(v1::Stored { version }) => Filled::Stored { version },
            Became::Voided(voided) => Filled::Voided(Voided::decode(voided)?),
        };
        Ok(Answer::new(result, answer.position, answer.degraded))
    }

    /// Gives a lease back: the next caller loads.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), unstale::Error> {
    /// # let cache = unstale::Cache::builder().no_sidecar().connect().await?;
    /// use unstale::Leased;
    ///
    /// if let Leased::Granted(grant) = cache.lease("user:7").await?.result {
    ///     cache.abandon(&grant.token).await?; // the origin failed
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn abandon(&self, token: &str) -> Result<(), Error> {
        self.abandon_with(token, AbandonOptions::default()).await
    }

    /// Gives a lease back because the origin fails: what is stale may be served
    /// for longer, and nobody asks the origin for a while.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), unstale::Error> {
    /// # let cache = unstale::Cache::builder().no_sidecar().connect().await?;
    /// use std::time::Duration;
    /// use unstale::{AbandonOptions, Leased};
    ///
    /// if let Leased::Granted(grant) = cache.lease("user:7").await?.result {
    ///     let rest = AbandonOptions::default().retry_after(Duration::from_secs(5));
    ///     cache.abandon_with(&grant.token, rest).await?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn abandon_with(&self, token: &str, options: AbandonOptions) -> Result<(), Error> {
        if self.has_no_sidecar() {
            return Ok(());
        }
        let asking = self.asked(v1::AbandonRequest {
            lease_token: token.to_owned(),
            serve_stale_for: options.serve_stale_for.map(proto_duration),
            retry_after: options.retry_after.map(proto_duration),
        });
        self.answer(pin!(self.lanes.call(asking))).await?;
        Ok(())
    }
}
