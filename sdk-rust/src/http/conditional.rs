//! Whether the client holds the response already (RFC 9110, 13).

use http::header::{self, HeaderMap, HeaderValue};

/// The headers that make a request conditional or partial: the service must not
/// see them when its response is for others, too.
pub(super) const CONDITIONS: [header::HeaderName; 5] = [
    header::IF_NONE_MATCH,
    header::IF_MODIFIED_SINCE,
    header::IF_MATCH,
    header::IF_UNMODIFIED_SINCE,
    header::IF_RANGE,
];

/// What a 304 tells beside the status.
pub(super) const OF_NOT_MODIFIED: [header::HeaderName; 7] = [
    header::CACHE_CONTROL,
    header::CONTENT_LOCATION,
    header::DATE,
    header::ETAG,
    header::EXPIRES,
    header::LAST_MODIFIED,
    header::VARY,
];

/// Whether a request with these headers is answered with 304 where the response
/// has those.
pub(super) fn is_not_modified(request: &HeaderMap, response: &HeaderMap) -> bool {
    let etag = response.get(header::ETAG);
    let mut held = request.get_all(header::IF_NONE_MATCH).iter().peekable();
    if held.peek().is_some() {
        return etag.is_some_and(|etag| held.any(|list| names(list.as_bytes(), etag)));
    }
    // Not a comparison of dates: one that is not the same is not believed.
    let since = request.get(header::IF_MODIFIED_SINCE);
    since.is_some() && since == response.get(header::LAST_MODIFIED)
}

/// Whether a list of etags has this one, weak ones and strong ones alike.
fn names(list: &[u8], etag: &HeaderValue) -> bool {
    let own = opaque(etag.as_bytes());
    list.trim_ascii() == b"*" || etags(list).any(|etag| etag == own)
}

fn opaque(etag: &[u8]) -> &[u8] {
    etag.strip_prefix(b"W/").unwrap_or(etag)
}

/// The etags of a list, quotes included and without `W/`. A comma may stand in
/// an etag.
fn etags(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = list;
    std::iter::from_fn(move || {
        let from = rest.iter().position(|byte| *byte == b'"')?;
        let length = rest[from + 1..].iter().position(|byte| *byte == b'"')?;
        let (etag, after) = rest[from..].split_at(length + 2);
        rest = after;
        Some(etag)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(name: header::HeaderName, value: &'static str) -> bool {
        let mut response = HeaderMap::new();
        response.insert(header::ETAG, HeaderValue::from_static("\"a,b\""));
        let date = "Thu, 26 Nov 2026 03:00:00 GMT";
        response.insert(header::LAST_MODIFIED, HeaderValue::from_static(date));
        let mut request = HeaderMap::new();
        request.insert(name, HeaderValue::from_static(value));
        is_not_modified(&request, &response)
    }

    #[test]
    fn the_client_holds_it_when_one_of_its_etags_is_the_same() {
        for held in ["\"a,b\"", "W/\"a,b\"", "\"x\", \"a,b\"", "*", " * "] {
            assert!(asked(header::IF_NONE_MATCH, held), "{held}");
        }
        for held in ["\"a\"", "\"b\"", "a,b", "", "\"a,b", "\"*\""] {
            assert!(!asked(header::IF_NONE_MATCH, held), "{held}");
        }
    }

    #[test]
    fn a_date_counts_only_when_it_is_the_same() {
        let since = header::IF_MODIFIED_SINCE;
        assert!(asked(since.clone(), "Thu, 26 Nov 2026 03:00:00 GMT"));
        assert!(!asked(since, "Fri, 27 Nov 2026 03:00:00 GMT"));
    }
}
