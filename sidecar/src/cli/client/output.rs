//! stdout: values untouched, or one JSON object a line.

use super::exit::Failure;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value as Json, json};
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::time::Duration;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use unstale::{
    Answer, Degraded, Entry, Lookup, Negative, NotModified, Session, SessionState, StaleReason,
    Tier, Value,
};

/// Writes and flushes: the reader of a pipe sees it at once.
pub(super) fn write(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(bytes).and_then(|()| stdout.flush());
    written.map_err(Failure::Output)
}

/// Returns when nobody reads stdout any more: a command that writes seldom
/// would find out late. Never returns when stdout is a file.
#[allow(
    deprecated,
    reason = "the other constructor is unsafe for types that change their descriptor; OwnedFd does not"
)]
pub(super) async fn abandoned() {
    let stdout = io::stdout().as_fd().try_clone_to_owned();
    let watched = stdout.and_then(|fd| AsyncFd::with_interest(fd, Interest::ERROR));
    if let Ok(watched) = watched
        && watched.ready(Interest::ERROR).await.is_ok()
    {
        return;
    }
    std::future::pending().await
}

/// Writes one line.
pub(super) fn line(text: &str) -> Result<(), Failure> {
    write(format!("{text}\n").as_bytes())
}

/// Writes one object as a line.
pub(super) fn object(object: &Json) -> Result<(), Failure> {
    line(&object.to_string())
}

/// Adds what every answer says to an object.
pub(super) fn with_answer<T>(mut object: Json, answer: &Answer<T>) -> Json {
    if let Some(fields) = object.as_object_mut() {
        fields.insert("position".to_owned(), json!(answer.position));
        let reasons = answer.degraded.iter().map(|reason| match reason {
            Degraded::RemoteUnavailable => "REMOTE_UNAVAILABLE",
            Degraded::SessionNotFresh => "SESSION_NOT_FRESH",
            Degraded::AnswerTooLarge => "ANSWER_TOO_LARGE",
            _ => "OTHER",
        });
        let reasons: Vec<_> = reasons.collect();
        if !reasons.is_empty() {
            fields.insert("degraded".to_owned(), json!(reasons));
        }
    }
    object
}

/// A value: `text`, or `data` as base64.
pub(super) fn value(value: &Value) -> Map<String, Json> {
    let (name, value) = match value {
        Value::Text(text) => ("text", text.clone()),
        Value::Data(data) => ("data", STANDARD.encode(data)),
    };
    Map::from_iter([(name.to_owned(), Json::String(value))])
}

/// An entry.
pub(super) fn entry(entry: &Entry) -> Json {
    let mut fields = value(&entry.value);
    let more = [
        ("content_type", json!(entry.content_type)),
        ("version", json!(entry.version)),
        ("etag", json!(entry.etag)),
        ("source_version", json!(entry.source_version)),
        ("tags", json!(entry.tags)),
        ("ttl_left_seconds", json!(entry.ttl_left.as_secs_f64())),
        ("stale_left_seconds", json!(entry.stale_left.as_secs_f64())),
    ];
    fields.extend(more.map(|(name, value)| (name.to_owned(), value)));
    fields.extend(standing(entry.tier, entry.stale_reason, entry.age));
    Json::Object(fields)
}

/// The entry that says that the origin has nothing.
pub(super) fn negative(negative: &Negative) -> Json {
    let mut fields = Map::from_iter([("not_found".to_owned(), json!(true))]);
    let more = [
        ("version", json!(negative.version)),
        ("source_version", json!(negative.source_version)),
        ("tags", json!(negative.tags)),
        ("ttl_left_seconds", json!(negative.ttl_left.as_secs_f64())),
    ];
    fields.extend(more.map(|(name, value)| (name.to_owned(), value)));
    fields.extend(standing(negative.tier, negative.stale_reason, negative.age));
    Json::Object(fields)
}

fn not_modified(same: &NotModified) -> Json {
    let mut fields = Map::from_iter([
        ("version".to_owned(), json!(same.version)),
        ("etag".to_owned(), json!(same.etag)),
        (
            "ttl_left_seconds".to_owned(),
            json!(same.ttl_left.as_secs_f64()),
        ),
    ]);
    fields.extend(standing(same.tier, same.stale_reason, same.age));
    Json::Object(fields)
}

/// Where an entry was found and whether it is current.
fn standing(tier: Tier, stale: Option<StaleReason>, age: Duration) -> Map<String, Json> {
    let tier = match tier {
        Tier::L1 => "L1",
        Tier::Remote => "REMOTE",
        _ => "OTHER",
    };
    let freshness = if stale.is_some() { "STALE" } else { "FRESH" };
    let reason = stale.map(|reason| match reason {
        StaleReason::Expired => "EXPIRED",
        StaleReason::SoftInvalidated => "SOFT_INVALIDATED",
        StaleReason::SessionNotFresh => "SESSION_NOT_FRESH",
        _ => "OTHER",
    });
    Map::from_iter([
        ("tier".to_owned(), json!(tier)),
        ("freshness".to_owned(), json!(freshness)),
        ("stale_reason".to_owned(), json!(reason)),
        ("age_seconds".to_owned(), json!(age.as_secs_f64())),
    ])
}

/// What a read found.
pub(super) fn lookup(found: &Lookup) -> Json {
    match found {
        Lookup::Hit(hit) => json!({ "result": "hit", "entry": entry(hit) }),
        Lookup::Negative(no) => json!({ "result": "negative", "entry": negative(no) }),
        Lookup::NotModified(same) => {
            json!({ "result": "not_modified", "entry": not_modified(same) })
        }
        Lookup::Miss => json!({ "result": "miss" }),
    }
}

/// Why an entry is not fresh, for people.
pub(super) fn stale(reason: StaleReason) -> &'static str {
    match reason {
        StaleReason::Expired => "its ttl has passed",
        StaleReason::SoftInvalidated => "it was softly invalidated",
        StaleReason::SessionNotFresh => "the sidecar's session is not fresh",
        _ => "it is not fresh",
    }
}

/// Whether a session may call anything fresh.
pub(super) fn session_state(state: SessionState) -> &'static str {
    match state {
        SessionState::Joining => "JOINING",
        SessionState::Fresh => "FRESH",
        SessionState::Lapsed => "LAPSED",
        SessionState::Left => "LEFT",
        _ => "OTHER",
    }
}

/// A session.
pub(super) fn session(session: &Session) -> Json {
    json!({ "id": session.id, "pod": session.pod })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_text_or_base64_in_json() {
        let text = Json::Object(value(&"é\n".into()));
        assert_eq!(text.to_string(), r#"{"text":"é\n"}"#);
        let data = Json::Object(value(&Value::from(vec![0xff, 0])));
        assert_eq!(data.to_string(), r#"{"data":"/wA="}"#);
    }
}
