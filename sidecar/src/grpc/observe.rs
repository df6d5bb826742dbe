//! Around every call: counts it by rpc and code, and gives the stack's own
//! refusals (text that is not UTF-8, a message too long) the contract's codes.

use super::status;
use futures::future::BoxFuture;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use tonic::body::Body;
use tonic::codegen::{Service, http};
use tonic::{Code, Status};

/// The calls that have a label of their own; everything else is "other".
const RPCS: [&str; 13] = [
    "Get",
    "BatchGet",
    "Set",
    "CompareAndSet",
    "Lease",
    "Renew",
    "Fill",
    "Abandon",
    "Invalidate",
    "Watch",
    "Status",
    "Peers",
    "other",
];
const CODES: usize = 17;

/// Counts of calls by rpc and code. A stream counts when it begins.
#[derive(Debug, Default)]
pub struct Requests([[AtomicU64; CODES]; RPCS.len()]);

impl Requests {
    /// Every pair that was seen: rpc, code, count.
    pub fn seen(&self) -> Vec<(&'static str, String, u64)> {
        let mut seen = Vec::new();
        for (rpc, row) in RPCS.iter().zip(&self.0) {
            for (code, count) in (0..).zip(row) {
                let count = count.load(Relaxed);
                if count > 0 {
                    seen.push((*rpc, format!("{:?}", Code::from_i32(code)), count));
                }
            }
        }
        seen
    }

    fn count(&self, rpc: usize, code: Code) {
        let code = usize::try_from(i32::from(code)).unwrap_or(2);
        self.0[rpc][code.min(CODES - 1)].fetch_add(1, Relaxed);
    }
}

/// A service with every call observed.
#[derive(Clone)]
pub(super) struct Observe<S> {
    pub(super) inner: S,
    pub(super) requests: Arc<Requests>,
}

impl<S> Service<http::Request<Body>> for Observe<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Self::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let rpc = rpc_of(request.uri().path());
        let requests = self.requests.clone();
        let call = self.inner.call(request);
        Box::pin(async move {
            let response = call.await?;
            let refused = Status::from_header_map(response.headers());
            let Some(refused) = refused.filter(|status| status.code() != Code::Ok) else {
                requests.count(rpc, Code::Ok);
                return Ok(response);
            };
            let mended = mend(&refused);
            requests.count(rpc, mended.as_ref().unwrap_or(&refused).code());
            Ok(mended.map_or(response, Status::into_http))
        })
    }
}

fn rpc_of(path: &str) -> usize {
    let ours = path.strip_prefix("/unstale.v1.");
    let name = ours
        .and_then(|path| path.split_once('/'))
        .map(|(_, name)| name);
    let known = RPCS.iter().position(|rpc| Some(*rpc) == name);
    known.unwrap_or(RPCS.len() - 1)
}

/// What the gRPC library said, in the contract's words.
fn mend(refused: &Status) -> Option<Status> {
    let message = refused.message();
    match refused.code() {
        Code::Internal if message.starts_with("failed to decode Protobuf message") => {
            Some(status::undecodable(message))
        }
        Code::OutOfRange if message.contains("message length too large") => {
            Some(status::message_too_large())
        }
        _ => None,
    }
}
