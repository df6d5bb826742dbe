//! Between messages and the engine's types.
//!
//! Decoding collects every violation, each under the path its field has in the
//! request, so that a caller mends a request once. Encoding cannot fail.

use super::status;
use bytes::Bytes;
use std::time::Duration;
use tonic::Status;
use tonic_types::FieldViolation;
use unstale_engine::key::{BadName, Key, Namespace, Tag};
use unstale_engine::limits;
use unstale_engine::position::Position;
use unstale_engine::request::{Ack, Degraded, Found, NewEntry, Session, Tier, Value};
use unstale_proto::v1;

/// What is wrong with a request, so far.
#[derive(Default)]
pub(super) struct Violations {
    all: Vec<FieldViolation>,
    too_large: bool,
}

impl Violations {
    /// The decoded parts if nothing was wrong with any.
    pub(super) fn finish<T>(self, parts: Option<T>) -> Result<T, Status> {
        match parts {
            Some(parts) if self.all.is_empty() => Ok(parts),
            _ => Err(status::bad_request(self.all, self.too_large)),
        }
    }

    pub(super) fn add(&mut self, field: impl Into<String>, what: impl Into<String>) {
        self.all.push(FieldViolation::new(field, what));
    }

    fn name<T>(&mut self, field: &str, name: Result<T, BadName>) -> Option<T> {
        name.map_err(|bad| self.add(field, bad.0)).ok()
    }

    pub(super) fn namespace(&mut self, text: &str) -> Option<Namespace> {
        self.name("namespace", Namespace::new(text))
    }

    pub(super) fn key(&mut self, namespace: &str, key: &str) -> Option<Key> {
        let namespace = self.namespace(namespace);
        self.key_in("key", namespace.as_ref(), key)
    }

    pub(super) fn keys(
        &mut self,
        namespace: Option<&Namespace>,
        keys: &[String],
    ) -> Option<Vec<Key>> {
        if keys.len() > limits::BATCH_KEYS {
            let (count, max) = (keys.len(), limits::BATCH_KEYS);
            self.add(
                "keys",
                format!("has {count} elements; at most {max} are allowed"),
            );
            return None;
        }
        let each = keys.iter().enumerate();
        let keys: Vec<_> = each
            .map(|(i, key)| self.key_in(&format!("keys[{i}]"), namespace, key))
            .collect();
        keys.into_iter().collect()
    }

    fn key_in(&mut self, field: &str, namespace: Option<&Namespace>, key: &str) -> Option<Key> {
        // A key is judged even when its namespace is bad.
        let good = namespace.is_some();
        let namespace = namespace.cloned().or_else(|| Namespace::new("").ok())?;
        let key = self.name(field, Key::new(namespace, key));
        key.filter(|_| good)
    }

    pub(super) fn tags(&mut self, tags: &[String]) -> Option<Vec<Tag>> {
        if tags.len() > limits::TAGS {
            let (count, max) = (tags.len(), limits::TAGS);
            self.add(
                "tags",
                format!("has {count} elements; at most {max} are allowed"),
            );
            return None;
        }
        let mut checked = Vec::with_capacity(tags.len());
        for (i, text) in tags.iter().enumerate() {
            let tag = self.name(&format!("tags[{i}]"), Tag::new(text));
            if let Some(tag) = tag
                && !checked.contains(&tag)
            {
                checked.push(tag);
            }
        }
        Some(checked)
    }

    pub(super) fn text(&mut self, field: &str, text: &str, max: usize) {
        if text.len() > max {
            let bytes = text.len();
            self.add(
                field,
                format!("is {bytes} bytes long; at most {max} are allowed"),
            );
        }
    }

    /// An optional position; empty means none.
    pub(super) fn position(&mut self, field: &str, text: &str) -> Option<Position> {
        if text.is_empty() {
            return None;
        }
        let position = text.parse();
        position
            .map_err(|bad: unstale_engine::position::NotAPosition| self.add(field, bad.to_string()))
            .ok()
    }

    /// An optional duration within bounds.
    pub(super) fn duration(
        &mut self,
        field: &str,
        given: Option<prost_types::Duration>,
        (min, max): (Duration, Duration),
    ) -> Option<Duration> {
        let given = given?;
        let duration = Duration::try_from(given).ok();
        let good = duration.filter(|d| (min..=max).contains(d));
        if good.is_none() {
            self.add(
                field,
                format!("must be from {min:?} to {} s", max.as_secs()),
            );
        }
        good
    }

    pub(super) fn ack(&mut self, ack: i32) -> Option<Ack> {
        match v1::Ack::try_from(ack) {
            Ok(v1::Ack::Unspecified | v1::Ack::Log) => Some(Ack::Log),
            Ok(v1::Ack::Local) => Some(Ack::Local),
            Ok(v1::Ack::Fleet) => Some(Ack::Fleet),
            Err(_) => {
                self.add("ack", "is not an Ack this sidecar knows");
                None
            }
        }
    }

    pub(super) fn entry(&mut self, parts: EntryParts<'_>) -> Option<NewEntry> {
        let (data, text) = parts.value.unwrap_or_else(|| {
            self.add("value", "is missing: give data or text (it may be empty)");
            Default::default()
        });
        if data.len() > limits::VALUE_BYTES {
            let (bytes, max) = (data.len(), limits::VALUE_BYTES);
            let field = if text { "text" } else { "data" };
            self.add(
                field,
                format!("is {bytes} bytes long; at most {max} are allowed"),
            );
            self.too_large = true;
        }
        self.text(
            "content_type",
            parts.content_type,
            limits::CONTENT_TYPE_BYTES,
        );
        let ttl = self.duration("ttl", parts.ttl, (limits::TTL_MIN, limits::TTL_MAX));
        let tags = self.tags(parts.tags)?;
        let content_type = parts.content_type.to_owned();
        let value = Value {
            data,
            text,
            content_type,
        };
        Some(NewEntry { value, ttl, tags })
    }
}

/// The fields that every storing request has.
pub(super) struct EntryParts<'a> {
    /// The bytes, and whether they are text.
    pub(super) value: Option<(Bytes, bool)>,
    pub(super) content_type: &'a str,
    pub(super) ttl: Option<prost_types::Duration>,
    pub(super) tags: &'a [String],
}

/// An entry as found.
pub(super) fn entry(found: Found) -> v1::Entry {
    let tier = match found.tier {
        Tier::L1 => v1::Tier::L1,
        Tier::Remote => v1::Tier::Remote,
    };
    let data = found.value.data;
    let text = found
        .value
        .text
        .then(|| std::str::from_utf8(&data).ok().map(str::to_owned));
    let value = match text.flatten() {
        Some(text) => v1::entry::Value::Text(text),
        None => v1::entry::Value::Data(data),
    };
    v1::Entry {
        value: Some(value),
        content_type: found.value.content_type,
        version: found.version,
        tags: found
            .tags
            .iter()
            .map(|tag| tag.as_str().to_owned())
            .collect(),
        tier: tier.into(),
        freshness: v1::Freshness::Fresh.into(),
        age: Some(duration(found.age)),
        ttl_left: Some(duration(found.ttl_left)),
    }
}

/// A duration; none of ours comes near the limits of the message.
pub(super) fn duration(duration: Duration) -> prost_types::Duration {
    prost_types::Duration {
        seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(duration.subsec_nanos()).unwrap_or(0),
    }
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

/// A session.
pub(super) fn session(session: Session) -> v1::Session {
    v1::Session {
        id: format!("{:032x}", session.id.0),
        pod: session.pod,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic_types::StatusExt as _;

    fn fields(status: &Status) -> Vec<String> {
        let details = status.get_error_details();
        let violations = details.bad_request().expect("a BadRequest");
        violations
            .field_violations
            .iter()
            .map(|v| v.field.clone())
            .collect()
    }

    #[test]
    fn every_violation_of_a_request_is_reported_at_once() {
        let mut wrong = Violations::default();
        let key = wrong.key("Bad Namespace", "");
        let tags = vec!["t".to_owned(); 17];
        let ttl = Some(prost_types::Duration {
            seconds: 0,
            nanos: 0,
        });
        let content_type = &"c".repeat(129);
        let entry = wrong.entry(EntryParts {
            value: None,
            content_type,
            ttl,
            tags: &tags,
        });
        wrong.position("position", "nonsense");
        wrong.ack(99);
        let status = wrong.finish(key.zip(entry)).unwrap_err();
        assert_eq!(status.code(), tonic::Code::InvalidArgument);
        let expected = [
            "namespace",
            "key",
            "value",
            "content_type",
            "ttl",
            "tags",
            "position",
            "ack",
        ];
        assert_eq!(fields(&status), expected);
    }

    #[test]
    fn a_value_over_the_limit_has_its_own_reason_with_the_limit() {
        let mut wrong = Violations::default();
        let value = Some((Bytes::from(vec![0; limits::VALUE_BYTES + 1]), false));
        let parts = EntryParts {
            value,
            content_type: "",
            ttl: None,
            tags: &[],
        };
        let entry = wrong.entry(parts);
        let status = wrong.finish(entry).unwrap_err();
        let details = status.get_error_details();
        let info = details.error_info().unwrap();
        assert_eq!(info.reason, "VALUE_TOO_LARGE");
        assert_eq!(
            info.metadata["limit_bytes"],
            limits::VALUE_BYTES.to_string()
        );
    }

    #[test]
    fn absurd_ttls_are_refused_and_repeated_tags_are_one() {
        for (seconds, nanos) in [
            (0, 0),
            (-1, 0),
            (0, 999_999),
            (31 * 86_400, 0),
            (i64::MAX, 0),
        ] {
            let mut wrong = Violations::default();
            let ttl = prost_types::Duration { seconds, nanos };
            let bounds = (limits::TTL_MIN, limits::TTL_MAX);
            assert_eq!(
                wrong.duration("ttl", Some(ttl), bounds),
                None,
                "{seconds} {nanos}"
            );
        }
        let tags = ["a".to_owned(), "a".to_owned()];
        assert_eq!(Violations::default().tags(&tags).unwrap().len(), 1);
    }
}
