//! What is sent on a stream: everything that waits, in one message.
//!
//! Polled when HTTP/2 has room; what comes meanwhile shares the next message.

use super::line::Line;
use super::lock;
use super::messages::Outgoing;
use futures::Stream;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// The messages of one stream.
pub(super) struct Sending(pub(super) Arc<Line>);

impl Stream for Sending {
    type Item = Outgoing;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Outgoing>> {
        self.0.sender.register(context.waker());
        let mut calls = lock(&self.0.calls);
        let message = calls.take_message();
        if !message.is_empty() {
            return Poll::Ready(Some(message));
        }
        match calls.is_open() {
            true => Poll::Pending,
            false => Poll::Ready(None),
        }
    }
}
