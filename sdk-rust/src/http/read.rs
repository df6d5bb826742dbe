//! What the service is asked and says when its response is for everybody.

use super::Settings;
use super::body::CachedBody;
use super::conditional::CONDITIONS;
use super::storable::{Storable, storable};
use super::stored::{CONTENT_TYPE, Stored};
use crate::{Bytes, Content, EntryOptions, Load, Value};
use http::Response;
use http::header::{self, HeaderMap, HeaderName};
use http::response::Parts;
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

    /// Reads a response; as an error, one whose body broke off.
    pub(super) async fn read<B: Body<Data = Bytes>>(
        &self,
        tag: &str,
        response: Response<B>,
    ) -> Result<Read<B>, Response<CachedBody<B>>> {
        let (head, body) = response.into_parts();
        let storable = self.storable(&head).filter(|_| is_short(&head, &body));
        let Some(storable) = storable else {
            let body = CachedBody::passed(body);
            return Ok(Read::Passed(Response::from_parts(head, body)));
        };
        let body = match CachedBody::read(body, BODY_BYTES).await {
            Ok(body) => body,
            Err(body) if body.is_broken() => {
                return Err(Response::from_parts(head, body));
            }
            Err(body) => return Ok(Read::Passed(Response::from_parts(head, body))),
        };
        let stored = Stored::new(head.headers, body);
        let Some(value) = stored.encode() else {
            return Ok(Read::Passed(stored.response(CachedBody::whole)));
        };
        let mut entry = self.load.entry.clone().content_type(CONTENT_TYPE).tag(tag);
        entry.ttl = storable.terms.ttl.or(entry.ttl);
        if storable.terms.never_stale {
            entry.stale_for = Some(Duration::ZERO);
        }
        entry.tags.extend(storable.tags);
        let content = Content::Value(Value::Data(value));
        Ok(Read::Whole(stored, Load::With(content, entry)))
    }

    fn storable(&self, head: &Parts) -> Option<Storable> {
        let storable = storable(head.status, &head.headers, &self.vary)?;
        let room = TAGS.saturating_sub(1 + self.load.entry.tags.len());
        (storable.tags.len() <= room).then_some(storable)
    }
}

/// Takes away what the response must not depend on.
pub(super) fn for_everybody(headers: &mut HeaderMap) {
    for name in CONDITIONS {
        headers.remove(name);
    }
}

/// Whether the body is known to be one that is stored. One of unknown length may
/// be a stream, which must not be kept back until it ends.
fn is_short<B: Body>(head: &Parts, body: &B) -> bool {
    let told = head.headers.get(header::CONTENT_LENGTH);
    let told = told.and_then(|length| length.to_str().ok()?.parse().ok());
    let length: Option<u64> = body.size_hint().exact().or(told);
    length.is_some_and(|length| length <= BODY_BYTES as u64)
}

/// What remembers that a resource is not stored.
pub(super) fn not_stored(tag: String) -> (Content, EntryOptions) {
    let nothing = Content::Value(Value::Data(Bytes::new()));
    let entry = EntryOptions::default().content_type(CONTENT_TYPE);
    (nothing, entry.ttl(PASS).tag(tag))
}
