//! Session: the calls of CacheService, multiplexed on one stream.
//!
//! The handlers are those of the RPCs; here is only what a stream adds: which
//! answer is whose, how many calls are under way, and the end. A call that is
//! answered at once (a hit) runs in the stream's own task and shares a message
//! with whatever else is ready; one that has to wait gets a task of its own, so
//! that a caller who does not read holds up nobody else's work.
//!
//! Bounded: by [`limits::SESSION_CALLS`] under way, each with one answer that is
//! not sent yet. Beyond it nothing is read, and HTTP/2 stops the sender.

mod answering;
mod message;
mod stream;
mod under_way;

use self::stream::Session;
use super::status;
use crate::shutdown::Shutdown;
use crate::telemetry::requests::Requests;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};
use unstale_engine::{Engine, limits};
use unstale_proto::v1::SessionRequest;
use unstale_proto::v1::session_service_server::SessionService;

/// The service: opens streams.
#[derive(Clone)]
pub(super) struct Sessions {
    parts: Arc<Parts>,
    room: Arc<Semaphore>,
}

/// What every stream needs.
pub(super) struct Parts {
    engine: Arc<Engine>,
    requests: Arc<Requests>,
    shutdown: Shutdown,
    stop: CancellationToken,
}

impl Sessions {
    /// Streams over `engine`, which begin no more calls after `stop`.
    pub(super) fn new(
        engine: Arc<Engine>,
        requests: Arc<Requests>,
        (shutdown, stop): (Shutdown, CancellationToken),
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
        }
    }
}

#[tonic::async_trait]
impl SessionService for Sessions {
    type SessionStream = Session;

    async fn session(
        &self,
        request: Request<Streaming<SessionRequest>>,
    ) -> Result<Response<Session>, Status> {
        let place = self.room.clone().try_acquire_owned();
        let place = place.map_err(|_| status::no_room_for_sessions())?;
        let session = Session::new(request.into_inner(), self.parts.clone(), place);
        Ok(Response::new(session))
    }
}
