//! One call of a stream → the handler of its RPC → its answer.
//!
//! A handler that panics fails its call and no other one.

use super::super::deadline::Call;
use super::super::delivery::Grants;
use super::super::{abandon, compare_and_set, fill, get, invalidate, lease, renew, set, status};
use super::Parts;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tonic::{Code, Status};
use unstale_engine::Error;
use unstale_proto::v1::session_answer::Result as Outcome;
use unstale_proto::v1::session_call::Request;
use unstale_proto::v1::{SessionAnswer, SessionCall};

/// An answer, and the leases that it brings.
pub(super) struct Answered {
    pub(super) answer: SessionAnswer,
    pub(super) grants: Option<Grants>,
}

/// A call under way.
pub(super) type Answering = BoxFuture<'static, Answered>;

macro_rules! handlers {
    ($($kind:ident, $module:ident::$handler:ident, $brings:ident;)*) => {
        /// The call, begun when it is polled.
        pub(super) fn answering(parts: &Arc<Parts>, call: SessionCall) -> Answering {
            let (id, timeout) = (call.id, call.timeout.map(waits));
            let Some(request) = call.request else {
                return Box::pin(std::future::ready(refused(parts, id, &unknown())));
            };
            let parts = parts.clone();
            match request {
                $(Request::$kind(request) => Box::pin(async move {
                    let call = Call { request, timeout };
                    let outcome = $module::$handler(&parts.engine, call);
                    let outcome = AssertUnwindSafe(outcome).catch_unwind().await;
                    let outcome = outcome.unwrap_or_else(|_| Err(panicked()));
                    let path = concat!("/unstale.v1.CacheService/", stringify!($kind));
                    let outcome = outcome.map($brings);
                    let outcome = outcome.map(|(answer, grants)| (Outcome::$kind(answer), grants));
                    answered(&parts, id, path, outcome)
                }),)*
            }
        }
    };
}

handlers! {
    Get, get::get, nothing;
    BatchGet, get::batch_get, nothing;
    Set, set::set, nothing;
    BatchSet, set::batch_set, nothing;
    CompareAndSet, compare_and_set::compare_and_set, nothing;
    Lease, lease::lease, leases;
    BatchLease, lease::batch_lease, leases;
    Renew, renew::renew, nothing;
    Fill, fill::fill, nothing;
    Abandon, abandon::abandon, nothing;
    Invalidate, invalidate::invalidate, nothing;
}

/// The answer to a call that comes while the sidecar drains.
pub(super) fn too_late(parts: &Parts, id: u64) -> Answered {
    refused(parts, id, &status::status(&Error::ShuttingDown))
}

fn refused(parts: &Parts, id: u64, status: &Status) -> Answered {
    answered(parts, id, "", Err(status.clone()))
}

type Became = Result<(Outcome, Option<Grants>), Status>;

/// Counts the call as one by itself is counted.
fn answered(parts: &Parts, id: u64, path: &str, became: Became) -> Answered {
    let code = became.as_ref().map_or_else(Status::code, |_| Code::Ok);
    parts.requests.count(path, code);
    parts.requests.count_in_session();
    let failed = |error| (Outcome::Error(status::message(&error)), None);
    let (outcome, grants) = became.unwrap_or_else(failed);
    let result = Some(outcome);
    Answered {
        answer: SessionAnswer { id, result },
        grants,
    }
}

fn nothing<T>(answer: T) -> (T, Option<Grants>) {
    (answer, None)
}

fn leases<T>((answer, grants): (T, Grants)) -> (T, Option<Grants>) {
    (answer, grants.any().then_some(grants))
}

/// What a call waits for at most; less than nothing is nothing.
fn waits(timeout: prost_types::Duration) -> Duration {
    timeout.try_into().unwrap_or_default()
}

fn unknown() -> Status {
    let message = "the call names nothing that this sidecar knows".to_owned();
    status::of_the_stack(Code::Unimplemented, message)
}

fn panicked() -> Status {
    let message = "the call failed inside the sidecar".to_owned();
    status::of_the_stack(Code::Internal, message)
}
