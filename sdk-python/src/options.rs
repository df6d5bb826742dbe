//! Arguments as Python gives them: seconds, bytes or text, names in capitals.

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};
use std::time::Duration;
use unstale::{
    Ack, Bytes, Content, Dependency, EntryOptions, Expected, InvalidateMode, ReadLevel, Value,
};

/// How an entry is stored: ttl, stale_for, valid_for and jitter in seconds,
/// tags, source version, content type, keys that it depends on with their versions.
pub(crate) type Store = (
    Option<f64>,
    Option<f64>,
    Option<f64>,
    Option<f64>,
    Vec<String>,
    Option<u64>,
    String,
    Vec<(String, Option<String>)>,
);

pub(crate) fn stored(store: Store) -> PyResult<EntryOptions> {
    let (ttl, stale_for, valid_for, jitter, tags, source_version, content_type, on) = store;
    let on = on.into_iter();
    Ok(EntryOptions {
        ttl: seconds(ttl)?,
        stale_for: seconds(stale_for)?,
        valid_for: seconds(valid_for)?,
        jitter: seconds(jitter)?,
        tags,
        source_version,
        content_type,
        depends_on: on
            .map(|(key, version)| Dependency { key, version })
            .collect(),
    })
}

pub(crate) fn seconds(seconds: Option<f64>) -> PyResult<Option<Duration>> {
    let wrong = |_| PyValueError::new_err("a duration is a number of seconds, not negative");
    let duration = seconds.map(Duration::try_from_secs_f64);
    duration.transpose().map_err(wrong)
}

/// Bytes, text, or none for "the origin has nothing".
pub(crate) fn content(data: Option<Bound<'_, PyAny>>) -> PyResult<Content> {
    let Some(data) = data else {
        return Ok(Content::NotFound);
    };
    if let Ok(bytes) = data.cast::<PyBytes>() {
        let bytes = Bytes::copy_from_slice(bytes.as_bytes());
        return Ok(Content::Value(Value::Data(bytes)));
    }
    match data.cast::<PyString>() {
        Ok(text) => Ok(Content::Value(Value::Text(text.to_cow()?.into_owned()))),
        Err(_) => Err(PyTypeError::new_err("data is bytes, str or None")),
    }
}

pub(crate) fn ack(name: &str) -> PyResult<Ack> {
    match name {
        "LOCAL" => Ok(Ack::Local),
        "LOG" => Ok(Ack::Log),
        "FLEET" => Ok(Ack::Fleet),
        _ => Err(unknown("ack", name)),
    }
}

pub(crate) fn level(name: &str) -> PyResult<ReadLevel> {
    match name {
        "BOUNDED" => Ok(ReadLevel::Bounded),
        "STRONG" => Ok(ReadLevel::Strong),
        "STALE_OK" => Ok(ReadLevel::StaleOk),
        _ => Err(unknown("level", name)),
    }
}

pub(crate) fn mode(name: &str) -> PyResult<InvalidateMode> {
    match name {
        "HARD" => Ok(InvalidateMode::Hard),
        "SOFT" => Ok(InvalidateMode::Soft),
        _ => Err(unknown("mode", name)),
    }
}

pub(crate) fn expected(what: &str, value: String) -> PyResult<Expected> {
    match what {
        "version" => Ok(Expected::Version(value)),
        "etag" => Ok(Expected::Etag(value)),
        "absent" => Ok(Expected::Absent),
        _ => Err(unknown("expectation", what)),
    }
}

fn unknown(what: &str, name: &str) -> PyErr {
    PyValueError::new_err(format!("{name:?} is no {what}"))
}
