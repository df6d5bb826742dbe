//! From the engine's types to messages. Cannot fail, and decides nothing.

use std::time::Duration;
use unstale_engine::request::{
    Degraded, Etag, Found, Mode, NotStored, Payload, Session, SessionState, StaleReason, Tier,
    Value, Voided,
};
use unstale_proto::v1;

/// What is cached under a key.
pub(super) enum Cached {
    /// A value.
    Entry(v1::Entry),
    /// The origin has nothing.
    Negative(v1::Negative),
}

/// An entry as found.
pub(super) fn cached(found: Found) -> Cached {
    let tier = tier(found.tier).into();
    let (freshness, stale_reason) = freshness(found.stale);
    let tags = found.tags.iter().map(|tag| tag.as_str().to_owned());
    let tags = tags.collect();
    let (age, ttl_left) = (Some(duration(found.age)), Some(duration(found.ttl_left)));
    let value = match found.payload {
        Payload::Value(value) => value,
        Payload::NotFound => {
            return Cached::Negative(v1::Negative {
                version: found.version.to_string(),
                tags,
                tier,
                freshness,
                age,
                ttl_left,
                source_version: found.source_version,
                stale_reason,
            });
        }
    };
    Cached::Entry(v1::Entry {
        content_type: value.content_type.clone(),
        value: Some(data_or_text(value)),
        version: found.version.to_string(),
        tags,
        tier,
        freshness,
        age,
        ttl_left,
        etag: etag(found.etag),
        source_version: found.source_version,
        stale_reason,
        stale_left: Some(duration(found.stale_left)),
    })
}

/// The entry; none when it is a negative one.
pub(super) fn entry(found: Found) -> Option<v1::Entry> {
    match cached(found) {
        Cached::Entry(entry) => Some(entry),
        Cached::Negative(_) => None,
    }
}

/// That the entry is what the caller holds, by the etag it gave.
pub(super) fn not_modified(found: Found, etag: String) -> v1::NotModified {
    let (freshness, stale_reason) = freshness(found.stale);
    v1::NotModified {
        etag,
        version: found.version.to_string(),
        tier: tier(found.tier).into(),
        freshness,
        age: Some(duration(found.age)),
        ttl_left: Some(duration(found.ttl_left)),
        stale_reason,
    }
}

/// The text form of an etag: 32 hex digits.
pub(super) fn etag(etag: Etag) -> String {
    etag.text().as_str().to_owned()
}

fn data_or_text(value: Value) -> v1::entry::Value {
    let text = value.text.then(|| std::str::from_utf8(&value.data).ok());
    match text.flatten() {
        Some(text) => v1::entry::Value::Text(text.to_owned()),
        None => v1::entry::Value::Data(value.data),
    }
}

/// The tier that answered.
pub(super) fn tier(tier: Tier) -> v1::Tier {
    match tier {
        Tier::L1 => v1::Tier::L1,
        Tier::Remote => v1::Tier::Remote,
    }
}

/// Whether it is fresh, and why not.
pub(super) fn freshness(stale: Option<StaleReason>) -> (i32, i32) {
    let reason = match stale {
        None => return (v1::Freshness::Fresh.into(), 0),
        Some(StaleReason::Expired) => v1::StaleReason::Expired,
        Some(StaleReason::SoftInvalidated) => v1::StaleReason::SoftInvalidated,
        Some(StaleReason::SessionNotFresh) => v1::StaleReason::SessionNotFresh,
    };
    (v1::Freshness::Stale.into(), reason.into())
}

/// Why a write was not stored, and what is there.
pub(super) fn not_stored(why: NotStored, current: Option<Found>) -> v1::NotStored {
    let (reason, min_source_version) = why_not_stored(why);
    v1::NotStored {
        reason: reason.into(),
        current: current.and_then(entry),
        min_source_version,
    }
}

/// The reason, and the least source version that is accepted.
pub(super) fn why_not_stored(why: NotStored) -> (v1::NotStoredReason, Option<u64>) {
    match why {
        NotStored::Covered => (v1::NotStoredReason::Covered, None),
        NotStored::PositionTooOld => (v1::NotStoredReason::PositionTooOld, None),
        NotStored::PositionUnknown => (v1::NotStoredReason::PositionUnknown, None),
        NotStored::Present => (v1::NotStoredReason::Present, None),
        NotStored::DependencyChanged => (v1::NotStoredReason::DependencyChanged, None),
        NotStored::TooManyDependencies => (v1::NotStoredReason::TooManyDependencies, None),
        NotStored::OlderSourceVersion(least) => {
            (v1::NotStoredReason::OlderSourceVersion, Some(least))
        }
    }
}

/// Why a lease is void.
pub(super) fn voided(why: Voided) -> v1::Voided {
    let (reason, min_source_version) = match why {
        Voided::Invalidated => (v1::VoidedReason::Invalidated, None),
        Voided::Expired => (v1::VoidedReason::Expired, None),
        Voided::DependencyChanged => (v1::VoidedReason::DependencyChanged, None),
        Voided::TooManyDependencies => (v1::VoidedReason::TooManyDependencies, None),
        Voided::OlderSourceVersion(least) => (v1::VoidedReason::OlderSourceVersion, Some(least)),
    };
    v1::Voided {
        reason: reason.into(),
        min_source_version,
    }
}

/// What an invalidation does.
pub(super) fn mode(mode: Mode) -> v1::InvalidateMode {
    match mode {
        Mode::Hard => v1::InvalidateMode::Hard,
        Mode::Soft => v1::InvalidateMode::Soft,
    }
}

/// A duration; none of ours comes near the limits of the message.
pub(super) fn duration(duration: Duration) -> prost_types::Duration {
    prost_types::Duration {
        seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(duration.subsec_nanos()).unwrap_or(0),
    }
}

/// A count; none of ours comes near the limit of the message.
pub(super) fn count(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// What was not available; not set when everything was.
pub(super) fn degraded(degraded: Degraded) -> Option<v1::Degraded> {
    let reasons = [
        (degraded.remote, v1::DegradedReason::RemoteUnavailable),
        (degraded.session, v1::DegradedReason::SessionNotFresh),
    ];
    let reasons = reasons.into_iter().filter(|(is, _)| *is);
    let reasons: Vec<_> = reasons.map(|(_, reason)| reason.into()).collect();
    (!reasons.is_empty()).then_some(v1::Degraded { reasons })
}

/// Whether a session may call anything fresh.
pub(super) fn session_state(state: SessionState) -> v1::SessionState {
    match state {
        SessionState::Joining => v1::SessionState::Joining,
        SessionState::Fresh => v1::SessionState::Fresh,
        SessionState::Lapsed => v1::SessionState::Lapsed,
        SessionState::Left => v1::SessionState::Left,
    }
}

/// A session.
pub(super) fn session(session: Session) -> v1::Session {
    v1::Session {
        id: format!("{:032x}", session.id.0),
        pod: session.pod,
    }
}
