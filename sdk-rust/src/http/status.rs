//! What the cache did for a response, as the client is told (Cache-Status, RFC
//! 9211).

use crate::{Entry, Freshness};
use http::HeaderValue;
use std::time::Duration;

/// What the cache did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CacheStatus {
    /// It had the response.
    Hit { ttl: Duration, stale: bool },
    /// The service was asked.
    Forwarded { why: Why, stored: bool },
    /// The service was asked for another request at the same time.
    Collapsed,
}

/// Why the service was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// The request's method is no read.
    Method,
    /// The request or its response is not for caches.
    Bypass,
    /// Nothing was cached.
    Miss,
    /// What was cached was stale.
    Stale,
    /// The cache is away.
    Outage,
    /// Another one was loading for too long.
    Busy,
}

impl CacheStatus {
    pub(super) fn hit(entry: &Entry) -> Self {
        let stale = entry.freshness == Freshness::Stale;
        let ttl = entry.ttl_left;
        Self::Hit { ttl, stale }
    }
}

impl From<CacheStatus> for HeaderValue {
    fn from(status: CacheStatus) -> Self {
        let text = match status {
            CacheStatus::Hit { ttl, stale: false } => {
                format!("unstale; hit; ttl={}", ttl.as_secs())
            }
            CacheStatus::Hit { stale: true, .. } => "unstale; hit; detail=stale".to_owned(),
            CacheStatus::Collapsed => "unstale; fwd=miss; collapsed".to_owned(),
            CacheStatus::Forwarded { why, stored } => {
                let why = match why {
                    Why::Method => "fwd=method",
                    Why::Bypass => "fwd=bypass",
                    Why::Miss => "fwd=uri-miss",
                    Why::Stale => "fwd=stale",
                    Why::Outage => "fwd=miss; detail=unavailable",
                    Why::Busy => "fwd=miss; detail=busy",
                };
                let stored = if stored { "; stored" } else { "" };
                format!("unstale; {why}{stored}")
            }
        };
        HeaderValue::try_from(text).expect("visible ASCII")
    }
}
