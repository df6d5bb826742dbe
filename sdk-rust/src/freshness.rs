//! What the sidecar says of an entry: where it was, and whether it may be treated
//! as current.
//!
//! What a newer sidecar says that this client does not know is never fresh.

use crate::Error;
use unstale_proto::v1;

/// Which tier an entry was read from.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), unstale::Error> {
/// # let cache = unstale::Cache::builder().no_sidecar().connect().await?;
/// use unstale::{Lookup, Tier};
///
/// if let Lookup::Hit(entry) = cache.get("user:7").await?.result {
///     println!("from this pod's memory: {}", entry.tier == Tier::L1);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Tier {
    /// The memory of the sidecar.
    L1,
    /// The shared remote tier.
    Remote,
    /// A tier this client does not know yet.
    Other,
}

impl Tier {
    pub(crate) fn decode(tier: i32) -> Self {
        match v1::Tier::try_from(tier) {
            Ok(v1::Tier::L1) => Self::L1,
            Ok(v1::Tier::Remote) => Self::Remote,
            Ok(v1::Tier::Unspecified) | Err(_) => Self::Other,
        }
    }
}

/// Whether an entry may be treated as current.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), unstale::Error> {
/// # let cache = unstale::Cache::builder().no_sidecar().connect().await?;
/// use unstale::{Freshness, Lookup, ReadLevel, ReadOptions};
///
/// let stale_ok = ReadOptions::default().level(ReadLevel::StaleOk);
/// if let Lookup::Hit(entry) = cache.get_with("user:7", stale_ok).await?.result {
///     println!("current: {}", entry.freshness == Freshness::Fresh);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// Coherent.
    Fresh,
    /// Not current, or not known to be: so is what a newer sidecar says that
    /// this client does not know.
    Stale,
}

impl Freshness {
    pub(crate) fn decode(freshness: i32) -> Result<Self, Error> {
        match v1::Freshness::try_from(freshness) {
            Ok(v1::Freshness::Fresh) => Ok(Self::Fresh),
            Ok(v1::Freshness::Stale) | Err(_) => Ok(Self::Stale),
            Ok(v1::Freshness::Unspecified) => Err(Error::Answer("an entry has no freshness")),
        }
    }
}

/// Why an entry is not fresh.
///
/// ```
/// use unstale::StaleReason;
///
/// fn words(reason: StaleReason) -> &'static str {
///     match reason {
///         StaleReason::Expired => "its ttl has passed",
///         StaleReason::SoftInvalidated => "it was invalidated softly",
///         StaleReason::SessionNotFresh => "the pod cannot know",
///         _ => "another reason",
///     }
/// }
/// assert_eq!(words(StaleReason::Expired), "its ttl has passed");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StaleReason {
    /// Its ttl has passed, `stale_for` has not.
    Expired,
    /// A soft invalidation covers it.
    SoftInvalidated,
    /// The pod cannot know whether something covers it.
    SessionNotFresh,
    /// A reason this client does not know yet.
    Other,
}

impl StaleReason {
    pub(crate) fn decode(freshness: Freshness, reason: v1::StaleReason) -> Option<Self> {
        match (freshness, reason) {
            (Freshness::Fresh, _) => None,
            (Freshness::Stale, v1::StaleReason::Expired) => Some(Self::Expired),
            (Freshness::Stale, v1::StaleReason::SoftInvalidated) => Some(Self::SoftInvalidated),
            (Freshness::Stale, v1::StaleReason::SessionNotFresh) => Some(Self::SessionNotFresh),
            (Freshness::Stale, v1::StaleReason::Unspecified) => Some(Self::Other),
        }
    }
}
