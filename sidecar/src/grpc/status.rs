//! engine::Error → tonic::Status: the only place, exhaustive.
//!
//! Every status carries google.rpc.ErrorInfo with domain `unstale.dev`, and
//! RetryInfo or PreconditionFailure where it helps the caller.

use std::collections::HashMap;
use std::time::Duration;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt as _};
use unstale_engine::{Error, limits};

/// The domain of every ErrorInfo.
const DOMAIN: &str = "unstale.dev";
/// When to try again what was away.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// What the caller sees of an engine's error.
pub(super) fn status(error: Error) -> Status {
    let message = error.to_string();
    match error {
        Error::LogUnavailable(_) => {
            let details = retry("LOG_UNAVAILABLE", RETRY_AFTER);
            Status::with_error_details(Code::Unavailable, message, details)
        }
        Error::RemoteUnavailable(_) => {
            let details = retry("REMOTE_UNAVAILABLE", RETRY_AFTER);
            Status::with_error_details(Code::Unavailable, message, details)
        }
        Error::FleetUnknown => plain(Code::Unknown, "FLEET_UNKNOWN", message),
        Error::DeadlineExceeded => plain(Code::DeadlineExceeded, "DEADLINE_EXCEEDED", message),
        Error::PositionNotReached => plain(Code::DeadlineExceeded, "POSITION_NOT_REACHED", message),
        Error::Overloaded { retry_after } => {
            let details = retry("OVERLOADED", retry_after);
            Status::with_error_details(Code::ResourceExhausted, message, details)
        }
        Error::UnknownLease => {
            let mut details = info("UNKNOWN_LEASE", HashMap::new());
            details.add_precondition_failure_violation("LEASE", "lease_token", message.clone());
            Status::with_error_details(Code::FailedPrecondition, message, details)
        }
        Error::ShuttingDown => {
            let details = retry("SHUTTING_DOWN", RETRY_AFTER);
            Status::with_error_details(Code::Unavailable, message, details)
        }
    }
}

/// The deadline had passed when the call arrived: nothing was done.
pub(super) fn too_late() -> Status {
    let message = "the deadline had passed when the call arrived; nothing was done";
    plain(Code::DeadlineExceeded, "DEADLINE_EXCEEDED", message.into())
}

/// Everything that is wrong with a request; `too_large` says that a value is.
pub(super) fn bad_request(violations: Vec<FieldViolation>, too_large: bool) -> Status {
    let each = violations
        .iter()
        .map(|v| format!("{} {}", v.field, v.description));
    let message = each.collect::<Vec<_>>().join("; ");
    let mut details = if too_large {
        value_too_large()
    } else {
        info("INVALID_REQUEST", HashMap::new())
    };
    details.set_bad_request(violations);
    Status::with_error_details(Code::InvalidArgument, message, details)
}

/// The request is not a message of the contract (text that is not UTF-8).
pub(super) fn undecodable(message: &str) -> Status {
    plain(Code::InvalidArgument, "INVALID_REQUEST", message.into())
}

/// The message is longer than any request may be.
pub(super) fn message_too_large() -> Status {
    let message = format!("a value may have at most {} bytes", limits::VALUE_BYTES);
    Status::with_error_details(Code::InvalidArgument, message, value_too_large())
}

/// The values of a batch's answer are too long together.
pub(super) fn batch_too_large() -> Status {
    let limit = limits::BATCH_BYTES;
    let message = format!("the values found are over {limit} bytes together; ask for fewer keys");
    let limit = HashMap::from([("limit_bytes".into(), limit.to_string())]);
    let details = info("BATCH_TOO_LARGE", limit);
    Status::with_error_details(Code::ResourceExhausted, message, details)
}

fn value_too_large() -> ErrorDetails {
    let limit = limits::VALUE_BYTES.to_string();
    info(
        "VALUE_TOO_LARGE",
        HashMap::from([("limit_bytes".into(), limit)]),
    )
}

fn plain(code: Code, reason: &str, message: String) -> Status {
    Status::with_error_details(code, message, info(reason, HashMap::new()))
}

fn retry(reason: &str, after: Duration) -> ErrorDetails {
    let mut details = info(reason, HashMap::new());
    details.set_retry_info(Some(after));
    details
}

fn info(reason: &str, metadata: HashMap<String, String>) -> ErrorDetails {
    ErrorDetails::with_error_info(reason, DOMAIN, metadata)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_names_its_reason_and_retryable_ones_say_when() {
        let later = Duration::from_millis(50);
        let table = [
            (
                Error::LogUnavailable("x".into()),
                Code::Unavailable,
                "LOG_UNAVAILABLE",
                true,
            ),
            (
                Error::RemoteUnavailable("x".into()),
                Code::Unavailable,
                "REMOTE_UNAVAILABLE",
                true,
            ),
            (Error::FleetUnknown, Code::Unknown, "FLEET_UNKNOWN", false),
            (
                Error::DeadlineExceeded,
                Code::DeadlineExceeded,
                "DEADLINE_EXCEEDED",
                false,
            ),
            (
                Error::PositionNotReached,
                Code::DeadlineExceeded,
                "POSITION_NOT_REACHED",
                false,
            ),
            (
                Error::Overloaded { retry_after: later },
                Code::ResourceExhausted,
                "OVERLOADED",
                true,
            ),
            (
                Error::UnknownLease,
                Code::FailedPrecondition,
                "UNKNOWN_LEASE",
                false,
            ),
            (
                Error::ShuttingDown,
                Code::Unavailable,
                "SHUTTING_DOWN",
                true,
            ),
        ];
        for (error, code, reason, retries) in table {
            let status = status(error);
            let details = status.get_error_details();
            let info = details.error_info().expect("every error has an ErrorInfo");
            assert_eq!(status.code(), code, "{reason}");
            assert_eq!(
                (info.reason.as_str(), info.domain.as_str()),
                (reason, DOMAIN)
            );
            assert_eq!(details.retry_info().is_some(), retries, "{reason}");
        }
    }
}
