//! tonic::Status → what a caller can act on: the only place, exhaustive.

use crate::{Error, Violation};
use std::fmt::Write as _;
use std::time::Duration;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use unstale_proto::v1;

/// The reasons with which the sidecar says that an ack got lost: of the fleet,
/// and of the remote tier.
const UNKNOWN: [&str; 2] = ["FLEET_UNKNOWN", "REMOTE_UNKNOWN"];

impl From<Status> for Error {
    fn from(status: Status) -> Self {
        let info = status.get_details_error_info();
        let told = info.is_some();
        let reason = info.map(|info| info.reason).unwrap_or_default();
        let message = status.message().to_owned();
        let code = status.code();
        if UNKNOWN.contains(&reason.as_str()) {
            return Self::OutcomeUnknown { reason, message };
        }
        match code {
            // tonic's own word for an answer that is too long to be read.
            Code::OutOfRange if !told => Self::Answer("an answer is too long to be read"),
            Code::InvalidArgument | Code::OutOfRange => Self::Invalid {
                reason,
                message,
                violations: violations(&status),
            },
            Code::Unavailable if told => Self::Unavailable {
                reason,
                message,
                retry_after: retry_after(&status),
            },
            // The sidecar gives a reason with every error: this one is the
            // transport's.
            Code::Unavailable => Self::Unreachable(chain(&status)),
            Code::ResourceExhausted => Self::Overloaded {
                reason,
                message,
                retry_after: retry_after(&status),
            },
            Code::DeadlineExceeded => Self::DeadlineExceeded { reason, message },
            Code::FailedPrecondition if reason == "UNKNOWN_LEASE" => Self::UnknownLease(message),
            Code::Unimplemented => Self::Unsupported { reason, message },
            Code::Unknown | Code::Cancelled | Code::Internal
                if !told && (broken(&status) || unready(&status)) =>
            {
                Self::Unreachable(chain(&status))
            }
            Code::Ok
            | Code::Cancelled
            | Code::Unknown
            | Code::NotFound
            | Code::AlreadyExists
            | Code::PermissionDenied
            | Code::FailedPrecondition
            | Code::Aborted
            | Code::Internal
            | Code::DataLoss
            | Code::Unauthenticated => Self::Other {
                code,
                reason,
                message,
            },
        }
    }
}

/// A part of a batch failed by itself, for the reasons of whole calls.
impl From<v1::BatchError> for Error {
    fn from(error: v1::BatchError) -> Self {
        let retry_after = error.retry_after.and_then(|d| Duration::try_from(d).ok());
        let (reason, message) = (error.reason, error.message);
        match reason.as_str() {
            "FLEET_UNKNOWN" | "REMOTE_UNKNOWN" => Self::OutcomeUnknown { reason, message },
            "INVALID_REQUEST" | "VALUE_TOO_LARGE" => Self::Invalid {
                reason,
                message,
                violations: Vec::new(),
            },
            "LOG_UNAVAILABLE"
            | "REMOTE_UNAVAILABLE"
            | "REFERENCES_UNAVAILABLE"
            | "SHUTTING_DOWN" => Self::Unavailable {
                reason,
                message,
                retry_after,
            },
            "OVERLOADED" | "REFERENCES_FULL" | "RESOURCE_EXHAUSTED" => Self::Overloaded {
                reason,
                message,
                retry_after,
            },
            "DEADLINE_EXCEEDED" | "POSITION_NOT_REACHED" => {
                Self::DeadlineExceeded { reason, message }
            }
            "UNKNOWN_LEASE" => Self::UnknownLease(message),
            _ => Self::Other {
                code: Code::Unknown,
                reason,
                message,
            },
        }
    }
}

/// An error with its causes, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        // Wrappers repeat the words of what they wrap.
        if !line.contains(&text) {
            // Writing to a String cannot fail.
            let _ = write!(line, ": {text}");
        }
        cause = error.source();
    }
    line
}

/// Whether the status was made here, from a connection that failed: what the
/// sidecar sends has no cause.
fn broken(status: &Status) -> bool {
    std::error::Error::source(status).is_some()
}

/// Whether the status was made here, by a connection that is gone for good: the
/// runtime that it belonged to has ended. The generated client drops the cause.
fn unready(status: &Status) -> bool {
    status.message().starts_with("Service was not ready")
}

fn retry_after(status: &Status) -> Option<Duration> {
    status.get_details_retry_info()?.retry_delay
}

fn violations(status: &Status) -> Vec<Violation> {
    let bad = status.get_details_bad_request();
    let fields = bad.map(|bad| bad.field_violations).unwrap_or_default();
    let each = fields.into_iter().map(|v| Violation {
        field: v.field,
        description: v.description,
    });
    each.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic_types::{ErrorDetails, FieldViolation};

    fn told(code: Code, reason: &str) -> Status {
        let mut details = ErrorDetails::new();
        details.set_error_info(reason, "unstale.dev", std::collections::HashMap::new());
        details.set_retry_info(Some(Duration::from_secs(1)));
        details.set_bad_request(vec![FieldViolation::new("key", "is empty")]);
        Status::with_error_details(code, "words", details)
    }

    #[test]
    fn what_the_sidecar_tells_reaches_the_caller() {
        let Error::Invalid {
            reason, violations, ..
        } = told(Code::InvalidArgument, "INVALID_REQUEST").into()
        else {
            panic!("not Invalid");
        };
        assert_eq!(reason, "INVALID_REQUEST");
        assert_eq!(violations[0].field, "key");
        let Error::Unavailable {
            reason,
            retry_after,
            ..
        } = told(Code::Unavailable, "LOG_UNAVAILABLE").into()
        else {
            panic!("not Unavailable");
        };
        assert_eq!(reason, "LOG_UNAVAILABLE");
        assert_eq!(retry_after, Some(Duration::from_secs(1)));
    }

    #[test]
    fn each_code_has_the_meaning_a_caller_acts_on() {
        for reason in UNKNOWN {
            let error = Error::from(told(Code::Unknown, reason));
            assert!(matches!(error, Error::OutcomeUnknown { .. }), "{error:?}");
        }
        let error = Error::from(told(Code::FailedPrecondition, "UNKNOWN_LEASE"));
        assert!(matches!(error, Error::UnknownLease(_)), "{error:?}");
        let error = Error::from(told(Code::FailedPrecondition, "OF_TOMORROW"));
        assert!(matches!(error, Error::Other { .. }), "{error:?}");
        assert_eq!(error.reason(), Some("OF_TOMORROW"));
        let error = Error::from(told(Code::ResourceExhausted, "OVERLOADED"));
        assert!(matches!(error, Error::Overloaded { .. }), "{error:?}");
        let error = Error::from(told(Code::ResourceExhausted, "RESOURCE_EXHAUSTED"));
        assert!(matches!(error, Error::Overloaded { .. }), "{error:?}");
        assert_eq!(error.reason(), Some("RESOURCE_EXHAUSTED"));
        let error = Error::from(told(Code::DeadlineExceeded, "POSITION_NOT_REACHED"));
        assert!(matches!(error, Error::DeadlineExceeded { .. }), "{error:?}");
        let error = Error::from(Status::out_of_range("message length too large"));
        assert!(matches!(error, Error::Answer(_)), "{error:?}");
        assert!(error.is_outage(), "{error:?}");
        let error = Error::from(Status::unavailable("tcp connect error"));
        assert!(matches!(error, Error::Unreachable(_)), "{error:?}");
        let cause = std::io::Error::other("reset");
        let error = Error::from(Status::from_error(Box::new(cause)));
        assert!(matches!(error, Error::Unreachable(_)), "{error:?}");
        let error = Error::from(Status::unknown("Service was not ready: transport error"));
        assert!(matches!(error, Error::Unreachable(_)), "{error:?}");
        let error = Error::from(Status::unimplemented("no such call"));
        assert!(matches!(error, Error::Unsupported { .. }), "{error:?}");
        assert_eq!(error.reason(), None);
        let error = Error::from(told(Code::Unimplemented, "UNIMPLEMENTED"));
        assert_eq!(error.reason(), Some("UNIMPLEMENTED"));
        let error = Error::from(Status::internal("bug"));
        assert!(matches!(error, Error::Other { .. }), "{error:?}");
    }

    #[test]
    fn a_part_of_a_batch_fails_as_a_whole_call_does() {
        let whole = [
            (Code::Unavailable, "LOG_UNAVAILABLE"),
            (Code::Unavailable, "REMOTE_UNAVAILABLE"),
            (Code::Unavailable, "REFERENCES_UNAVAILABLE"),
            (Code::Unavailable, "SHUTTING_DOWN"),
            (Code::Unknown, "FLEET_UNKNOWN"),
            (Code::Unknown, "REMOTE_UNKNOWN"),
            (Code::InvalidArgument, "VALUE_TOO_LARGE"),
            (Code::ResourceExhausted, "OVERLOADED"),
            (Code::ResourceExhausted, "REFERENCES_FULL"),
            (Code::ResourceExhausted, "RESOURCE_EXHAUSTED"),
            (Code::FailedPrecondition, "UNKNOWN_LEASE"),
            (Code::DeadlineExceeded, "DEADLINE_EXCEEDED"),
            (Code::Unknown, "NEW_REASON"),
        ];
        for (code, reason) in whole {
            let part = Error::from(v1::BatchError {
                reason: reason.to_owned(),
                ..v1::BatchError::default()
            });
            let call = Error::from(told(code, reason));
            let same = std::mem::discriminant(&part) == std::mem::discriminant(&call);
            assert!(same, "{part:?} {call:?}");
        }
    }
}
