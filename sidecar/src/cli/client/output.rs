//! stdout: values untouched, or one JSON object a line.

use super::exit::Failure;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value as Json, json};
use std::io::{self, Write as _};
use unstale::{Answer, Degraded, Entry, Freshness, Session, Tier, Value};

/// Writes and flushes: the reader of a pipe sees it at once.
pub(super) fn write(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(bytes).and_then(|()| stdout.flush());
    written.map_err(Failure::Output)
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
    let tier = match entry.tier {
        Tier::L1 => "L1",
        Tier::Remote => "REMOTE",
    };
    let freshness = match entry.freshness {
        Freshness::Fresh => "FRESH",
        Freshness::Stale => "STALE",
    };
    let more = [
        ("content_type", json!(entry.content_type)),
        ("version", json!(entry.version)),
        ("tags", json!(entry.tags)),
        ("tier", json!(tier)),
        ("freshness", json!(freshness)),
        ("age_seconds", json!(entry.age.as_secs_f64())),
        ("ttl_left_seconds", json!(entry.ttl_left.as_secs_f64())),
    ];
    fields.extend(more.map(|(name, value)| (name.to_owned(), value)));
    Json::Object(fields)
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
