//! Grants on their way to who asked for them. A lease goes back when its caller
//! hangs up before the connection has taken the whole answer, whatever the
//! client is written in.
//!
//! What is lost after that only the client can give back, or the term ends it:
//! the connection takes an answer when there is room for its first byte.

use http_body::{Frame, SizeHint};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use tonic::body::Body;
use tonic::codegen::{Bytes, http};
use tonic::{Response, Status};
use unstale_engine::Engine;
use unstale_engine::request::{LeaseOutcome, LeaseToken};

/// The leases of an answer; dropped before they were delivered, they go back.
pub(super) struct Grants {
    engine: Arc<Engine>,
    tokens: Vec<LeaseToken>,
    delivered: AtomicBool,
}

impl Grants {
    pub(super) fn new(engine: &Arc<Engine>) -> Self {
        Self {
            engine: engine.clone(),
            tokens: Vec::new(),
            delivered: AtomicBool::new(false),
        }
    }

    /// Takes care of what was granted, if it was.
    pub(super) fn hold(&mut self, outcome: &LeaseOutcome) {
        if let LeaseOutcome::Granted(token, ..) = outcome {
            self.tokens.push(*token);
        }
    }

    /// Whether anything was granted.
    pub(super) fn any(&self) -> bool {
        !self.tokens.is_empty()
    }

    /// They reached the connection otherwise.
    pub(super) fn were_delivered(mut self) {
        *self.delivered.get_mut() = true;
    }

    /// The answer that brings them.
    pub(super) fn deliver<T>(self, answer: T) -> Response<T> {
        let mut response = Response::new(answer);
        if self.any() {
            response.extensions_mut().insert(Arc::new(self));
        }
        response
    }
}

impl Drop for Grants {
    fn drop(&mut self) {
        if self.any() && !*self.delivered.get_mut() {
            self.engine.give_back(std::mem::take(&mut self.tokens));
        }
    }
}

/// The same answer; the grants that it brings, if any, wait for its end.
pub(super) fn watched(mut response: http::Response<Body>) -> http::Response<Body> {
    match response.extensions_mut().remove::<Arc<Grants>>() {
        Some(grants) => response.map(|body| Body::new(Delivery { body, grants })),
        None => response,
    }
}

/// An answer that is being sent. The connection drops it when the caller hangs
/// up.
struct Delivery {
    body: Body,
    grants: Arc<Grants>,
}

impl http_body::Body for Delivery {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        let is_end = match &frame {
            Some(Ok(frame)) => frame.is_trailers(),
            Some(Err(_)) => false,
            None => true,
        };
        if is_end {
            self.grants.delivered.store(true, Ordering::Relaxed);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
