//! What the client says, in the protocol's words.

use crate::Refused;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value as Json, json};
use std::time::Duration;
use unstale::{
    Answer, Because, CodecError, Degraded, Entry, Error, Freshness, InvalidateMode, LoadError,
    Lookup, Negative, NotModified, StaleReason, Tier, Value, Voided, WatchEvent,
};

pub(crate) fn seconds(time: Duration) -> Json {
    json!(time.as_secs_f64())
}

/// The first object with the fields of the second.
pub(crate) fn joined(mut one: Json, other: Json) -> Json {
    if let (Json::Object(one), Json::Object(other)) = (&mut one, other) {
        one.extend(other);
    }
    one
}

/// A result with what every answer says beside it.
pub(crate) fn answer<T>(answer: Answer<T>, say: impl FnOnce(T) -> Json) -> Json {
    let outage = answer.is_outage();
    let (position, degraded) = (answer.position, answer.degraded);
    let degraded: Vec<_> = degraded.iter().map(degraded_word).collect();
    let beside = json!({"position": position, "degraded": degraded, "outage": outage});
    joined(say(answer.result), beside)
}

fn degraded_word(degraded: &Degraded) -> &'static str {
    match degraded {
        Degraded::RemoteUnavailable => "REMOTE_UNAVAILABLE",
        Degraded::SessionNotFresh => "SESSION_NOT_FRESH",
        Degraded::AnswerTooLarge => "ANSWER_TOO_LARGE",
        Degraded::SidecarUnavailable => "SIDECAR_UNAVAILABLE",
        Degraded::Undecodable => "UNDECODABLE",
        _ => "OTHER",
    }
}

pub(crate) fn value(value: &Value) -> Json {
    match value {
        Value::Text(text) => json!({"text": text}),
        Value::Data(data) => json!({"data": BASE64_STANDARD.encode(data)}),
    }
}

fn known(tier: Tier, freshness: Freshness, reason: Option<StaleReason>) -> Json {
    let tier = match tier {
        Tier::L1 => "L1",
        Tier::Remote => "REMOTE",
        _ => "OTHER",
    };
    let freshness = match freshness {
        Freshness::Fresh => "FRESH",
        Freshness::Stale => "STALE",
    };
    let reason = reason.map(|reason| match reason {
        StaleReason::Expired => "EXPIRED",
        StaleReason::SoftInvalidated => "SOFT_INVALIDATED",
        StaleReason::SessionNotFresh => "SESSION_NOT_FRESH",
        _ => "OTHER",
    });
    json!({"tier": tier, "freshness": freshness, "stale_reason": reason})
}

/// What is known of an entry beside its value.
pub(crate) fn about(entry: &Entry) -> Json {
    let about = json!({
        "content_type": entry.content_type, "version": entry.version, "etag": entry.etag,
        "tags": entry.tags, "source_version": entry.source_version, "age": seconds(entry.age),
        "ttl_left": seconds(entry.ttl_left), "stale_left": seconds(entry.stale_left),
    });
    joined(
        about,
        known(entry.tier, entry.freshness, entry.stale_reason),
    )
}

pub(crate) fn entry(entry: &Entry) -> Json {
    joined(value(&entry.value), about(entry))
}

fn negative(found: &Negative) -> Json {
    let about = json!({
        "kind": "negative", "version": found.version, "tags": found.tags,
        "source_version": found.source_version, "age": seconds(found.age),
        "ttl_left": seconds(found.ttl_left),
    });
    joined(
        about,
        known(found.tier, found.freshness, found.stale_reason),
    )
}

fn not_modified(found: &NotModified) -> Json {
    let about = json!({
        "kind": "not_modified", "etag": found.etag, "version": found.version,
        "age": seconds(found.age), "ttl_left": seconds(found.ttl_left),
    });
    joined(
        about,
        known(found.tier, found.freshness, found.stale_reason),
    )
}

/// What a read found; `hit` says an entry.
pub(crate) fn lookup<E>(found: &Lookup<E>, hit: impl FnOnce(&E) -> Json) -> Json {
    match found {
        Lookup::Hit(found) => joined(json!({"kind": "hit"}), hit(found)),
        Lookup::Negative(found) => negative(found),
        Lookup::NotModified(found) => not_modified(found),
        Lookup::Miss => json!({"kind": "miss"}),
    }
}

pub(crate) fn voided(voided: Voided) -> Json {
    let (reason, least) = match voided {
        Voided::Invalidated => ("INVALIDATED", None),
        Voided::Expired => ("EXPIRED", None),
        Voided::DependencyChanged => ("DEPENDENCY_CHANGED", None),
        Voided::TooManyDependencies => ("TOO_MANY_DEPENDENCIES", None),
        Voided::OlderSourceVersion { min_source_version } => {
            ("OLDER_SOURCE_VERSION", Some(min_source_version))
        }
        _ => ("OTHER", None),
    };
    json!({"kind": "voided", "reason": reason, "min_source_version": least})
}

pub(crate) fn event(event: &WatchEvent) -> Json {
    match event {
        WatchEvent::Started { position } => json!({"kind": "started", "position": position}),
        WatchEvent::Heartbeat { position } => json!({"kind": "heartbeat", "position": position}),
        WatchEvent::Lagged { position } => json!({"kind": "lagged", "position": position}),
        WatchEvent::Invalidation { what, position } => json!({
            "kind": "invalidation", "position": position, "namespace": what.namespace,
            "keys": what.keys, "tags": what.tags, "prefixes": what.prefixes, "all": what.all,
            "mode": if what.mode == InvalidateMode::Soft { "SOFT" } else { "HARD" },
            "reason": what.reason,
        }),
    }
}

/// An error of the client.
pub(crate) fn error(error: &Error) -> Json {
    let (kind, violations) = match error {
        Error::Endpoint(_) => ("endpoint", None),
        Error::Unreachable(_) => ("unreachable", None),
        Error::Invalid { violations, .. } => ("invalid", Some(violations)),
        Error::Unavailable { .. } => ("unavailable", None),
        Error::Overloaded { .. } => ("overloaded", None),
        Error::DeadlineExceeded { .. } => ("deadline_exceeded", None),
        Error::OutcomeUnknown { .. } => ("outcome_unknown", None),
        Error::UnknownLease(_) => ("unknown_lease", None),
        Error::Busy { .. } => ("busy", None),
        Error::Unsupported { .. } => ("unsupported", None),
        Error::Answer(_) => ("answer", None),
        Error::Codec(CodecError::Encode(_)) => ("encode", None),
        Error::Codec(_) => ("decode", None),
        _ => ("other", None),
    };
    let fields = violations.into_iter().flatten();
    let fields: Vec<_> = fields.map(|violation| &violation.field).collect();
    json!({
        "kind": kind, "reason": error.reason(), "message": error.to_string(),
        "retry_after": error.retry_after().map(seconds), "violations": fields,
    })
}

pub(crate) fn refused(failed: &Error) -> Refused {
    Refused::Error(error(failed))
}

/// Why a load gave no value.
pub(crate) fn load_error(failed: LoadError<String>) -> Refused {
    Refused::Error(match failed {
        LoadError::Cache(failed) => error(&failed),
        LoadError::Loader(message) => json!({"kind": "loader", "message": message}),
        LoadError::TimedOut(_) => json!({"kind": "load_timed_out"}),
    })
}

/// Why a stale entry was given.
pub(crate) fn because(because: &Because<String>) -> &'static str {
    match because {
        Because::Busy { .. } => "busy",
        Because::Failed(_) => "failed",
        Because::TimedOut(_) => "timed_out",
        Because::Slow(_) => "slow",
    }
}
