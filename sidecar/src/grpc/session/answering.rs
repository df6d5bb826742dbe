//! One call of a stream → the handler of its RPC → its answer.
//!
//! A handler that panics fails its call and no other one.

use super::super::deadline::Call;
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

/// A call under way.
pub(super) type Answering = BoxFuture<'static, SessionAnswer>;

macro_rules! handlers {
    ($($kind:ident, $module:ident::$handler:ident;)*) => {
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
                    answer(&parts, id, path, outcome.map(Outcome::$kind))
                }),)*
            }
        }
    };
}

handlers! {
    Get, get::get;
    BatchGet, get::batch_get;
    Set, set::set;
    BatchSet, set::batch_set;
    CompareAndSet, compare_and_set::compare_and_set;
    Lease, lease::lease;
    BatchLease, lease::batch_lease;
    Renew, renew::renew;
    Fill, fill::fill;
    Abandon, abandon::abandon;
    Invalidate, invalidate::invalidate;
}

/// The answer to a call that comes while the sidecar drains.
pub(super) fn too_late(parts: &Parts, id: u64) -> SessionAnswer {
    refused(parts, id, &status::status(&Error::ShuttingDown))
}

fn refused(parts: &Parts, id: u64, status: &Status) -> SessionAnswer {
    answer(parts, id, "", Err(status.clone()))
}

/// Counts the call as one by itself is counted.
fn answer(parts: &Parts, id: u64, path: &str, outcome: Result<Outcome, Status>) -> SessionAnswer {
    let code = outcome.as_ref().map_or_else(Status::code, |_| Code::Ok);
    parts.requests.count(path, code);
    parts.requests.count_in_session();
    let result = outcome.unwrap_or_else(|error| Outcome::Error(status::message(&error)));
    SessionAnswer {
        id,
        result: Some(result),
    }
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
