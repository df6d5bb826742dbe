//! Entries as the cache returns them, and what a read found.
//!
//! An answer that lacks what the contract promises is an error, never a guess:
//! an entry is called fresh only if the sidecar called it so.

use crate::answer::std_duration;
use crate::freshness::{Freshness, StaleReason, Tier};
use crate::{Error, Value};
use std::time::Duration;
use unstale_proto::v1;

/// An entry as the cache returned it.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), unstale::Error> {
/// # let cache = unstale::Cache::builder().no_sidecar().connect().await?;
/// use unstale::Lookup;
///
/// if let Lookup::Hit(entry) = cache.get("user:7").await?.result {
///     println!("{} bytes, {:?} old, {:?} left", entry.value.as_bytes().len(), entry.age, entry.ttl_left);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// The value, in the form in which it was stored.
    pub value: Value,
    /// What the value is; empty when the writer gave nothing.
    pub content_type: String,
    /// Opaque version, for [`crate::Expected::Version`].
    pub version: String,
    /// Hash of the content (value, form, content type), for
    /// [`crate::ReadOptions::if_none_match`] and [`crate::Expected::Etag`].
    pub etag: String,
    /// The origin's version of the value; none when the writer gave none.
    pub source_version: Option<u64>,
    /// The tags it was stored with.
    pub tags: Vec<String>,
    /// Which tier answered.
    pub tier: Tier,
    /// Whether it may be treated as current.
    pub freshness: Freshness,
    /// Why it may not be treated as current; none when it may.
    pub stale_reason: Option<StaleReason>,
    /// Time since it was stored, in log time.
    pub age: Duration,
    /// Time until it expires, in log time; zero once it has.
    pub ttl_left: Duration,
    /// How long it may still be served stale, `ttl_left` included.
    pub stale_left: Duration,
}

impl Entry {
    pub(crate) fn decode(entry: v1::Entry) -> Result<Self, Error> {
        let tier = Tier::decode(entry.tier);
        let freshness = Freshness::decode(entry.freshness)?;
        let stale_reason = StaleReason::decode(freshness, entry.stale_reason());
        let value = match entry.value.ok_or(Error::Answer("an entry has no value"))? {
            v1::entry::Value::Data(data) => Value::Data(data),
            v1::entry::Value::Text(text) => Value::Text(text),
        };
        Ok(Self {
            value,
            tier,
            freshness,
            stale_reason,
            content_type: entry.content_type,
            version: entry.version,
            etag: entry.etag,
            source_version: entry.source_version,
            tags: entry.tags,
            age: std_duration(entry.age),
            ttl_left: std_duration(entry.ttl_left),
            stale_left: std_duration(entry.stale_left),
        })
    }
}

/// The origin is known to have nothing under the key: an entry of its own,
/// judged and invalidated like any other.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), unstale::Error> {
/// # let cache = unstale::Cache::builder().no_sidecar().connect().await?;
/// use unstale::Lookup;
///
/// if let Lookup::Negative(negative) = cache.get("user:7").await?.result {
///     println!("no such user, known for {:?}", negative.age);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Negative {
    /// Opaque version, for [`crate::Expected::Version`].
    pub version: String,
    /// The origin's version at which it had nothing; none when not given.
    pub source_version: Option<u64>,
    /// The tags it was stored with.
    pub tags: Vec<String>,
    /// Which tier answered.
    pub tier: Tier,
    /// Whether it may be treated as current.
    pub freshness: Freshness,
    /// Why it may not be treated as current; none when it may.
    pub stale_reason: Option<StaleReason>,
    /// Time since it was stored, in log time.
    pub age: Duration,
    /// Time until it expires, in log time; zero once it has.
    pub ttl_left: Duration,
}

impl Negative {
    pub(crate) fn decode(negative: v1::Negative) -> Result<Self, Error> {
        let freshness = Freshness::decode(negative.freshness)?;
        Ok(Self {
            tier: Tier::decode(negative.tier),
            freshness,
            stale_reason: StaleReason::decode(freshness, negative.stale_reason()),
            version: negative.version,
            source_version: negative.source_version,
            tags: negative.tags,
            age: std_duration(negative.age),
            ttl_left: std_duration(negative.ttl_left),
        })
    }
}

/// What the caller holds ([`crate::ReadOptions::if_none_match`]) is the content
/// that is cached.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), unstale::Error> {
/// # let cache = unstale::Cache::builder().no_sidecar().connect().await?;
/// use unstale::{Lookup, ReadOptions};
///
/// let held = ReadOptions::default().if_none_match("the etag of what I hold");
/// if let Lookup::NotModified(same) = cache.get_with("page", held).await?.result {
///     println!("still {}", same.etag);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NotModified {
    /// The content's hash, as the caller gave it.
    pub etag: String,
    /// Opaque version of the cached entry; it may be newer than the one held.
    pub version: String,
    /// Which tier answered.
    pub tier: Tier,
    /// Whether it may be treated as current.
    pub freshness: Freshness,
    /// Why it may not be treated as current; none when it may.
    pub stale_reason: Option<StaleReason>,
    /// Time since it was stored, in log time.
    pub age: Duration,
    /// Time until it expires, in log time; zero once it has.
    pub ttl_left: Duration,
}

impl NotModified {
    pub(crate) fn decode(same: v1::NotModified) -> Result<Self, Error> {
        let freshness = Freshness::decode(same.freshness)?;
        Ok(Self {
            tier: Tier::decode(same.tier),
            freshness,
            stale_reason: StaleReason::decode(freshness, same.stale_reason()),
            etag: same.etag,
            version: same.version,
            age: std_duration(same.age),
            ttl_left: std_duration(same.ttl_left),
        })
    }
}

/// What a read found: an [`Entry`], or of [`crate::Typed`] a
/// [`crate::Decoded`] one.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), unstale::Error> {
/// use unstale::{Cache, Freshness, Lookup};
///
/// let cache = Cache::builder().no_sidecar().connect().await?;
/// match cache.get("user:7").await?.result {
///     Lookup::Hit(entry) => assert_eq!(entry.freshness, Freshness::Fresh),
///     Lookup::Negative(_) => println!("there is no such user"),
///     Lookup::NotModified(_) => println!("only when if_none_match was given"),
///     Lookup::Miss => println!("not cached"),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup<E = Entry> {
    /// The entry. Look at its freshness when stale ones were allowed.
    Hit(E),
    /// The origin is known to have nothing under the key.
    Negative(Negative),
    /// What the caller holds is the content that is cached.
    NotModified(NotModified),
    /// Nothing that may be served.
    Miss,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn negative(freshness: v1::Freshness, reason: i32) -> v1::Negative {
        v1::Negative {
            tier: v1::Tier::L1.into(),
            freshness: freshness.into(),
            stale_reason: reason,
            ..v1::Negative::default()
        }
    }

    #[test]
    fn what_is_stale_always_has_a_reason_and_what_is_fresh_none() {
        let fresh = Negative::decode(negative(v1::Freshness::Fresh, 0)).unwrap();
        assert_eq!(fresh.stale_reason, None);
        let expired = Negative::decode(negative(v1::Freshness::Stale, 1)).unwrap();
        assert_eq!(expired.stale_reason, Some(StaleReason::Expired));
        // A newer sidecar's reason.
        let unknown = Negative::decode(negative(v1::Freshness::Stale, 99)).unwrap();
        assert_eq!(unknown.stale_reason, Some(StaleReason::Other));
        let unsaid = Negative::decode(negative(v1::Freshness::Unspecified, 0));
        assert!(matches!(unsaid, Err(Error::Answer(_))), "{unsaid:?}");
    }

    #[test]
    fn what_is_not_known_is_not_current_and_hides_no_entry() {
        let told = v1::Negative {
            tier: 99,
            freshness: 99,
            ..v1::Negative::default()
        };
        let found = Negative::decode(told).unwrap();
        assert_eq!(found.tier, Tier::Other);
        assert_eq!(found.freshness, Freshness::Stale);
        assert_eq!(found.stale_reason, Some(StaleReason::Other));
    }
}
