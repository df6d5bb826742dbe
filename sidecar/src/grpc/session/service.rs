//! The service: opens streams.
//!
//! By hand, as what is generated decodes a message whole.

use super::message::Message;
use super::pieces::Undecoded;
use super::stream::Session;
use super::{Parts, status};
use crate::shutdown::Shutdown;
use crate::telemetry::requests::Requests;
use futures::future::{BoxFuture, Ready, ready};
use prost::bytes::Bytes;
use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::codegen::{Service, http};
use tonic::server::{Grpc, NamedService, StreamingService};
use tonic::{Request, Response, Status, Streaming};
use unstale_engine::{Engine, limits};
use unstale_proto::v1::session_service_server::SERVICE_NAME;

/// The method.
const SESSION: &str = "/unstale.v1.SessionService/Session";

/// The service.
#[derive(Clone)]
pub(in crate::grpc) struct Sessions {
    parts: Arc<Parts>,
    room: Arc<Semaphore>,
    longest_request: usize,
    longest_response: usize,
}

impl Sessions {
    /// Streams over `engine`, which begin no more calls after `stop`.
    pub(in crate::grpc) fn new(
        engine: Arc<Engine>,
        requests: Arc<Requests>,
        (shutdown, stop): (Shutdown, CancellationToken),
        (longest_request, longest_response): (usize, usize),
    ) -> Self {
        let parts = Parts {
            engine,
            requests,
            shutdown,
            stop,
        };
        Self {
            parts: Arc::new(parts),
            room: Arc::new(Semaphore::new(limits::SESSIONS)),
            longest_request,
            longest_response,
        }
    }
}

impl NamedService for Sessions {
    const NAME: &'static str = SERVICE_NAME;
}

impl Service<http::Request<Body>> for Sessions {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<http::Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let sessions = self.clone();
        Box::pin(async move {
            if request.uri().path() != SESSION {
                return Ok(Status::unimplemented("").into_http());
            }
            let mut grpc = Grpc::new(Undecoded)
                .max_decoding_message_size(sessions.longest_request)
                .max_encoding_message_size(sessions.longest_response);
            Ok(grpc.streaming(sessions, request).await)
        })
    }
}

impl StreamingService<Bytes> for Sessions {
    type Response = Message;
    type ResponseStream = Session;
    type Future = Ready<Result<Response<Session>, Status>>;

    fn call(&mut self, request: Request<Streaming<Bytes>>) -> Self::Future {
        let place = self.room.clone().try_acquire_owned();
        let place = place.map_err(|_| status::no_room_for_sessions());
        let open = |place| Session::new(request.into_inner(), self.parts.clone(), place);
        ready(place.map(|place| Response::new(open(place))))
    }
}
