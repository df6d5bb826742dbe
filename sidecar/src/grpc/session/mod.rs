//! Session: the calls of CacheService, multiplexed on one stream.
//!
//! The handlers are those of the RPCs; here is only what a stream adds: which
//! answer is whose, how many calls are under way, and the end. A call that is
//! answered at once (a hit) runs in the stream's own task and shares a message
//! with whatever else is ready; one that has to wait gets a task of its own, so
//! that a caller who does not read holds up nobody else's work.
//!
//! Bounded: by [`limits::SESSION_CALLS`] under way and [`limits::SESSION_BYTES`]
//! of them, and by as many bytes of values in answers that are not sent yet;
//! beyond that calls are refused. While a message waits to be sent nothing is
//! read, and HTTP/2 stops the sender.
//!
//! [`limits::SESSION_CALLS`]: unstale_engine::limits::SESSION_CALLS
//! [`limits::SESSION_BYTES`]: unstale_engine::limits::SESSION_BYTES

mod answered;
mod answering;
mod message;
mod pieces;
mod service;
mod stream;
mod under_way;

pub(super) use self::service::Sessions;
use super::status;
use crate::shutdown::Shutdown;
use crate::telemetry::requests::Requests;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use unstale_engine::Engine;

/// What every stream needs.
struct Parts {
    engine: Arc<Engine>,
    requests: Arc<Requests>,
    shutdown: Shutdown,
    stop: CancellationToken,
}
