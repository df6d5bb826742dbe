//! What is wrong with a request: every violation, each under the path its field
//! has in the request, so that a caller mends a request once.
//!
//! Judges names, texts, enums and durations, whatever the request. Refuses
//! nothing by itself: [`Violations::finish`] does, with all of it. However bad
//! the request, the answer stays small: it travels in trailers, of which some
//! clients take 8 KiB only.

use super::status::{self, BadRequest};
use std::collections::HashMap;
use std::fmt::Display;
use std::time::Duration;
use tonic::Status;
use tonic_types::FieldViolation;
use unstale_engine::key::{BadName, Key, Namespace, Prefix, Tag};
use unstale_engine::limits;
use unstale_engine::position::{NotAPosition, Position};
use unstale_engine::references::Owner;
use unstale_engine::request::{Ack, Level, Mode};
use unstale_proto::v1;

/// Most violations that are named; the others are counted.
const NAMED: usize = 64;
/// Most bytes of those that are named.
const NAMED_BYTES: usize = 3 * 1024;

/// What is wrong with a request, so far.
#[derive(Default)]
pub(super) struct Violations {
    named: Vec<FieldViolation>,
    named_bytes: usize,
    more: usize,
    /// Where the fields that are judged now are: "items[3]." in a batch.
    path: String,
    reason: Option<&'static str>,
    metadata: HashMap<String, String>,
}

impl Violations {
    /// The decoded parts if nothing was wrong with any.
    pub(super) fn finish<T>(self, parts: Option<T>) -> Result<T, Status> {
        match parts {
            Some(parts) if self.named.is_empty() && self.more == 0 => Ok(parts),
            _ => Err(status::bad_request(BadRequest {
                violations: self.named,
                more: self.more,
                reason: self.reason.unwrap_or("INVALID_REQUEST"),
                metadata: self.metadata,
            })),
        }
    }

    /// One more; fields are named as in the part that is judged now.
    pub(super) fn add(&mut self, field: impl Display, what: impl Into<String>) {
        let (field, what) = (format!("{}{field}", self.path), what.into());
        let bytes = self.named_bytes + field.len() + what.len();
        if self.named.len() >= NAMED || bytes > NAMED_BYTES {
            self.more += 1;
            return;
        }
        self.named_bytes = bytes;
        self.named.push(FieldViolation::new(field, what));
    }

    /// Judges a part of the request; its fields are named under `path`.
    pub(super) fn within<T>(&mut self, path: String, judge: impl FnOnce(&mut Self) -> T) -> T {
        let inner = format!("{}{path}.", self.path);
        let outer = std::mem::replace(&mut self.path, inner);
        let judged = judge(self);
        self.path = outer;
        judged
    }

    /// The request has a limit of its own to tell: the reason, if it is worth
    /// one, and the limit for programs.
    pub(super) fn limit(&mut self, reason: Option<&'static str>, name: &str, limit: impl Display) {
        self.reason = self.reason.or(reason);
        self.metadata.insert(name.into(), limit.to_string());
    }

    fn name<T>(&mut self, field: impl Display, name: Result<T, BadName>) -> Option<T> {
        name.map_err(|bad| self.add(field, bad.0)).ok()
    }

    /// Whether the list is no longer than it may be.
    pub(super) fn count(&mut self, field: &str, count: usize, max: usize) -> bool {
        if count > max {
            let what = format!("has {count} elements; at most {max} are allowed");
            self.add(field, what);
        }
        count <= max
    }

    fn names<T>(
        &mut self,
        field: &str,
        texts: &[String],
        max: usize,
        check: impl Fn(&str) -> Result<T, BadName>,
    ) -> Option<Vec<T>> {
        if !self.count(field, texts.len(), max) {
            return None;
        }
        let each = texts.iter().enumerate();
        let checked: Vec<_> = each
            .map(|(i, text)| self.name(format_args!("{field}[{i}]"), check(text)))
            .collect();
        checked.into_iter().collect()
    }

    pub(super) fn namespace(&mut self, text: &str) -> Option<Namespace> {
        self.name("namespace", Namespace::new(text))
    }

    /// A key is judged even when its namespace is bad.
    pub(super) fn key(&mut self, namespace: Option<&Namespace>, key: &str) -> Option<Key> {
        let judged = self.name("key", Key::new(or_default(namespace)?, key));
        judged.filter(|_| namespace.is_some())
    }

    pub(super) fn keys(
        &mut self,
        namespace: Option<&Namespace>,
        keys: &[String],
        max: usize,
    ) -> Option<Vec<Key>> {
        let judged_in = or_default(namespace)?;
        let check = |key: &str| Key::new(judged_in.clone(), key);
        let judged = self.names("keys", keys, max, check);
        judged.filter(|_| namespace.is_some())
    }

    pub(super) fn owner(&mut self, text: &str) -> Option<Owner> {
        self.name("owner", Owner::new(text))
    }

    /// Tags; one that is repeated is one.
    pub(super) fn tags(&mut self, tags: &[String], max: usize) -> Option<Vec<Tag>> {
        let mut once = Vec::with_capacity(tags.len().min(max));
        for tag in self.names("tags", tags, max, Tag::new)? {
            if !once.contains(&tag) {
                once.push(tag);
            }
        }
        Some(once)
    }

    pub(super) fn prefixes(&mut self, prefixes: &[String]) -> Option<Vec<Prefix>> {
        self.names("prefixes", prefixes, limits::PREFIXES, Prefix::new)
    }

    pub(super) fn text(&mut self, field: &str, text: &str, max: usize) {
        let bytes = text.len();
        if bytes > max {
            let what = format!("is {bytes} bytes long; at most {max} are allowed");
            self.add(field, what);
        }
    }

    /// An optional position; empty means none.
    pub(super) fn position(&mut self, field: &str, text: &str) -> Option<Position> {
        if text.is_empty() {
            return None;
        }
        let position = text.parse();
        position
            .map_err(|bad: NotAPosition| self.add(field, format!("is {bad}")))
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
        if !is_well_formed(given) {
            let what =
                "is not a Duration: nanos are at most 999,999,999 and of the sign of seconds";
            self.add(field, what);
            return None;
        }
        let parts = u64::try_from(given.seconds).ok();
        let parts = parts.zip(u32::try_from(given.nanos).ok());
        let duration = parts.map(|(seconds, nanos)| Duration::new(seconds, nanos));
        let good = duration.filter(|d| (min..=max).contains(d));
        if good.is_none() {
            let what = format!("must be from {} to {}", show(min), show(max));
            self.add(field, what);
        }
        good
    }

    pub(super) fn ack(&mut self, ack: i32) -> Option<Ack> {
        match v1::Ack::try_from(ack) {
            Ok(v1::Ack::Unspecified | v1::Ack::Log) => Some(Ack::Log),
            Ok(v1::Ack::Local) => Some(Ack::Local),
            Ok(v1::Ack::Fleet) => Some(Ack::Fleet),
            Err(_) => self.unknown("ack", "an Ack"),
        }
    }

    pub(super) fn level(&mut self, level: i32) -> Option<Level> {
        match v1::ReadLevel::try_from(level) {
            Ok(v1::ReadLevel::Unspecified | v1::ReadLevel::Bounded) => Some(Level::Bounded),
            Ok(v1::ReadLevel::Strong) => Some(Level::Strong),
            Ok(v1::ReadLevel::StaleOk) => Some(Level::StaleOk),
            Err(_) => self.unknown("level", "a ReadLevel"),
        }
    }

    pub(super) fn mode(&mut self, mode: i32) -> Option<Mode> {
        match v1::InvalidateMode::try_from(mode) {
            Ok(v1::InvalidateMode::Unspecified | v1::InvalidateMode::Hard) => Some(Mode::Hard),
            Ok(v1::InvalidateMode::Soft) => Some(Mode::Soft),
            Err(_) => self.unknown("mode", "an InvalidateMode"),
        }
    }

    fn unknown<T>(&mut self, field: &str, kind: &str) -> Option<T> {
        self.add(field, format!("is not {kind} this sidecar knows"));
        None
    }
}

fn or_default(namespace: Option<&Namespace>) -> Option<Namespace> {
    namespace.cloned().or_else(|| Namespace::new("").ok())
}

/// As google.protobuf.Duration demands.
fn is_well_formed(given: prost_types::Duration) -> bool {
    let (seconds, nanos) = (given.seconds.signum(), i64::from(given.nanos.signum()));
    let in_range = (-999_999_999..=999_999_999).contains(&given.nanos);
    in_range && seconds * nanos >= 0
}

fn show(time: Duration) -> String {
    match time.subsec_millis() {
        0 => format!("{} s", time.as_secs()),
        _ => format!("{} ms", time.as_millis()),
    }
}

#[cfg(test)]
mod tests;
