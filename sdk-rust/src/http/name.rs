//! Under which key a request's response is cached, and by which tag all of a
//! resource's responses are invalidated.

use http::header::{HOST, HeaderName};
use http::request::Parts;

/// Longer paths are named by their hash: keys are at most 512 bytes long, tags
/// 128.
const PATH_BYTES: usize = 100;

/// A request's names in the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name {
    /// Of this request's response.
    pub(super) key: String,
    /// Of all responses of the same path and query.
    pub(super) tag: String,
}

impl Name {
    /// Of a request whose response differs by these headers.
    pub(super) fn of(request: &Parts, vary: &[HeaderName]) -> Self {
        let tag = tag(request);
        let mut hasher = blake3::Hasher::new();
        for name in vary {
            for value in values(request, name) {
                hasher.update(&(value.len() as u64).to_be_bytes());
                hasher.update(value);
            }
            // Which header a value belongs to makes a difference.
            hasher.update(&u64::MAX.to_be_bytes());
        }
        let variant = &hasher.finalize().to_hex()[..32];
        let key = format!("{tag}#{variant}");
        Self { key, tag }
    }
}

/// What the request says under this name. The host stands in the URI with
/// HTTP/2, and one that stands there wins (RFC 9112, 3.2.2).
fn values<'a>(request: &'a Parts, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> {
    let host = request.uri.authority().filter(|_| *name == HOST);
    let headers = request.headers.get_all(name).iter();
    let headers = headers.filter(move |_| host.is_none());
    let host = host.map(|host| host.as_str().as_bytes());
    host.into_iter()
        .chain(headers.map(|value| value.as_bytes()))
}

/// The tag of the request's path and query.
pub(super) fn tag(request: &Parts) -> String {
    let uri = &request.uri;
    let path = uri
        .path_and_query()
        .map_or(uri.path(), |path| path.as_str());
    match path.len() <= PATH_BYTES {
        true => format!("http:{path}"),
        false => format!("http:~{}", blake3::hash(path.as_bytes()).to_hex()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;
    use http::header::ACCEPT_LANGUAGE;

    fn name(uri: &str, host: &str, language: Option<&str>, vary: &[HeaderName]) -> Name {
        let mut request = Request::get(uri).header(HOST, host);
        if let Some(language) = language {
            request = request.header(ACCEPT_LANGUAGE, language);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        Name::of(&parts, vary)
    }

    #[test]
    fn what_makes_another_response_makes_another_key_of_the_same_tag() {
        let name = |uri, host, language| name(uri, host, language, &[HOST, ACCEPT_LANGUAGE]);
        let plain = name("/a?b=1", "one", None);
        assert_eq!(plain, name("/a?b=1", "one", None));
        assert_eq!(plain.tag, "http:/a?b=1");
        for other in [
            name("/a?b=1", "two", None),
            name("/a?b=1", "one", Some("de")),
            name("/a?b=1", "one", Some("")),
        ] {
            assert_ne!(plain.key, other.key);
            assert_eq!(plain.tag, other.tag);
        }
        assert_ne!(plain.tag, name("/a?b=2", "one", None).tag);
    }

    #[test]
    fn the_host_is_where_http_2_has_it_too() {
        // No Host header there: the URI names it.
        let of = |uri: &str| {
            let (parts, ()) = Request::get(uri).body(()).unwrap().into_parts();
            Name::of(&parts, &[HOST])
        };
        assert_ne!(of("http://one/a").key, of("http://two/a").key);
        assert_eq!(of("http://one/a"), name("/a", "one", None, &[HOST]));
        // The URI wins (RFC 9112, 3.2.2).
        assert_eq!(
            of("http://one/a"),
            name("http://one/a", "two", None, &[HOST])
        );
    }

    #[test]
    fn long_paths_keep_the_limits_of_the_contract() {
        let long = format!("/{}", "x".repeat(2000));
        let name = name(&long, "one", None, &[HOST]);
        assert!(name.key.len() <= 512 && name.tag.len() <= 128, "{name:?}");
    }
}
