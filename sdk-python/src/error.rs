//! unstale::Error → the exceptions of `unstale.errors`: the only place,
//! exhaustive.

use pyo3::prelude::*;
use std::time::Duration;
use unstale::Error;

/// What the Python side makes an exception of.
struct Told {
    kind: &'static str,
    message: String,
    reason: String,
    retry_after: Option<Duration>,
    violations: Vec<(String, String)>,
}

/// The exception, ready to be raised or to stand in a list of results.
pub(crate) fn exception(py: Python<'_>, error: Error) -> PyResult<Bound<'_, PyAny>> {
    let told = Told::from(error);
    let retry_after = told.retry_after.map(|after| after.as_secs_f64());
    let errors = py.import("unstale.errors")?;
    errors.getattr("from_native")?.call1((
        told.kind,
        told.message,
        told.reason,
        retry_after,
        told.violations,
    ))
}

/// The exception as one that is raised.
pub(crate) fn raised(py: Python<'_>, error: Error) -> PyErr {
    exception(py, error).map_or_else(|broken| broken, PyErr::from_value)
}

impl From<Error> for Told {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        let told = |kind, reason, retry_after| Self {
            kind,
            message: message.clone(),
            reason,
            retry_after,
            violations: Vec::new(),
        };
        match error {
            Error::Endpoint(_) => told("EndpointError", String::new(), None),
            Error::Unreachable(_) => told("Unreachable", String::new(), None),
            Error::Invalid {
                reason, violations, ..
            } => {
                let each = violations.into_iter();
                Self {
                    violations: each.map(|v| (v.field, v.description)).collect(),
                    ..told("Invalid", reason, None)
                }
            }
            Error::Unavailable {
                reason,
                retry_after,
                ..
            } => told("Unavailable", reason, retry_after),
            Error::Overloaded {
                reason,
                retry_after,
                ..
            } => told("Overloaded", reason, retry_after),
            Error::DeadlineExceeded { reason, .. } => told("DeadlineExceeded", reason, None),
            Error::OutcomeUnknown { reason, .. } => told("OutcomeUnknown", reason, None),
            Error::UnknownLease(_) => told("UnknownLease", "UNKNOWN_LEASE".to_owned(), None),
            Error::Busy { retry_after } => told("Busy", String::new(), Some(retry_after)),
            Error::Unsupported { reason, .. } => told("Unsupported", reason, None),
            Error::Answer(_) => told("AnswerError", String::new(), None),
            Error::Other { reason, .. } => told("Error", reason, None),
            _ => told("Error", String::new(), None),
        }
    }
}
