//! The words of [`crate::Cache::get_or_load`]: what a loader may return, and what
//! the call gives for it.

use crate::entry::{Entry, Negative};
use crate::fill::Voided;
use crate::{Bytes, CodecError, Content, EntryOptions, Error, LoadError, Value};
use std::time::Duration;

/// What a loader found in the origin. Loaders may return anything that can be
/// made into one: bytes, text, a [`Value`], an `Option` of them (none meaning
/// [`Load::NotFound`]), or a [`Content`].
///
/// ```
/// use unstale::{Content, EntryOptions, Load};
///
/// let row = Some(("Ada", 42));
/// let load = match row {
///     None => Load::NotFound,
///     Some((name, version)) => {
///         let entry = EntryOptions::default().source_version(version);
///         Load::With(Content::from(name), entry)
///     }
/// };
/// assert_ne!(load, Load::NotFound);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Load {
    /// This value; stored as [`crate::LoadOptions::entry`] says.
    Value(Value),
    /// Nothing: cached as a negative entry for
    /// [`crate::LoadOptions::negative_ttl`].
    NotFound,
    /// This; stored as these options say in place of the call's. For what only
    /// the loader knows, such as the source version or the tags.
    With(Content, EntryOptions),
}

impl From<Content> for Load {
    fn from(content: Content) -> Self {
        match content {
            Content::Value(value) => Self::Value(value),
            Content::NotFound => Self::NotFound,
        }
    }
}

impl<V: Into<Value>> From<Option<V>> for Load {
    fn from(value: Option<V>) -> Self {
        value.map_or(Self::NotFound, |value| Self::Value(value.into()))
    }
}

/// What is a value can be loaded.
macro_rules! from_value {
    ($($source:ty),+) => {$(
        impl From<$source> for Load {
            fn from(source: $source) -> Self {
                Self::Value(source.into())
            }
        }
    )+};
}
from_value!(Value, Bytes, Vec<u8>, &[u8], String, &str);

/// What the cache or the loader had. `E` is the loader's error.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), unstale::Error> {
/// # let cache = unstale::Cache::builder().no_sidecar().connect().await?;
/// use unstale::{LoadOptions, Loaded};
///
/// let load = || async { Ok::<_, std::io::Error>("Ada") };
/// let loading = cache.get_or_load("user:7", LoadOptions::default(), load);
/// match loading.await.expect("the loader works").result {
///     Loaded::Hit(entry) => println!("cached for {:?}", entry.age),
///     Loaded::Negative(_) => println!("no such user"),
///     Loaded::Stale { because, .. } => println!("not current: {because:?}"),
///     Loaded::Filled { version, .. } => println!("loaded, stored as {version}"),
///     Loaded::NotFilled { why, .. } => println!("loaded, not stored: {why:?}"),
///     Loaded::NotEncoded(why) => println!("loaded, cannot be stored: {why}"),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub enum Loaded<E> {
    /// It was cached, perhaps by a loader this call waited for.
    Hit(Entry),
    /// It is cached that the origin has nothing.
    Negative(Negative),
    /// A stale entry, flagged: in place of waiting, or because the origin
    /// fails.
    Stale {
        /// The entry; its [`Entry::stale_reason`] says why it is not fresh.
        entry: Entry,
        /// Why nothing fresher was loaded.
        because: Because<E>,
    },
    /// This call loaded and stored it.
    Filled {
        /// The value, or that the origin has none.
        content: Content,
        /// Its version.
        version: String,
    },
    /// This call loaded it, and it has no form in its codec: only
    /// [`crate::TypedLoaded::value`] has it.
    NotEncoded(CodecError),
    /// This call loaded it, but it was not stored.
    NotFilled {
        /// The value, or that the origin has none; it may be older than the
        /// latest invalidation.
        content: Content,
        /// Why.
        why: NotFilled,
    },
}

impl<E> Loaded<E> {
    /// The value, wherever it came from; none when the origin has none.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), unstale::Error> {
    /// # let cache = unstale::Cache::builder().no_sidecar().connect().await?;
    /// use unstale::{LoadOptions, Value};
    ///
    /// let load = || async { Ok::<_, std::io::Error>("Ada") };
    /// let loading = cache.get_or_load("user:7", LoadOptions::default(), load);
    /// let loaded = loading.await.expect("the loader works").result;
    /// assert_eq!(loaded.value(), Some(&Value::from("Ada")));
    /// assert_eq!(loaded.into_value(), Some(Value::from("Ada")));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn value(&self) -> Option<&Value> {
        match self {
            Self::Hit(entry) | Self::Stale { entry, .. } => Some(&entry.value),
            Self::Negative(_) | Self::NotEncoded(_) => None,
            Self::Filled { content, .. } | Self::NotFilled { content, .. } => content.value(),
        }
    }

    /// The value, wherever it came from; none when the origin has none.
    #[must_use]
    pub fn into_value(self) -> Option<Value> {
        match self {
            Self::Hit(entry) | Self::Stale { entry, .. } => Some(entry.value),
            Self::Negative(_) | Self::NotEncoded(_) => None,
            Self::Filled { content, .. } | Self::NotFilled { content, .. } => content.into_value(),
        }
    }
}

/// Why a stale entry was given.
///
/// ```
/// use std::time::Duration;
/// use unstale::Because;
///
/// let because: Because<&str> = Because::TimedOut(Duration::from_secs(2));
/// let words = match because {
///     Because::Busy { .. } => "another caller is loading".to_owned(),
///     Because::Failed(error) => format!("the origin fails: {error}"),
///     Because::TimedOut(within) => format!("no answer within {within:?}"),
///     Because::Slow(after) => format!("no answer after {after:?}, but there may be one yet"),
/// };
/// assert_eq!(words, "no answer within 2s");
/// ```
#[derive(Debug)]
pub enum Because<E> {
    /// Another caller is loading, or nobody may for a while.
    Busy {
        /// When to ask again.
        retry_after: Duration,
    },
    /// This call's loader failed.
    Failed(E),
    /// This call's loader took longer than [`crate::LoadOptions::hard_timeout`].
    TimedOut(Duration),
    /// This call's loader takes longer than the soft timeout of
    /// [`crate::Cache::get_or_refresh`], and goes on.
    Slow(Duration),
}

/// Why there is no value, where there is nothing stale to give.
impl<E> From<Because<E>> for LoadError<E> {
    fn from(because: Because<E>) -> Self {
        match because {
            Because::Busy { retry_after } => Self::Cache(Error::Busy { retry_after }),
            Because::Failed(error) => Self::Loader(error),
            Because::TimedOut(within) | Because::Slow(within) => Self::TimedOut(within),
        }
    }
}

/// Why what was loaded was not stored.
///
/// ```
/// use unstale::{NotFilled, Voided};
///
/// fn words(why: &NotFilled) -> String {
///     match why {
///         NotFilled::Voided(Voided::Invalidated) => "it was invalidated meanwhile".to_owned(),
///         NotFilled::Voided(why) => format!("the lease was gone: {why:?}"),
///         NotFilled::Failed(error) => format!("the cache failed: {error}"),
///     }
/// }
/// let why = NotFilled::Voided(Voided::Invalidated);
/// assert_eq!(words(&why), "it was invalidated meanwhile");
/// ```
#[derive(Debug)]
pub enum NotFilled {
    /// The lease was gone.
    Voided(Voided),
    /// The fill failed; perhaps it was done.
    Failed(Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loaders_say_not_found_as_an_option_or_in_full() {
        assert_eq!(Load::from(None::<String>), Load::NotFound);
        assert_eq!(Load::from(Content::NotFound), Load::NotFound);
        assert_eq!(Load::from(Some("a")), Load::from("a"));
    }
}
