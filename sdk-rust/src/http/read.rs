//! What the service is asked and says when its response is for everybody.

use super::Settings;
use super::body::CachedBody;
use super::conditional::CONDITIONS;
use super::storable::storable;
use super::stored::{CONTENT_TYPE, Stored};
use crate::{Bytes, Content, EntryOptions, Load, Value};
use http::Response;
use http::header::{self, HeaderMap, HeaderName};
use http_body::Body;
use std::time::Duration;

/// Longer bodies are passed on and not stored: a value is at most 1 MiB, head
/// and envelope included.
const BODY_BYTES: usize = 1_000_000;
/// For how long it is remembered that a resource is not stored.
const PASS: Duration = Duration::from_secs(5);
/// The most tags an entry may have.
const TAGS: usize = 16;

/// A response of the service.
pub(super) enum Read<B: Body> {
    /// It may be stored.
    Whole(Stored, Load),
    /// It may not.
    Passed(Response<CachedBody<B>>),
}

impl Settings {
    /// The request headers that make no request one of one user.
    pub(super) fn known(&self) -> Vec<HeaderName> {
        let cookies = self.ignores_cookies.then_some(header::COOKIE);
        self.vary.iter().cloned().chain(cookies).collect()
    }

    /// Takes away what the response must not depend on.
    pub(super) fn for_everybody(&self, headers: &mut HeaderMap) {
        for name in CONDITIONS {
            headers.remove(name);
        }
        if self.ignores_cookies && !self.vary.contains(&header::COOKIE) {
            headers.remove(header::COOKIE);
        }
    }

    pub(super) async fn read<B: Body<Data = Bytes>>(
        &self,
        tag: &str,
        response: Response<B>,
    ) -> Read<B> {
        let (head, body) = response.into_parts();
        let storable = storable(head.status, &head.headers, &self.vary);
        let room = TAGS.saturating_sub(1 + self.load.entry.tags.len());
        let Some(storable) = storable.filter(|storable| storable.tags.len() <= room) else {
            return Read::Passed(Response::from_parts(head, CachedBody::passed(body)));
        };
        let body = match CachedBody::read(body, BODY_BYTES).await {
            Ok(body) => body,
            Err(body) => return Read::Passed(Response::from_parts(head, body)),
        };
        let stored = Stored::new(head.headers, body);
        let Some(value) = stored.encode() else {
            return Read::Passed(stored.response(CachedBody::whole));
        };
        let mut entry = self.load.entry.clone().content_type(CONTENT_TYPE).tag(tag);
        entry.ttl = storable.ttl.or(entry.ttl);
        entry.tags.extend(storable.tags);
        let content = Content::Value(Value::Data(value));
        Read::Whole(stored, Load::With(content, entry))
    }
}

/// Remembers that a resource is not stored.
pub(super) fn not_stored(tag: String) -> Load {
    let nothing = Content::Value(Value::Data(Bytes::new()));
    let entry = EntryOptions::default().content_type(CONTENT_TYPE);
    Load::With(nothing, entry.ttl(PASS).tag(tag))
}
