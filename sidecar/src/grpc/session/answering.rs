//! One call of a stream → the handler of its RPC → its answer.
//!
//! A handler that panics fails its call and no other one; a hit is written later,
//! where the stream is. A Get that is answered at once needs no future.

use super::super::deadline::Call;
use super::super::delivery::Grants;
use super::super::get::{One, Step};
use super::super::{abandon, compare_and_set, fill, get, invalidate, lease, renew, set, status};
use super::Parts;
use super::answered::{Answered, Ending};
use futures::future::BoxFuture;
use futures::{FutureExt as _, TryFutureExt as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;
use tonic::{Code, Status};
use unstale_proto::v1::session_answer::Result as Outcome;
use unstale_proto::v1::session_call::Request;
use unstale_proto::v1::{GetRequest, SessionCall};

/// A call under way.
pub(super) type Answering = BoxFuture<'static, Answered>;

/// What a call comes to without waiting, or the rest of it.
#[expect(
    clippy::large_enum_variant,
    reason = "there is one at a time, and a box would cost each hit an allocation"
)]
pub(super) enum Begun {
    Done(Answered),
    Waits(Answering),
}

/// The method of a call that names none.
const NONE: &str = "";

/// The path of a kind's own RPC.
macro_rules! method {
    ($kind:ident) => {
        concat!("/unstale.v1.CacheService/", stringify!($kind))
    };
}

macro_rules! handlers {
    ($($kind:ident, $module:ident::$handler:ident, $brings:ident;)*) => {
        /// Begins a call, which has waited for so long already.
        pub(super) fn begin(parts: &Arc<Parts>, call: SessionCall, waited: Duration) -> Begun {
            let left = |timeout| waits(timeout).saturating_sub(waited);
            let (id, timeout) = (call.id, call.timeout.map(left));
            let Some(request) = call.request else {
                return Begun::Done(answered(id, NONE, Err(unknown())));
            };
            let parts = parts.clone();
            match request {
                Request::Get(request) => begin_get(&parts, id, Call { request, timeout }),
                $(Request::$kind(request) => Begun::Waits(Box::pin(async move {
                    let call = Call { request, timeout };
                    let outcome = $module::$handler(&parts.engine, call);
                    let outcome = AssertUnwindSafe(outcome).catch_unwind().await;
                    let outcome = outcome.unwrap_or_else(|_| Err(panicked()));
                    let path = method!($kind);
                    let outcome = outcome.map($brings);
                    let message = |answer| Ending::Message(Outcome::$kind(answer));
                    let became = outcome.map(|(answer, grants)| (message(answer), grants));
                    answered(id, path, became)
                })),)*
            }
        }

        /// The answer to a call that is not begun.
        pub(super) fn refused(call: &SessionCall, status: Status) -> Answered {
            let path = match &call.request {
                None => NONE,
                Some(Request::Get(_)) => method!(Get),
                $(Some(Request::$kind(_)) => method!($kind),)*
            };
            answered(call.id, path, Err(status))
        }
    };
}

handlers! {
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

/// A Get that is answered at once needs no future, and its answer no message.
fn begin_get(parts: &Parts, id: u64, call: Call<GetRequest>) -> Begun {
    let near = || match get::one(&parts.engine, call) {
        Step::Done(answer) => Ok(answer.map(found)),
        Step::Far(answer) => Err(answer),
    };
    match catch_unwind(AssertUnwindSafe(near)) {
        Ok(Ok(became)) => Begun::Done(answered(id, method!(Get), became)),
        Ok(Err(far)) => Begun::Waits(Box::pin(async move {
            let became = AssertUnwindSafe(far.map_ok(found)).catch_unwind().await;
            let became = became.unwrap_or_else(|_| Err(panicked()));
            answered(id, method!(Get), became)
        })),
        Err(_) => Begun::Done(answered(id, method!(Get), Err(panicked()))),
    }
}

fn found(one: One) -> (Ending, Option<Grants>) {
    nothing(one.into())
}

type Became = Result<(Ending, Option<Grants>), Status>;

fn answered(id: u64, path: &'static str, became: Became) -> Answered {
    let error = |error| Ending::Message(Outcome::Error(status::message(&error)));
    let (ending, grants) = became.unwrap_or_else(|status| (error(status), None));
    Answered::new(id, path, ending, grants)
}

fn nothing<T>(answer: T) -> (T, Option<Grants>) {
    (answer, None)
}

fn leases<T>((answer, grants): (T, Grants)) -> (T, Option<Grants>) {
    (answer, grants.any().then_some(grants))
}

/// What a call waits for at most; less than nothing is nothing.
fn waits(timeout: prost_types::Duration) -> Duration {
    let (seconds, nanos) = (u64::try_from(timeout.seconds), u32::try_from(timeout.nanos));
    let nanos = nanos.ok().filter(|nanos| *nanos < 1_000_000_000);
    seconds
        .ok()
        .zip(nanos)
        .map_or(Duration::ZERO, |(seconds, nanos)| {
            Duration::new(seconds, nanos)
        })
}

fn unknown() -> Status {
    let message = "the call names nothing that this sidecar knows".to_owned();
    status::of_the_stack(Code::Unimplemented, message)
}

fn panicked() -> Status {
    let message = "the call failed inside the sidecar".to_owned();
    status::of_the_stack(Code::Internal, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_that_is_none_leaves_no_time() {
        let waits = |seconds, nanos| waits(prost_types::Duration { seconds, nanos });
        assert_eq!(waits(2, 500), Duration::new(2, 500));
        assert_eq!(waits(i64::MAX, 0), Duration::from_secs(i64::MAX as u64));
        for (seconds, nanos) in [
            (i64::MIN, 0),
            (-1, 0),
            (0, -1),
            (1, i32::MIN),
            (1, i32::MAX),
        ] {
            assert_eq!(waits(seconds, nanos), Duration::ZERO, "{seconds} {nanos}");
        }
    }
}
