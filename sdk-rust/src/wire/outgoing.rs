//! The body of a request: put on the connection at once where it is all there,
//! as that of every call with one request is; else as it comes.

use bytes::Bytes;
use h2::{Reason, SendStream};
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
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
    /// Until the body ends, or the call.
    async fn rest(mut self) {
        poll_fn(|cx| match self.stream.poll_reset(cx) {
            Poll::Ready(_) => Poll::Ready(()),
            Poll::Pending => self.poll(cx),
        })
        .await;
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            match Pin::new(&mut self.body).poll_frame(cx) {
                Poll::Pending => {
                    self.flush(false);
                    return Poll::Pending;
                }
                Poll::Ready(None) => {
                    self.flush(true);
                    return Poll::Ready(());
                }
                Poll::Ready(Some(Err(_))) => {
                    self.stream.send_reset(Reason::INTERNAL_ERROR);
                    return Poll::Ready(());
                }
                Poll::Ready(Some(Ok(frame))) => {
                    self.flush(false);
                    // A request has no trailers.
                    self.held = frame.into_data().ok();
                }
            }
        }
    }

    fn flush(&mut self, ends: bool) {
        if let Some(data) = self.held.take().or(ends.then(Bytes::new)) {
            // An error is the answer's as well.
            let _ = self.stream.send_data(data, ends);
        }
    }
}
