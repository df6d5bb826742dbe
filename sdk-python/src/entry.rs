//! Entries and lookups as Python sees them.

use crate::grant::Grant;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};
use unstale::{
    Degraded, Entry, Freshness, Lookup, Negative, NotModified, StaleReason, Tier, Value,
};

/// An entry; for a negative one and for content that is not modified, without
/// data.
#[pyclass(frozen, module = "unstale._native")]
pub(crate) struct RawEntry {
    value: Option<Value>,
    /// What the value is; empty when the writer gave nothing.
    #[pyo3(get)]
    content_type: String,
    /// Opaque version.
    #[pyo3(get)]
    version: String,
    /// Hash of the content; empty when negative.
    #[pyo3(get)]
    etag: String,
    /// The origin's version.
    #[pyo3(get)]
    source_version: Option<u64>,
    /// The tags it was stored with.
    #[pyo3(get)]
    tags: Vec<String>,
    /// "L1", "REMOTE" or "OTHER".
    #[pyo3(get)]
    tier: &'static str,
    /// Whether it may be treated as current.
    #[pyo3(get)]
    fresh: bool,
    /// Why it may not.
    #[pyo3(get)]
    stale_reason: Option<&'static str>,
    /// Seconds since it was stored.
    #[pyo3(get)]
    age: f64,
    /// Seconds until it expires.
    #[pyo3(get)]
    ttl_left: f64,
    /// Seconds for which it may still be served stale, `ttl_left` included.
    #[pyo3(get)]
    stale_left: f64,
}

#[pymethods]
impl RawEntry {
    /// Bytes, or text that was stored as text; none when there is no value.
    #[getter]
    fn data<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.value.as_ref().map(|value| given(py, value))
    }
}

fn given<'py>(py: Python<'py>, value: &Value) -> Bound<'py, PyAny> {
    match value {
        Value::Data(data) => PyBytes::new(py, data).into_any(),
        Value::Text(text) => PyString::new(py, text).into_any(),
    }
}

/// Data, none in a negative entry, and content type.
pub(crate) type Fetched<'py> = (Option<Bound<'py, PyAny>>, Bound<'py, PyString>);

/// Only what a value is made of.
pub(crate) fn fetched(py: Python<'_>, lookup: Lookup) -> Option<Fetched<'_>> {
    match lookup {
        Lookup::Hit(entry) => Some(of_entry(py, &entry)),
        Lookup::Negative(_) | Lookup::NotModified(_) => Some(of_nothing(py)),
        Lookup::Miss => None,
    }
}

pub(crate) fn of_entry<'py>(py: Python<'py>, entry: &Entry) -> Fetched<'py> {
    let data = given(py, &entry.value);
    (Some(data), PyString::new(py, &entry.content_type))
}

/// The origin has nothing.
pub(crate) fn of_nothing(py: Python<'_>) -> Fetched<'_> {
    (None, PyString::new(py, ""))
}

impl From<Entry> for RawEntry {
    fn from(entry: Entry) -> Self {
        Self {
            value: Some(entry.value),
            content_type: entry.content_type,
            version: entry.version,
            etag: entry.etag,
            source_version: entry.source_version,
            tags: entry.tags,
            tier: tier(entry.tier),
            fresh: entry.freshness == Freshness::Fresh,
            stale_reason: entry.stale_reason.map(stale_reason),
            age: entry.age.as_secs_f64(),
            ttl_left: entry.ttl_left.as_secs_f64(),
            stale_left: entry.stale_left.as_secs_f64(),
        }
    }
}

impl From<Negative> for RawEntry {
    fn from(negative: Negative) -> Self {
        Self {
            value: None,
            content_type: String::new(),
            version: negative.version,
            etag: String::new(),
            source_version: negative.source_version,
            tags: negative.tags,
            tier: tier(negative.tier),
            fresh: negative.freshness == Freshness::Fresh,
            stale_reason: negative.stale_reason.map(stale_reason),
            age: negative.age.as_secs_f64(),
            ttl_left: negative.ttl_left.as_secs_f64(),
            stale_left: negative.ttl_left.as_secs_f64(),
        }
    }
}

impl From<NotModified> for RawEntry {
    fn from(same: NotModified) -> Self {
        Self {
            value: None,
            content_type: String::new(),
            version: same.version,
            etag: same.etag,
            source_version: None,
            tags: Vec::new(),
            tier: tier(same.tier),
            fresh: same.freshness == Freshness::Fresh,
            stale_reason: same.stale_reason.map(stale_reason),
            age: same.age.as_secs_f64(),
            ttl_left: same.ttl_left.as_secs_f64(),
            stale_left: same.ttl_left.as_secs_f64(),
        }
    }
}

/// What a read or a lease found.
#[pyclass(frozen, module = "unstale._native")]
pub(crate) struct Answer {
    /// "hit", "negative", "not_modified", "miss", "granted" or "busy".
    #[pyo3(get)]
    pub(crate) kind: &'static str,
    /// What was found; with "granted" and "busy" the stale one, if any.
    #[pyo3(get)]
    pub(crate) entry: Option<Py<RawEntry>>,
    /// The right to load, with "granted".
    #[pyo3(get)]
    pub(crate) grant: Option<Py<Grant>>,
    /// Seconds after which to ask again, with "busy".
    #[pyo3(get)]
    pub(crate) retry_after: Option<f64>,
    /// The pod's position.
    #[pyo3(get)]
    pub(crate) position: String,
    /// What was not available.
    #[pyo3(get)]
    pub(crate) degraded: Vec<&'static str>,
}

impl Answer {
    /// Others load, and will have nothing to share.
    pub(crate) fn alone() -> Self {
        Self {
            kind: "alone",
            entry: None,
            grant: None,
            retry_after: None,
            position: String::new(),
            degraded: Vec::new(),
        }
    }

    pub(crate) fn found(
        py: Python<'_>,
        lookup: Lookup,
        position: String,
        degraded: Vec<&'static str>,
    ) -> PyResult<Self> {
        let (kind, entry) = raw(lookup);
        Ok(Self {
            kind,
            entry: entry.map(|entry| Py::new(py, entry)).transpose()?,
            grant: None,
            retry_after: None,
            position,
            degraded,
        })
    }
}

/// The kind of a lookup, and the entry that it carries.
pub(crate) fn raw(lookup: Lookup) -> (&'static str, Option<RawEntry>) {
    match lookup {
        Lookup::Hit(entry) => ("hit", Some(entry.into())),
        Lookup::Negative(negative) => ("negative", Some(negative.into())),
        Lookup::NotModified(same) => ("not_modified", Some(same.into())),
        Lookup::Miss => ("miss", None),
    }
}

pub(crate) fn degraded(reasons: Vec<Degraded>) -> Vec<&'static str> {
    let each = reasons.into_iter().map(|reason| match reason {
        Degraded::RemoteUnavailable => "REMOTE_UNAVAILABLE",
        Degraded::SessionNotFresh => "SESSION_NOT_FRESH",
        Degraded::AnswerTooLarge => "ANSWER_TOO_LARGE",
        _ => "OTHER",
    });
    each.collect()
}

fn tier(tier: Tier) -> &'static str {
    match tier {
        Tier::L1 => "L1",
        Tier::Remote => "REMOTE",
        _ => "OTHER",
    }
}

fn stale_reason(reason: StaleReason) -> &'static str {
    match reason {
        StaleReason::Expired => "EXPIRED",
        StaleReason::SoftInvalidated => "SOFT_INVALIDATED",
        StaleReason::SessionNotFresh => "SESSION_NOT_FRESH",
        _ => "OTHER",
    }
}
