//! The body of a request: put on the connection at once where it is all there,
//! as that of every call with one request is; else as it comes.

use bytes::Bytes;
use h2::{Reason, SendStream};
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use tonic::body::Body;
use tonic::codegen::Body as _;

/// Sends the body. What fails here fails the answer, which tells it.
pub(super) fn send(body: Body, stream: SendStream<Bytes>) {
    let mut sending = Sending {
        body,
        stream,
        held: None,
    };
    let now = sending.poll(&mut Context::from_waker(Waker::noop()));
    if now.is_pending() {
        tokio::spawn(sending.rest());
    }
}

struct Sending {
    body: Body,
    stream: SendStream<Bytes>,
    /// The last piece: whether the stream ends with it shows with the next.
    held: Option<Bytes>,
}

impl Sending {
    /// Until the body ends, or the call. What the sidecar has no room for is not
    /// asked for.
    async fn rest(mut self) {
        poll_fn(|cx| {
            if self.stream.poll_reset(cx).is_ready() {
                return Poll::Ready(());
            }
            loop {
                if !ready!(self.poll_room(cx)) {
                    return Poll::Ready(());
                }
                if ready!(self.poll_next(cx)) {
                    return Poll::Ready(());
                }
            }
        })
        .await;
    }

    /// Whether there is room; none for ever when the call has ended.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        self.stream.reserve_capacity(1);
        while self.stream.capacity() == 0 {
            if !matches!(ready!(self.stream.poll_capacity(cx)), Some(Ok(_))) {
                return Poll::Ready(false);
            }
        }
        Poll::Ready(true)
    }

    /// As much as is there at once.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while !ready!(self.poll_next(cx)) {}
        Poll::Ready(())
    }

    /// One piece; true when it was the last.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Pending => {
                self.flush(false);
                return Poll::Pending;
            }
            Poll::Ready(None) => self.flush(true),
            Poll::Ready(Some(Err(_))) => self.stream.send_reset(Reason::INTERNAL_ERROR),
            Poll::Ready(Some(Ok(frame))) => {
                self.flush(false);
                // A request has no trailers.
                self.held = frame.into_data().ok();
                return Poll::Ready(false);
            }
        }
        Poll::Ready(true)
    }

    fn flush(&mut self, ends: bool) {
        if let Some(data) = self.held.take().or(ends.then(Bytes::new)) {
            // An error is the answer's as well.
            let _ = self.stream.send_data(data, ends);
        }
    }
}
