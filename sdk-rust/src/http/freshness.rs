//! How long a response may be kept, as its headers say (RFC 9111, 4.2 and 5.2).
//!
//! Judges freshness only; whose a response is stands in `storable.rs`.

use super::storable::list;
use http::header::{self, HeaderMap, HeaderName};
use std::time::{Duration, SystemTime};

/// The contract's longest ttl.
const TTL_MAX: Duration = Duration::from_secs(30 * 24 * 3600);

/// How long a response may be kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Terms {
    /// For how long it is fresh, where it says so.
    pub(super) ttl: Option<Duration>,
    /// It may not be given when it is not fresh, whatever fails.
    pub(super) never_stale: bool,
}

/// The response's terms; none when it may not be kept, or says what cannot be
/// read: that is not guessed.
pub(super) fn terms(headers: &HeaderMap) -> Option<Terms> {
    let (mut max_age, mut s_maxage, mut never_stale) = (None, None, false);
    for directive in list(headers, header::CACHE_CONTROL) {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        match name.trim().to_ascii_lowercase().as_str() {
            "no-store" | "no-cache" | "private" => return None,
            "must-revalidate" | "proxy-revalidate" => never_stale = true,
            "max-age" => max_age = Some(seconds(value)?),
            // It implies proxy-revalidate (5.2.2.10).
            "s-maxage" => (s_maxage, never_stale) = (Some(seconds(value)?), true),
            _ => {}
        }
    }
    let ttl = match s_maxage.or(max_age) {
        Some(ttl) => Some(ttl),
        None => lifetime(headers)?,
    };
    let left = |ttl: Duration| ttl.saturating_sub(age(headers)).min(TTL_MAX);
    let ttl = ttl.map(left);
    (ttl != Some(Duration::ZERO)).then_some(Terms { ttl, never_stale })
}

/// For how long another cache has kept the response; nothing when it does not
/// say so.
pub(super) fn age(headers: &HeaderMap) -> Duration {
    let age = headers.get(header::AGE).and_then(|age| age.to_str().ok());
    age.and_then(seconds).unwrap_or_default()
}

/// Whether the response may not be given when it is not fresh.
pub(super) fn never_stale(headers: &HeaderMap) -> bool {
    terms(headers).is_none_or(|terms| terms.never_stale)
}

/// As the older headers say, which count where no newer one does: some of none
/// when they say nothing.
fn lifetime(headers: &HeaderMap) -> Option<Option<Duration>> {
    if headers.contains_key(header::EXPIRES) {
        let from = date(headers, header::DATE).unwrap_or_else(SystemTime::now);
        let ttl = date(headers, header::EXPIRES)?.duration_since(from).ok()?;
        return Some(Some(ttl));
    }
    let alone = !headers.contains_key(header::CACHE_CONTROL);
    let mut pragmas = list(headers, header::PRAGMA);
    let refused = alone && pragmas.any(|one| one.eq_ignore_ascii_case("no-cache"));
    (!refused).then_some(None)
}

fn date(headers: &HeaderMap, name: HeaderName) -> Option<SystemTime> {
    let text = headers.get(name)?.to_str().ok()?;
    httpdate::parse_http_date(text.trim()).ok()
}

fn seconds(value: &str) -> Option<Duration> {
    let digits = value.trim().trim_matches('"');
    digits.parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn told(headers: &[(&'static str, &'static str)]) -> Option<Terms> {
        let each = headers.iter().map(|(name, value)| {
            let value = HeaderValue::from_static(value);
            (HeaderName::from_static(name), value)
        });
        terms(&each.collect())
    }

    fn ttl(headers: &[(&'static str, &'static str)]) -> Option<u64> {
        told(headers).and_then(|terms| terms.ttl.map(|ttl| ttl.as_secs()))
    }

    #[test]
    fn the_newest_word_for_the_lifetime_counts() {
        let date = ("date", "Thu, 26 Nov 2026 03:00:00 GMT");
        let expires = ("expires", "Thu, 26 Nov 2026 03:01:00 GMT");
        assert_eq!(ttl(&[date, expires]), Some(60));
        let max_age = ("cache-control", "max-age=7");
        assert_eq!(ttl(&[date, expires, max_age]), Some(7));
        assert_eq!(ttl(&[("expires", "0"), max_age]), Some(7));
        assert_eq!(ttl(&[("pragma", "no-cache"), max_age]), Some(7));
        let shared = ("cache-control", "max-age=7, s-maxage=9");
        assert_eq!(ttl(&[shared]), Some(9));
        assert_eq!(told(&[]), Some(Terms::default()));
    }

    #[test]
    fn what_was_kept_elsewhere_has_so_much_less_left() {
        let max_age = ("cache-control", "max-age=60");
        assert_eq!(ttl(&[max_age, ("age", "50")]), Some(10));
        assert_eq!(told(&[max_age, ("age", "60")]), None);
    }

    #[test]
    fn the_longest_ttl_is_that_of_the_contract() {
        for long in ["max-age=31536000", "s-maxage=4294967296"] {
            assert_eq!(ttl(&[("cache-control", long)]), Some(TTL_MAX.as_secs()));
        }
        let expires = ("expires", "Fri, 01 Jan 2100 00:00:00 GMT");
        assert_eq!(ttl(&[expires]), Some(TTL_MAX.as_secs()));
    }

    #[test]
    fn who_must_revalidate_is_never_stale() {
        for directive in ["Must-Revalidate", "proxy-revalidate", "s-maxage=1"] {
            let terms = told(&[("cache-control", directive)]);
            assert!(terms.is_some_and(|t| t.never_stale), "{directive}");
        }
        let terms = told(&[("cache-control", "max-age=1, public")]);
        assert!(terms.is_some_and(|t| !t.never_stale));
    }
}
