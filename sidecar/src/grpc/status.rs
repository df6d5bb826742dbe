//! engine::Error → tonic::Status: the only place, exhaustive.
//!
//! Every status carries google.rpc.ErrorInfo with domain `unstale.dev`, and
//! RetryInfo or PreconditionFailure where it helps the caller.

use prost::Message as _;
use std::collections::HashMap;
use std::time::Duration;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt as _};
use unstale_engine::{Error, limits};
use unstale_proto::v1;

/// The domain of every ErrorInfo.
const DOMAIN: &str = "unstale.dev";
/// When to try again what was away.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Most violations that the message says in words; all are in the details.
const SAID: usize = 8;

/// What an engine's error is called, and when to try again if that helps.
struct Named {
    code: Code,
    reason: &'static str,
    retry_after: Option<Duration>,
}

fn named(error: &Error) -> Named {
    let (code, reason, retry_after) = match error {
        Error::LogUnavailable(_) => (Code::Unavailable, "LOG_UNAVAILABLE", Some(RETRY_AFTER)),
        Error::RemoteUnavailable(_) => (Code::Unavailable, "REMOTE_UNAVAILABLE", Some(RETRY_AFTER)),
        Error::RemoteUnknown(_) => (Code::Unknown, "REMOTE_UNKNOWN", None),
        Error::FleetUnknown => (Code::Unknown, "FLEET_UNKNOWN", None),
        Error::DeadlineExceeded => (Code::DeadlineExceeded, "DEADLINE_EXCEEDED", None),
        Error::PositionNotReached => (Code::DeadlineExceeded, "POSITION_NOT_REACHED", None),
        Error::Overloaded { retry_after } => {
            (Code::ResourceExhausted, "OVERLOADED", Some(*retry_after))
        }
        Error::ReferencesUnavailable(_) => (
            Code::Unavailable,
            "REFERENCES_UNAVAILABLE",
            Some(RETRY_AFTER),
        ),
        Error::ReferencesFull => (
            Code::ResourceExhausted,
            "REFERENCES_FULL",
            Some(RETRY_AFTER),
        ),
        Error::UnknownLease => (Code::FailedPrecondition, "UNKNOWN_LEASE", None),
        Error::ShuttingDown => (Code::Unavailable, "SHUTTING_DOWN", Some(RETRY_AFTER)),
    };
    Named {
        code,
        reason,
        retry_after,
    }
}

/// What the caller sees of an engine's error.
pub(super) fn status(error: &Error) -> Status {
    let message = error.to_string();
    let named = named(error);
    let mut details = info(named.reason, HashMap::new());
    if named.retry_after.is_some() {
        details.set_retry_info(named.retry_after);
    }
    if *error == Error::UnknownLease {
        details.add_precondition_failure_violation("LEASE", "lease_token", message.clone());
    }
    Status::with_error_details(named.code, message, details)
}

/// The same, of one part of a batch.
pub(super) fn batch_error(error: &Error) -> v1::BatchError {
    let named = named(error);
    v1::BatchError {
        reason: named.reason.into(),
        message: error.to_string(),
        retry_after: named.retry_after.map(super::encode::duration),
    }
}

/// The deadline had passed when the call arrived: nothing was done.
pub(super) fn too_late() -> Status {
    let message = "the deadline had passed when the call arrived; nothing was done";
    plain(Code::DeadlineExceeded, "DEADLINE_EXCEEDED", message.into())
}

/// Everything that is wrong with a request.
pub(super) struct BadRequest {
    /// What is named.
    pub(super) violations: Vec<FieldViolation>,
    /// How many more there are.
    pub(super) more: usize,
    /// The reason of the whole.
    pub(super) reason: &'static str,
    /// Limits, for programs.
    pub(super) metadata: HashMap<String, String>,
}

/// The refusal of a bad request.
pub(super) fn bad_request(bad: BadRequest) -> Status {
    let said = bad.violations.iter().take(SAID);
    let said = said.map(|v| format!("{} {}", v.field, v.description));
    let mut message = said.collect::<Vec<_>>().join("; ");
    let more = bad.more + bad.violations.len().saturating_sub(SAID);
    if more > 0 {
        message += &format!("; and {more} more");
    }
    let mut details = info(bad.reason, bad.metadata);
    details.set_bad_request(bad.violations);
    Status::with_error_details(Code::InvalidArgument, message, details)
}

/// The request is not a message of the contract (text that is not UTF-8).
pub(super) fn undecodable(field: Option<String>, what: &str) -> Status {
    match field {
        Some(field) => bad_request(BadRequest {
            violations: vec![FieldViolation::new(field, what)],
            more: 0,
            reason: "INVALID_REQUEST",
            metadata: HashMap::new(),
        }),
        None => plain(
            Code::InvalidArgument,
            "INVALID_REQUEST",
            format!("the request is not a message of unstale.v1: {what}"),
        ),
    }
}

/// What a call carries that may be long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Carries {
    /// One value.
    Value,
    /// The values of a batch.
    Values,
    /// Calls of any kind.
    Calls,
    /// Names and words only; no such call has a reason to be long.
    Names,
}

/// The message is longer than any request may be, so that it was not read: only
/// the call says whether a value can be what is too long.
pub(super) fn message_too_large(carries: Carries) -> Status {
    let (field, what, reason, limit) = match carries {
        Carries::Value => {
            let limit = limits::VALUE_BYTES;
            let what = format!("is too long: at most {limit} bytes are allowed");
            ("value", what, "VALUE_TOO_LARGE", Some(limit))
        }
        Carries::Values => {
            let limit = limits::BATCH_BYTES;
            let what = format!("are too long together: at most {limit} bytes are allowed");
            ("items", what, "BATCH_TOO_LARGE", Some(limit))
        }
        Carries::Calls => {
            let what = "are too long together to be read in one message".to_owned();
            ("calls", what, "INVALID_REQUEST", None)
        }
        Carries::Names => {
            let what = "is too long to be read: a key, a tag or a reason is over its limit";
            ("request", what.to_owned(), "INVALID_REQUEST", None)
        }
    };
    let limit = limit.map(|limit| ("limit_bytes".to_owned(), limit.to_string()));
    bad_request(BadRequest {
        violations: vec![FieldViolation::new(field, what)],
        more: 0,
        reason,
        metadata: limit.into_iter().collect(),
    })
}

/// A call of a Session stream whose answer could be taken for that of another.
pub(super) fn bad_id(id: u64) -> Status {
    let what = match id {
        0 => "is 0: the answer could not name the call",
        _ => "is not greater than those before it: one answer could be taken for another",
    };
    bad_request(BadRequest {
        violations: vec![FieldViolation::new("calls.id", what)],
        more: 0,
        reason: "INVALID_REQUEST",
        metadata: HashMap::new(),
    })
}

/// There is no room for another Session stream.
pub(super) fn no_room_for_sessions() -> Status {
    no_room(format!(
        "there are {} Session streams already",
        limits::SESSIONS
    ))
}

/// A caller of a Session stream has begun more calls than it was told it may.
pub(super) fn no_room_for_calls() -> Status {
    no_room("as many calls of this stream are under way as may be; nothing was done".into())
}

/// There is no room for the values of another answer that the caller of a Session
/// stream does not read.
pub(super) fn no_room_for_answers() -> Status {
    no_room("answers of this stream wait to be read; nothing was done".into())
}

fn no_room(message: String) -> Status {
    let mut details = info("OVERLOADED", HashMap::new());
    details.set_retry_info(Some(RETRY_AFTER));
    Status::with_error_details(Code::ResourceExhausted, message, details)
}

/// A status inside a message: what grpc-status-details-bin holds.
pub(super) fn message(status: &Status) -> tonic_types::Status {
    let told = tonic_types::Status::decode(status.details());
    told.ok()
        .filter(|told| told.code != 0)
        .unwrap_or_else(|| tonic_types::Status {
            code: status.code().into(),
            message: status.message().to_owned(),
            details: Vec::new(),
        })
}

/// What the gRPC library itself answers, with an ErrorInfo like all others.
pub(super) fn of_the_stack(code: Code, message: String) -> Status {
    let reason = match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_REQUEST",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    };
    plain(code, reason, message)
}

fn plain(code: Code, reason: &str, message: String) -> Status {
    Status::with_error_details(code, message, info(reason, HashMap::new()))
}

fn info(reason: &str, metadata: HashMap<String, String>) -> ErrorDetails {
    ErrorDetails::with_error_info(reason, DOMAIN, metadata)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Error, code, reason, whether it says when to try again.
    fn table() -> Vec<(Error, Code, &'static str, bool)> {
        use Code::{DeadlineExceeded, FailedPrecondition, ResourceExhausted, Unavailable, Unknown};
        let why = || "x".to_owned();
        let retry_after = Duration::from_millis(50);
        let late = "DEADLINE_EXCEEDED";
        let position = "POSITION_NOT_REACHED";
        let no_log = Error::LogUnavailable(why());
        let no_remote = Error::RemoteUnavailable(why());
        vec![
            (no_log, Unavailable, "LOG_UNAVAILABLE", true),
            (no_remote, Unavailable, "REMOTE_UNAVAILABLE", true),
            (
                Error::RemoteUnknown(why()),
                Unknown,
                "REMOTE_UNKNOWN",
                false,
            ),
            (Error::FleetUnknown, Unknown, "FLEET_UNKNOWN", false),
            (Error::DeadlineExceeded, DeadlineExceeded, late, false),
            (Error::PositionNotReached, DeadlineExceeded, position, false),
            (
                Error::Overloaded { retry_after },
                ResourceExhausted,
                "OVERLOADED",
                true,
            ),
            (
                Error::UnknownLease,
                FailedPrecondition,
                "UNKNOWN_LEASE",
                false,
            ),
            (Error::ShuttingDown, Unavailable, "SHUTTING_DOWN", true),
            (
                Error::ReferencesUnavailable(why()),
                Unavailable,
                "REFERENCES_UNAVAILABLE",
                true,
            ),
            (
                Error::ReferencesFull,
                ResourceExhausted,
                "REFERENCES_FULL",
                true,
            ),
        ]
    }

    #[test]
    fn every_error_names_its_reason_and_retryable_ones_say_when() {
        for (error, code, reason, retries) in table() {
            let in_batch = batch_error(&error);
            assert_eq!(
                (in_batch.reason.as_str(), in_batch.retry_after.is_some()),
                (reason, retries)
            );
            let status = status(&error);
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
