//! Reads: one key or many, and how current the answer has to be.

use crate::answer::{Answer, proto_duration};
use crate::entry::{Entry, Lookup, Negative, NotModified};
use crate::{Cache, Error, Violation};
use std::pin::pin;
use std::time::Duration;
use unstale_proto::v1;

/// How current an answer has to be.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), unstale::Error> {
/// # let cache = unstale::Cache::builder().no_sidecar().connect().await?;
/// use unstale::{ReadLevel, ReadOptions};
///
/// let now = ReadOptions::default().level(ReadLevel::Strong);
/// cache.get_with("balance:7", now).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReadLevel {
    /// Coherent within the fleet's staleness bound; milliseconds without
    /// faults.
    #[default]
    Bounded,
    /// As of now: reflects everything that was in the log when the call
    /// arrived. Costs a round trip to the log.
    Strong,
    /// A stale entry, flagged, is better than none.
    StaleOk,
}

impl From<ReadLevel> for v1::ReadLevel {
    fn from(level: ReadLevel) -> Self {
        match level {
            ReadLevel::Bounded => Self::Bounded,
            ReadLevel::Strong => Self::Strong,
            ReadLevel::StaleOk => Self::StaleOk,
        }
    }
}

/// How [`Cache::get_with`] and [`Cache::get_many_with`] read.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), unstale::Error> {
/// # let cache = unstale::Cache::builder().no_sidecar().connect().await?;
/// use std::time::Duration;
/// use unstale::ReadOptions;
///
/// let recent = ReadOptions::default().max_staleness(Duration::from_millis(100));
/// cache.get_with("user:7", recent).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadOptions {
    /// How current the answer has to be.
    pub level: ReadLevel,
    /// With [`ReadLevel::Bounded`]: the pod must have heard from the log within
    /// this time; else it asks first.
    pub max_staleness: Option<Duration>,
    /// The answer reflects everything up to this position (of any pod's
    /// answer), or the call fails with [`Error::DeadlineExceeded`]. When none,
    /// that of [`Cache::after`].
    pub min_position: Option<String>,
    /// The etag of what the caller holds: equal content is answered with
    /// [`Lookup::NotModified`]. One key only.
    pub if_none_match: Option<String>,
}

impl ReadOptions {
    /// Sets how current the answer has to be.
    #[must_use]
    pub fn level(mut self, level: ReadLevel) -> Self {
        self.level = level;
        self
    }

    /// Sets how long ago the pod may have heard from the log.
    #[must_use]
    pub fn max_staleness(mut self, max_staleness: Duration) -> Self {
        self.max_staleness = Some(max_staleness);
        self
    }

    /// Sets the position that the answer must reflect.
    #[must_use]
    pub fn min_position(mut self, position: impl Into<String>) -> Self {
        self.min_position = Some(position.into());
        self
    }

    /// Sets the etag of what the caller holds.
    #[must_use]
    pub fn if_none_match(mut self, etag: impl Into<String>) -> Self {
        self.if_none_match = Some(etag.into());
        self
    }
}

impl Cache {
    /// Reads one key, as [`Cache::get_with`] without options.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), unstale::Error> {
    /// # let cache = unstale::Cache::builder().no_sidecar().connect().await?;
    /// use unstale::Lookup;
    ///
    /// let answer = cache.get("user:7").await?;
    /// assert_eq!(answer.result, Lookup::Miss);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn get(&self, key: impl Into<String>) -> Result<Answer<Lookup>, Error> {
        self.get_with(key, ReadOptions::default()).await
    }

    /// Reads one key. A miss is a value, never an error.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), unstale::Error> {
    /// # let cache = unstale::Cache::builder().no_sidecar().connect().await?;
    /// # let etag = "an-etag";
    /// use unstale::{Lookup, ReadOptions};
    ///
    /// let held = ReadOptions::default().if_none_match(etag);
    /// match cache.get_with("page", held).await?.result {
    ///     Lookup::Hit(entry) => println!("{} bytes", entry.value.as_bytes().len()),
    ///     Lookup::NotModified(_) => println!("as it was"),
    ///     Lookup::Negative(_) => println!("there is no such page"),
    ///     Lookup::Miss => println!("not cached"),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// See [`Error`]; [`Error::DeadlineExceeded`] with `POSITION_NOT_REACHED`
    /// when the pod lags behind `min_position`.
    pub async fn get_with(
        &self,
        key: impl Into<String>,
        options: ReadOptions,
    ) -> Result<Answer<Lookup>, Error> {
        let key = key.into();
        let reading = async move || self.read(key, options).await;
        self.or_else(reading, |_| Lookup::Miss).await
    }

    async fn read(&self, key: String, options: ReadOptions) -> Result<Answer<Lookup>, Error> {
        let asking = self.asked(v1::GetRequest {
            namespace: self.namespace.clone(),
            key,
            min_position: self.min_position(options.min_position),
            level: v1::ReadLevel::from(options.level).into(),
            max_staleness: options.max_staleness.map(proto_duration),
            if_none_match: options.if_none_match.unwrap_or_default(),
        });
        let answer = self.answer(pin!(self.lanes.call(asking))).await?;
        use v1::get_response::Result as Found;
        let result = match answer.result.ok_or(Error::Answer("Get has no result"))? {
            Found::Found(entry) => Lookup::Hit(Entry::decode(entry)?),
            Found::Negative(negative) => Lookup::Negative(Negative::decode(negative)?),
            Found::NotModified(same) => Lookup::NotModified(NotModified::decode(same)?),
            Found::Missing(v1::Missing {}) => Lookup::Miss,
        };
        Ok(Answer::new(result, answer.position, answer.degraded))
    }

    /// Reads up to 256 keys, as [`Cache::get_many_with`] without options.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), unstale::Error> {
    /// # let cache = unstale::Cache::builder().no_sidecar().connect().await?;
    /// let answer = cache.get_many(["user:7", "user:8"]).await?;
    /// assert_eq!(answer.result.len(), 2);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn get_many<K: Into<String>>(
        &self,
        keys: impl IntoIterator<Item = K>,
    ) -> Result<Answer<Vec<Lookup>>, Error> {
        self.get_many_with(keys, ReadOptions::default()).await
    }

    /// Reads up to 256 keys; one result per key, in the order of the keys.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), unstale::Error> {
    /// # let cache = unstale::Cache::builder().no_sidecar().connect().await?;
    /// use unstale::{ReadLevel, ReadOptions};
    ///
    /// let stale_ok = ReadOptions::default().level(ReadLevel::StaleOk);
    /// let answer = cache.get_many_with(["user:7", "user:8"], stale_ok).await?;
    /// assert_eq!(answer.result.len(), 2);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// See [`Error`]; [`Error::Invalid`] with `if_none_match`, which is of one
    /// key.
    pub async fn get_many_with<K: Into<String>>(
        &self,
        keys: impl IntoIterator<Item = K>,
        options: ReadOptions,
    ) -> Result<Answer<Vec<Lookup>>, Error> {
        if options.if_none_match.is_some() {
            return Err(conditional_batch());
        }
        let keys: Vec<String> = keys.into_iter().map(Into::into).collect();
        let asked = keys.len();
        let reading = async move || self.read_many(keys, options).await;
        self.or_else(reading, |_| vec![Lookup::Miss; asked]).await
    }

    async fn read_many(
        &self,
        keys: Vec<String>,
        options: ReadOptions,
    ) -> Result<Answer<Vec<Lookup>>, Error> {
        let asked = keys.len();
        let asking = self.asked(v1::BatchGetRequest {
            namespace: self.namespace.clone(),
            keys,
            min_position: self.min_position(options.min_position),
            level: v1::ReadLevel::from(options.level).into(),
            max_staleness: options.max_staleness.map(proto_duration),
        });
        let answer = self.answer(pin!(self.lanes.call(asking))).await?;
        if answer.results.len() != asked {
            return Err(Error::Answer("BatchGet has not one result per key"));
        }
        let each = answer.results.into_iter().map(one_of_many);
        let results = each.collect::<Result<_, _>>()?;
        Ok(Answer::new(results, answer.position, answer.degraded))
    }
}

fn one_of_many(result: v1::BatchGetResult) -> Result<Lookup, Error> {
    use v1::batch_get_result::Result as Found;
    let result = result.result;
    Ok(
        match result.ok_or(Error::Answer("a BatchGet result is empty"))? {
            Found::Found(entry) => Lookup::Hit(Entry::decode(entry)?),
            Found::Negative(negative) => Lookup::Negative(Negative::decode(negative)?),
            Found::Missing(v1::Missing {}) => Lookup::Miss,
        },
    )
}

fn conditional_batch() -> Error {
    let description = "is of one key: a batch has no condition";
    Error::Invalid {
        reason: "INVALID_REQUEST".to_owned(),
        message: format!("if_none_match {description}"),
        violations: vec![Violation {
            field: "if_none_match".to_owned(),
            description: description.to_owned(),
        }],
    }
}
