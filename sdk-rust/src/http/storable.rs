//! Whether a request may be answered with what others got, and a response be
//! given to others (RFC 9111, 3).

use super::freshness::{Terms, terms};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};

/// The limits of the contract: tags of an entry, bytes of a tag. One tag is the
/// resource's own.
const TAGS: usize = 15;
const TAG_BYTES: usize = 128;

/// What a response says about its storing.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Storable {
    /// How long it may be kept.
    pub(super) terms: Terms,
    /// Its surrogate keys.
    pub(super) tags: Vec<String>,
}

/// Why a request goes to the service and its response to nobody else.
pub(super) fn passes(method: &Method, headers: &HeaderMap, vary: &[HeaderName]) -> bool {
    // Of one user, unless the key says whose.
    let of_one = [header::AUTHORIZATION, header::COOKIE];
    let personal = |name: &HeaderName| headers.contains_key(name) && !vary.contains(name);
    let partial = headers.contains_key(header::RANGE) || headers.contains_key(header::UPGRADE);
    let traceless = list(headers, header::CACHE_CONTROL)
        .any(|directive| directive.eq_ignore_ascii_case("no-store"));
    let reads = matches!(*method, Method::GET | Method::HEAD);
    !reads || partial || traceless || of_one.iter().any(personal)
}

/// How the response may be stored; none when it may not.
pub(super) fn storable(
    status: StatusCode,
    headers: &HeaderMap,
    vary: &[HeaderName],
) -> Option<Storable> {
    let terms = terms(headers)?;
    let personal = headers.contains_key(header::SET_COOKIE);
    let differs = list(headers, header::VARY).any(|name| !vary.iter().any(|known| *known == name));
    if status != StatusCode::OK || personal || differs {
        return None;
    }
    Some(Storable {
        terms,
        tags: tags(headers)?,
    })
}

/// None when there are more of them than an entry may have: an invalidation
/// would not find it.
fn tags(headers: &HeaderMap) -> Option<Vec<String>> {
    let values = headers.get_all("surrogate-key").iter();
    let texts: Result<Vec<_>, _> = values.map(HeaderValue::to_str).collect();
    let texts = texts.ok()?;
    let words = texts.iter().flat_map(|text| text.split_ascii_whitespace());
    let tags: Vec<String> = words.map(str::to_owned).collect();
    let fit = tags.len() <= TAGS && tags.iter().all(|tag| tag.len() <= TAG_BYTES);
    fit.then_some(tags)
}

/// The members of a header that is a list. What is no text is no member that
/// anybody knows, but must not look like none.
pub(super) fn list(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    let values = headers.get_all(name).into_iter();
    let texts = values.map(|value| value.to_str().unwrap_or("no-store"));
    let members = texts.flat_map(|text| text.split(','));
    members.map(str::trim).filter(|member| !member.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::{ACCEPT_LANGUAGE, HOST};
    use std::time::Duration;

    fn with(headers: &[(&'static str, &'static str)]) -> HeaderMap {
        let each = headers.iter();
        each.map(|(name, value)| {
            let value = HeaderValue::from_static(value);
            (HeaderName::from_static(name), value)
        })
        .collect()
    }

    fn stored(headers: &[(&'static str, &'static str)]) -> Option<Storable> {
        storable(StatusCode::OK, &with(headers), &[HOST, ACCEPT_LANGUAGE])
    }

    #[test]
    fn what_is_for_one_user_or_not_for_caches_is_not_stored() {
        for not in [
            ("cache-control", "no-store"),
            ("cache-control", "max-age=60, Private"),
            ("cache-control", "no-cache"),
            ("cache-control", "max-age=0"),
            ("cache-control", "max-age=60, s-maxage=0"),
            ("cache-control", "max-age=soon"),
            ("set-cookie", "a=b"),
            ("expires", "0"),
            ("expires", "Thu, 01 Jan 1970 00:00:00 GMT"),
            ("pragma", "no-cache"),
            ("vary", "*"),
            ("vary", "host, origin"),
            ("surrogate-key", "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16"),
        ] {
            assert_eq!(stored(&[not]), None, "{not:?}");
        }
        let found = storable(StatusCode::NOT_FOUND, &HeaderMap::new(), &[]);
        assert_eq!(found, None);
    }

    #[test]
    fn what_is_stored_has_the_ttl_and_the_tags_that_it_says() {
        let plain = stored(&[("vary", "Accept-Language")]).unwrap();
        assert_eq!((plain.terms.ttl, plain.tags.len()), (None, 0));
        let said = stored(&[
            ("cache-control", "public, max-age=60, s-maxage=\"5\""),
            ("surrogate-key", "users user:7"),
        ]);
        let said = said.unwrap();
        assert_eq!(said.terms.ttl, Some(Duration::from_secs(5)));
        assert_eq!(said.tags, ["users", "user:7"]);
    }

    #[test]
    fn a_request_of_one_user_passes_unless_the_key_says_whose() {
        let plain = with(&[("accept", "*/*")]);
        assert!(!passes(&Method::GET, &plain, &[]));
        assert!(passes(&Method::POST, &plain, &[]));
        let cookie = with(&[("cookie", "session=1")]);
        assert!(passes(&Method::GET, &cookie, &[]));
        assert!(!passes(&Method::GET, &cookie, &[header::COOKIE]));
        assert!(passes(&Method::GET, &with(&[("range", "bytes=0-1")]), &[]));
        // One that wants no trace of itself.
        let secret = with(&[("cache-control", "max-age=0, No-Store")]);
        assert!(passes(&Method::GET, &secret, &[]));
    }
}
