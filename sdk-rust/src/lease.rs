//! Leases: a value, or the right to load it. [`Cache::get_or_load`] puts the
//! calls together.

use crate::answer::{Answer, proto_duration, std_duration};
use crate::asking::Asking;
use crate::entry::{Entry, Negative};
use crate::{Cache, Error};
use std::pin::pin;
use std::time::Duration;
use unstale_proto::v1;

/// The sidecar's default term.
pub(crate) const TERM: Duration = Duration::from_secs(10);

/// How [`Cache::lease_with`] and [`Cache::lease_many`] ask.
///
/// ```
/// use std::time::Duration;
/// use unstale::LeaseOptions;
///
/// let patient = LeaseOptions::default().wait(Duration::from_secs(10));
/// assert!(patient.term.is_none(), "the sidecar's default");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeaseOptions {
    /// How long a lease lasts unless it is renewed, 100 ms to 5 min; the
    /// sidecar's default (10 s) when none.
    pub term: Option<Duration>,
    /// How long another caller's load may be waited for; not at all by default.
    /// Nobody waits who can be given a stale entry.
    pub wait: Duration,
    /// As in [`crate::ReadOptions`].
    pub min_position: Option<String>,
}

impl LeaseOptions {
    /// Sets how long a lease lasts unless it is renewed.
    #[must_use]
    pub fn term(mut self, term: Duration) -> Self {
        self.term = Some(term);
        self
    }

    /// Sets how long another caller's load may be waited for.
    #[must_use]
    pub fn wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    /// Sets the position that the answer must reflect.
    #[must_use]
    pub fn min_position(mut self, position: impl Into<String>) -> Self {
        self.min_position = Some(position.into());
        self
    }
}

/// A value, the right to load it, or neither.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), unstale::Error> {
/// # let cache = unstale::Cache::builder().no_sidecar().connect().await?;
/// use unstale::Leased;
///
/// match cache.lease("user:7").await?.result {
///     Leased::Hit(entry) => println!("{:?}", entry.value),
///     Leased::Negative(_) => println!("no such user"),
///     Leased::Granted(grant) => println!("mine for {:?}", grant.term),
///     Leased::Busy { retry_after, .. } => println!("ask again in {retry_after:?}"),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leased {
    /// The entry is cached.
    Hit(Entry),
    /// The origin is known to have nothing under the key.
    Negative(Negative),
    /// The caller is the loader.
    Granted(Grant),
    /// Another caller is the loader, or nobody may be for a while.
    Busy {
        /// When to ask again.
        retry_after: Duration,
        /// What may be served until then, flagged.
        stale: Option<Entry>,
    },
}

/// The right to load one key: read the origin now, then fill or abandon.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), unstale::Error> {
/// # let cache = unstale::Cache::builder().no_sidecar().connect().await?;
/// use unstale::Leased;
///
/// if let Leased::Granted(grant) = cache.lease("user:7").await?.result {
///     println!("something to show meanwhile: {}", grant.stale.is_some());
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Grant {
    /// Names the grant; opaque, and of this sidecar only.
    pub token: String,
    /// How long it lasts unless it is renewed.
    pub term: Duration,
    /// What may be served while it is loaded, flagged.
    pub stale: Option<Entry>,
}

impl Grant {
    fn decode(granted: v1::Granted) -> Result<Self, Error> {
        Ok(Self {
            token: granted.lease_token,
            term: std_duration(granted.term),
            stale: granted.stale.map(Entry::decode).transpose()?,
        })
    }
}

impl Cache {
    /// Reads one key, or obtains the right to load it, without a wait.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), unstale::Error> {
    /// # let cache = unstale::Cache::builder().no_sidecar().connect().await?;
    /// let leased = cache.lease("user:7").await?.result;
    /// assert!(matches!(leased, unstale::Leased::Granted(_)));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// See [`Cache::lease_with`].
    pub async fn lease(&self, key: impl Into<String>) -> Result<Answer<Leased>, Error> {
        self.lease_with(key, LeaseOptions::default()).await
    }

    /// Reads one key, or obtains the right to load it: one loader per key in
    /// the whole fleet.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), unstale::Error> {
    /// # let cache = unstale::Cache::builder().no_sidecar().connect().await?;
    /// use std::time::Duration;
    /// use unstale::LeaseOptions;
    ///
    /// let options = LeaseOptions::default().term(Duration::from_secs(60));
    /// let leased = cache.lease_with("report", options).await?;
    /// # let _ = leased;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// See [`Error`]. When dropped, a grant that was on its way goes back.
    pub async fn lease_with(
        &self,
        key: impl Into<String>,
        options: LeaseOptions,
    ) -> Result<Answer<Leased>, Error> {
        if self.has_no_sidecar() {
            return Ok(Answer::away(without_a_sidecar(&options)));
        }
        let wait = options.wait;
        let message = v1::LeaseRequest {
            namespace: self.namespace.clone(),
            key: key.into(),
            term: options.term.map(proto_duration),
            wait: (!wait.is_zero()).then(|| proto_duration(wait)),
            min_position: self.min_position(options.min_position),
        };
        let (lanes, asked_for) = (self.lanes.clone(), self.asked_after(message, wait));
        let asking = pin!(Asking::new(
            self,
            async move { lanes.call(asked_for).await }
        ));
        let answer = self.answer_after(wait, asking).await?;
        use v1::lease_response::Result as Got;
        let result = match answer.result.ok_or(Error::Answer("Lease has no result"))? {
            Got::Hit(entry) => Leased::Hit(Entry::decode(entry)?),
            Got::Negative(negative) => Leased::Negative(Negative::decode(negative)?),
            Got::Granted(granted) => Leased::Granted(Grant::decode(granted)?),
            Got::Busy(busy) => decode_busy(busy)?,
        };
        Ok(Answer::new(result, answer.position, answer.degraded))
    }

    /// [`Cache::lease_with`] for up to 256 keys, each once: one result per key,
    /// in order, and a token of its own for every grant.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), unstale::Error> {
    /// # let cache = unstale::Cache::builder().no_sidecar().connect().await?;
    /// use unstale::{EntryOptions, LeaseOptions, Leased};
    ///
    /// let keys = ["user:1", "user:2"];
    /// let leased = cache.lease_many(keys, LeaseOptions::default()).await?;
    /// for (key, leased) in keys.iter().zip(leased.result) {
    ///     if let Leased::Granted(grant) = leased {
    ///         let name = format!("the name of {key}"); // read the origin here
    ///         cache.fill(&grant.token, name, EntryOptions::default()).await?;
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// See [`Error`]. When dropped, grants that were on their way go back.
    pub async fn lease_many<K: Into<String>>(
        &self,
        keys: impl IntoIterator<Item = K>,
        options: LeaseOptions,
    ) -> Result<Answer<Vec<Leased>>, Error> {
        let keys: Vec<String> = keys.into_iter().map(Into::into).collect();
        if self.has_no_sidecar() {
            let each = keys.iter().map(|_| without_a_sidecar(&options));
            return Ok(Answer::away(each.collect()));
        }
        let (asked, wait) = (keys.len(), options.wait);
        let message = v1::BatchLeaseRequest {
            namespace: self.namespace.clone(),
            keys,
            term: options.term.map(proto_duration),
            wait: (!wait.is_zero()).then(|| proto_duration(wait)),
            min_position: self.min_position(options.min_position),
        };
        let (lanes, asked_for) = (self.lanes.clone(), self.asked_after(message, wait));
        let asking = pin!(Asking::new(
            self,
            async move { lanes.call(asked_for).await }
        ));
        let answer = self.answer_after(wait, asking).await?;
        if answer.results.len() != asked {
            return Err(Error::Answer("BatchLease has not one result per key"));
        }
        let each = answer.results.into_iter().map(one_of_many);
        let results = each.collect::<Result<_, _>>()?;
        Ok(Answer::new(results, answer.position, answer.degraded))
    }
}

/// Nothing is cached, and nobody else loads.
fn without_a_sidecar(options: &LeaseOptions) -> Leased {
    Leased::Granted(Grant {
        token: "no sidecar".to_owned(),
        term: options.term.unwrap_or(TERM),
        stale: None,
    })
}

fn one_of_many(result: v1::BatchLeaseResult) -> Result<Leased, Error> {
    use v1::batch_lease_result::Result as Got;
    let result = result.result;
    Ok(
        match result.ok_or(Error::Answer("a BatchLease result is empty"))? {
            Got::Hit(entry) => Leased::Hit(Entry::decode(entry)?),
            Got::Negative(negative) => Leased::Negative(Negative::decode(negative)?),
            Got::Granted(granted) => Leased::Granted(Grant::decode(granted)?),
            Got::Busy(busy) => decode_busy(busy)?,
        },
    )
}

fn decode_busy(busy: v1::Busy) -> Result<Leased, Error> {
    Ok(Leased::Busy {
        retry_after: std_duration(busy.retry_after),
        stale: busy.stale.map(Entry::decode).transpose()?,
    })
}
