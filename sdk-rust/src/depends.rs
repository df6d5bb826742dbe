//! What an entry was made of: keys with which it falls.

use crate::{Entry, Negative};
use unstale_proto::v1;

/// A key of the namespace that an entry was made of. The entry falls with it:
/// an invalidation or a write that covers the key covers the entry, too.
///
/// ```
/// use unstale::{Dependency, EntryOptions};
///
/// let entry = EntryOptions::default()
///     .depends_on("user:7") // whatever is cached under it, or nothing
///     .depends_on(Dependency::from("price:3").version("f0123")); // this, or it is not stored
/// assert_eq!(entry.depends_on.len(), 2);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependency {
    /// The key.
    pub key: String,
    /// The version that the value was made of. With it the entry is stored only
    /// if the cache has exactly that version, fresh: then it depends on all that
    /// this version does. Without, on what is cached when the entry is stored.
    pub version: Option<String>,
}

impl Dependency {
    /// Sets the version that the value was made of: that of the answer with it.
    #[must_use]
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = Some(version.into());
        self
    }
}

impl From<&str> for Dependency {
    fn from(key: &str) -> Self {
        key.to_owned().into()
    }
}

impl From<String> for Dependency {
    fn from(key: String) -> Self {
        Self { key, version: None }
    }
}

/// The key and what was read under it.
impl<K: Into<String>> From<(K, &Entry)> for Dependency {
    fn from((key, entry): (K, &Entry)) -> Self {
        Self::from(key.into()).version(&entry.version)
    }
}

/// The key and what was read under it.
impl<K: Into<String>> From<(K, &Negative)> for Dependency {
    fn from((key, negative): (K, &Negative)) -> Self {
        Self::from(key.into()).version(&negative.version)
    }
}

impl From<Dependency> for v1::Dependency {
    fn from(on: Dependency) -> Self {
        Self {
            key: on.key,
            version: on.version.unwrap_or_default(),
        }
    }
}
