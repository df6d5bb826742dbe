//! The cache as values of one Rust type.
//!
//! What cannot be decoded is a miss, flagged: entries outlive the programs that
//! wrote them.

use crate::answer::{Answer, Degraded};
use crate::entry::{Entry, Lookup};
use crate::{Cache, Codec, CodecError, Content, Error, ReadOptions, SetOptions, SetOutcome};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::marker::PhantomData;

/// A [`Cache`] whose values are of this type; made by [`Cache::typed`]. Cheap to
/// clone.
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use unstale::{Cache, Codec, LoadOptions};
///
/// #[derive(Serialize, Deserialize)]
/// struct User {
///     name: String,
/// }
///
/// # async fn find_user(id: u32) -> Result<Option<User>, std::io::Error> {
/// #     Ok(Some(User { name: format!("user {id}") }))
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let cache = Cache::builder().no_sidecar().connect().await?;
/// let users = cache.typed::<User>(Codec::Json);
/// let user = users.get_or_load("user:7", LoadOptions::default(), || find_user(7)).await?;
/// assert_eq!(user.result.value.unwrap().name, "user 7");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Typed<T> {
    pub(crate) cache: Cache,
    pub(crate) codec: Codec,
    of: PhantomData<fn(T) -> T>,
}

impl<T> Clone for Typed<T> {
    fn clone(&self) -> Self {
        self.cache.typed(self.codec)
    }
}

/// An entry and its value, decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded<T> {
    /// The value.
    pub value: T,
    /// The entry, for its freshness, version and the rest.
    pub entry: Entry,
}

impl Cache {
    /// This cache as values of one type, written by this codec; those that
    /// another codec wrote are read as well.
    #[must_use]
    pub fn typed<T>(&self, codec: Codec) -> Typed<T> {
        Typed {
            cache: self.clone(),
            codec,
            of: PhantomData,
        }
    }
}

impl<T: Serialize + DeserializeOwned> Typed<T> {
    /// Reads one key, as [`Cache::get`] does.
    ///
    /// # Errors
    /// See [`Cache::get_with`]. What cannot be decoded is no error but a miss,
    /// flagged [`Degraded::Undecodable`] and told to
    /// [`crate::Builder::on_outage`].
    pub async fn get(&self, key: impl Into<String>) -> Result<Answer<Lookup<Decoded<T>>>, Error> {
        self.get_with(key, ReadOptions::default()).await
    }

    /// Reads one key, as [`Cache::get_with`] does.
    ///
    /// # Errors
    /// As [`Typed::get`].
    pub async fn get_with(
        &self,
        key: impl Into<String>,
        options: ReadOptions,
    ) -> Result<Answer<Lookup<Decoded<T>>>, Error> {
        let answer = self.cache.get_with(key, options).await?;
        let (mut told, lookup) = answer.split();
        let lookup = self.lookup(lookup, &mut told.degraded);
        Ok(told.map(|()| lookup))
    }

    /// Reads up to 256 keys, as [`Cache::get_many`] does.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), unstale::Error> {
    /// use unstale::{Cache, Codec};
    ///
    /// let cache = Cache::builder().no_sidecar().connect().await?;
    /// let ages = cache.typed::<u8>(Codec::Json);
    /// assert_eq!(ages.get_many(["age:1", "age:2"]).await?.result.len(), 2);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Typed::get`].
    pub async fn get_many<K: Into<String>>(
        &self,
        keys: impl IntoIterator<Item = K>,
    ) -> Result<Answer<Vec<Lookup<Decoded<T>>>>, Error> {
        let (mut told, lookups) = self.cache.get_many(keys).await?.split();
        let each = lookups.into_iter();
        let decoded = each.map(|one| self.lookup(one, &mut told.degraded));
        let lookups = decoded.collect();
        Ok(told.map(|()| lookups))
    }

    /// Writes one key, as [`Cache::set`] does: the caller claims that the value
    /// is true now.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), unstale::Error> {
    /// use unstale::{Cache, Codec};
    ///
    /// let cache = Cache::builder().no_sidecar().connect().await?;
    /// let pairs = cache.typed::<(u8, u8)>(Codec::Json);
    /// pairs.set("pair", &(1, 2)).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Codec`] when it cannot be encoded; else see
    /// [`Cache::set_with`].
    pub async fn set(
        &self,
        key: impl Into<String>,
        value: &T,
    ) -> Result<Answer<SetOutcome>, Error> {
        self.set_with(key, value, SetOptions::default()).await
    }

    /// Writes one key, as [`Cache::set_with`] does; the content type is the
    /// codec's.
    ///
    /// # Errors
    /// As [`Typed::set`].
    pub async fn set_with(
        &self,
        key: impl Into<String>,
        value: &T,
        mut options: SetOptions,
    ) -> Result<Answer<SetOutcome>, Error> {
        let value = self.codec.encode(value)?;
        options.entry.content_type = self.codec.content_type().to_owned();
        let content = Content::Value(value);
        self.cache.set_with(key, content, options).await
    }

    /// The cache behind it, for what has nothing to do with the type.
    #[must_use]
    pub fn cache(&self) -> &Cache {
        &self.cache
    }

    fn lookup(&self, lookup: Lookup, degraded: &mut Vec<Degraded>) -> Lookup<Decoded<T>> {
        match lookup {
            Lookup::Hit(entry) => match self.codec.decode_entry(&entry) {
                Ok(value) => Lookup::Hit(Decoded { value, entry }),
                Err(error) => {
                    self.undecodable(error, degraded);
                    Lookup::Miss
                }
            },
            Lookup::Negative(negative) => Lookup::Negative(negative),
            Lookup::NotModified(same) => Lookup::NotModified(same),
            Lookup::Miss => Lookup::Miss,
        }
    }

    /// Says so, once in an answer and to whoever counts them.
    fn undecodable(&self, error: CodecError, degraded: &mut Vec<Degraded>) {
        self.cache.tell(&error.into());
        if !degraded.contains(&Degraded::Undecodable) {
            degraded.push(Degraded::Undecodable);
        }
    }
}
