//! Around every call: counts it by rpc and code, watches over the grants that it
//! brings, and gives the stack's own refusals (text that is not UTF-8, a message
//! too long, a method that does not exist) the contract's codes and details.

use super::delivery;
use super::status::{self, Carries};
use crate::telemetry::requests::Requests;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tonic::body::Body;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::codegen::{Service, http};
use tonic::{Code, Status};

/// A service with every call observed.
#[derive(Clone)]
pub(super) struct Observe<S> {
    pub(super) inner: S,
    pub(super) requests: Arc<Requests>,
}

impl<S> Service<http::Request<Body>> for Observe<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>>,
    S::Future: Unpin,
{
    type Response = http::Response<Body>;
    type Error = S::Error;
    type Future = Observing<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Observing {
            path: request.uri().path_and_query().cloned(),
            requests: self.requests.clone(),
            call: self.inner.call(request),
        }
    }
}

/// A call under way.
pub(super) struct Observing<F> {
    call: F,
    path: Option<PathAndQuery>,
    requests: Arc<Requests>,
}

impl<F, E> Future for Observing<F>
where
    F: Future<Output = Result<http::Response<Body>, E>> + Unpin,
{
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let response = ready!(Pin::new(&mut self.call).poll(context))?;
        Poll::Ready(Ok(self.observed(delivery::watched(response))))
    }
}

impl<F> Observing<F> {
    fn observed(&self, response: http::Response<Body>) -> http::Response<Body> {
        let path = self.path.as_ref().map_or("", PathAndQuery::path);
        let refused = Status::from_header_map(response.headers());
        let Some(refused) = refused.filter(|status| status.code() != Code::Ok) else {
            self.requests.count(path, Code::Ok);
            return response;
        };
        let mended = mend(&refused, path);
        let code = mended.as_ref().unwrap_or(&refused).code();
        self.requests.count(path, code);
        mended.map_or(response, Status::into_http)
    }
}

/// What the gRPC library said of a message of a Session stream.
pub(super) fn mended(refused: Status) -> Status {
    mend(&refused, "Session").unwrap_or(refused)
}

/// What the gRPC library said, in the contract's words. What has details was
/// said by us.
fn mend(refused: &Status, path: &str) -> Option<Status> {
    if !refused.details().is_empty() {
        return None;
    }
    let message = refused.message();
    Some(match refused.code() {
        Code::Internal if message.starts_with(UNDECODABLE) => {
            let (field, what) = undecodable(&message[UNDECODABLE.len()..]);
            status::undecodable(field, what)
        }
        Code::OutOfRange if message.contains("message length too large") => {
            status::message_too_large(carries(path))
        }
        Code::Unimplemented if message.is_empty() => {
            let message = format!("there is no method {path:.128} here");
            status::of_the_stack(Code::Unimplemented, message)
        }
        code => status::of_the_stack(code, message.to_owned()),
    })
}

/// How the library begins to say that a message cannot be decoded.
const UNDECODABLE: &str = "failed to decode Protobuf message: ";

/// What a call carries that may be long.
fn carries(path: &str) -> Carries {
    match path.rsplit('/').next() {
        Some("Set" | "CompareAndSet" | "Fill") => Carries::Value,
        Some("BatchSet") => Carries::Values,
        Some("Session") => Carries::Calls,
        _ => Carries::Names,
    }
}

/// The path of a field, and what is wrong with it. The library names fields as
/// `Message.field: `, the innermost first.
fn undecodable(text: &str) -> (Option<String>, &str) {
    let (mut path, mut rest) = (Vec::new(), text);
    while let Some((head, tail)) = rest.split_once(": ")
        && let Some((message, field)) = head.split_once('.')
        && message.starts_with(|c: char| c.is_ascii_uppercase())
        && !head.contains(' ')
    {
        path.insert(0, field);
        rest = tail;
    }
    let field = (!path.is_empty()).then(|| path.join("."));
    let what = match rest.contains("UTF-8") {
        true => "is not UTF-8 text",
        false => rest,
    };
    (field, what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic_types::StatusExt as _;

    #[test]
    fn the_field_that_cannot_be_decoded_is_found_in_the_librarys_words() {
        let (field, what) =
            undecodable("GetRequest.key: invalid string value: data is not UTF-8 encoded");
        assert_eq!((field.as_deref(), what), (Some("key"), "is not UTF-8 text"));
        let (field, what) = undecodable("Duration.seconds: SetRequest.ttl: invalid varint");
        assert_eq!(
            (field.as_deref(), what),
            (Some("ttl.seconds"), "invalid varint")
        );
        assert_eq!(undecodable("buffer underflow"), (None, "buffer underflow"));
    }

    #[test]
    fn a_message_too_long_is_called_what_its_call_can_carry() {
        let too_long = Status::out_of_range("decoded message length too large: found 9");
        for (rpc, reason, field) in [
            ("Set", "VALUE_TOO_LARGE", "value"),
            ("BatchSet", "BATCH_TOO_LARGE", "items"),
            ("BatchLease", "INVALID_REQUEST", "request"),
        ] {
            let path = format!("/unstale.v1.CacheService/{rpc}");
            let details = mend(&too_long, &path).unwrap().get_error_details();
            assert_eq!(details.error_info().unwrap().reason, reason, "{rpc}");
            let violations = &details.bad_request().unwrap().field_violations;
            assert_eq!(violations[0].field, field, "{rpc}");
        }
    }

    #[test]
    fn our_own_words_are_left_alone() {
        assert!(mend(&status::too_late(), "/x").is_none());
        assert!(mend(&Status::not_found("x"), "/x").is_some());
    }
}
