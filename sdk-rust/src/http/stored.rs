//! Responses as values of the cache: `message/http`, the head in text and then
//! the body, so that any language can read them.

use bytes::{Bytes, BytesMut};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode};

/// The content type of a stored response.
pub(super) const CONTENT_TYPE: &str = "message/http";
/// Heads with more headers are not stored.
const HEADERS: usize = 128;

/// What belongs to one connection and not to the response.
const OF_THE_CONNECTION: [HeaderName; 8] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::PROXY_AUTHENTICATE,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
];

/// A whole response; it has an ETag.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Stored {
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Stored {
    /// A response with status 200, as it is stored.
    pub(super) fn new(mut headers: HeaderMap, body: Bytes) -> Self {
        for name in OF_THE_CONNECTION {
            headers.remove(name);
        }
        if !headers.contains_key(header::ETAG) {
            headers.insert(header::ETAG, etag(&headers, &body));
        }
        Self { headers, body }
    }

    /// As a value; none when its head is one that cannot be read again.
    pub(super) fn encode(&self) -> Option<Bytes> {
        if self.headers.len() > HEADERS {
            return None;
        }
        let mut message = BytesMut::from("HTTP/1.1 200 OK\r\n");
        for (name, value) in &self.headers {
            message.extend_from_slice(name.as_str().as_bytes());
            message.extend_from_slice(b": ");
            message.extend_from_slice(value.as_bytes());
            message.extend_from_slice(b"\r\n");
        }
        message.extend_from_slice(b"\r\n");
        message.extend_from_slice(&self.body);
        Some(message.freeze())
    }

    /// From a value; none when it is no such response.
    pub(super) fn decode(value: &Bytes) -> Option<Self> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS];
        let mut head = httparse::Response::new(&mut headers);
        let length = match head.parse(value) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) | Err(_) => return None,
        };
        let status = head.code.filter(|code| *code == StatusCode::OK);
        status?;
        let mut map = HeaderMap::with_capacity(head.headers.len());
        for header in head.headers.iter() {
            let name = HeaderName::from_bytes(header.name.as_bytes()).ok()?;
            map.append(name, HeaderValue::from_bytes(header.value).ok()?);
        }
        let body = value.slice(length..);
        map.contains_key(header::ETAG)
            .then_some(Self { headers: map, body })
    }

    /// The response, with this body.
    pub(super) fn response<B>(self, body: impl FnOnce(Bytes) -> B) -> Response<B> {
        let mut response = Response::new(body(self.body));
        *response.headers_mut() = self.headers;
        response
    }
}

/// A strong one: of the bytes and what they mean.
fn etag(headers: &HeaderMap, body: &Bytes) -> HeaderValue {
    let mut hasher = blake3::Hasher::new();
    for name in [header::CONTENT_TYPE, header::CONTENT_ENCODING] {
        let value = headers.get(name).map(HeaderValue::as_bytes);
        let value = value.unwrap_or_default();
        hasher.update(&(value.len() as u64).to_be_bytes());
        hasher.update(value);
    }
    hasher.update(body);
    let text = format!("\"{}\"", &hasher.finalize().to_hex()[..32]);
    HeaderValue::try_from(text).expect("quoted hexadecimal digits")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_comes_back_as_it_was_stored() {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        headers.append("x-two", HeaderValue::from_static("a"));
        headers.append("x-two", HeaderValue::from_bytes(b"\xe4").unwrap());
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        let stored = Stored::new(headers, Bytes::from_static(b"HTTP/1.1 404\r\n\r\n"));
        assert!(!stored.headers.contains_key(header::CONNECTION));
        let value = stored.encode().unwrap();
        assert_eq!(Stored::decode(&value), Some(stored));
        for broken in [&value[..20], b"", b"HTTP/1.1 500 No\r\n\r\n", b"\0"] {
            assert_eq!(Stored::decode(&Bytes::copy_from_slice(broken)), None);
        }
    }

    #[test]
    fn the_etag_is_that_of_the_service_or_of_the_content() {
        let plain = Stored::new(HeaderMap::new(), Bytes::from_static(b"a"));
        let other = Stored::new(HeaderMap::new(), Bytes::from_static(b"b"));
        assert_ne!(plain.headers[header::ETAG], other.headers[header::ETAG]);
        let mut headers = HeaderMap::new();
        headers.insert(header::ETAG, HeaderValue::from_static("\"own\""));
        let own = Stored::new(headers, Bytes::new());
        assert_eq!(own.headers[header::ETAG], "\"own\"");
    }
}
