//! What is sent on a stream: everything that waits, in one message.
//!
//! Polled when HTTP/2 has room; what comes meanwhile shares the next message.

use super::line::{Line, len};
use super::lock;
use futures::Stream;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use unstale_proto::v1::SessionRequest;

/// A message takes no more calls when it is so long, in bytes.
const BYTES: usize = 64 * 1024;

/// The messages of one stream.
pub(super) struct Sending(pub(super) Arc<Line>);

impl Stream for Sending {
    type Item = SessionRequest;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<SessionRequest>> {
        self.0.sender.register(context.waker());
        let mut calls = lock(&self.0.calls);
        let mut request = SessionRequest {
            cancelled: calls.take_cancelled(),
            calls: Vec::new(),
        };
        let mut bytes = 0;
        while bytes < BYTES
            && let Some(call) = calls.queue.pop_front()
        {
            bytes += len(&call);
            request.calls.push(call);
        }
        if !request.calls.is_empty() || !request.cancelled.is_empty() {
            return Poll::Ready(Some(request));
        }
        match calls.is_open() {
            true => Poll::Pending,
            false => Poll::Ready(None),
        }
    }
}
