//! The body of an answer. It keeps the connection for as long as it is read.

use super::{Broken, Link};
use bytes::Bytes;
use h2::RecvStream;
use http_body::{Body, Frame};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tonic::Status;

/// An answer's messages, then its trailers.
pub(crate) struct Incoming {
    stream: RecvStream,
    ended: bool,
    _link: Arc<Link>,
}

impl Incoming {
    pub(super) fn new(stream: RecvStream, link: Arc<Link>) -> Self {
        Self {
            stream,
            ended: false,
            _link: link,
        }
    }

    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, h2::Error>>> {
        let data = ready!(self.stream.poll_data(cx)).transpose()?;
        let Some(data) = data else {
            self.ended = true;
            return Poll::Ready(None);
        };
        // Taken: the sidecar may send as much again.
        self.stream.flow_control().release_capacity(data.len())?;
        Poll::Ready(Some(Ok(data)))
    }
}

impl Body for Incoming {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if !self.ended
            && let Some(data) = ready!(self.poll_data(cx))
        {
            let data = data.map_err(|error| Broken::from(error).into());
            return Poll::Ready(Some(data.map(Frame::data)));
        }
        let trailers = ready!(self.stream.poll_trailers(cx)).map_err(Broken::from)?;
        Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.stream.is_end_stream()
    }
}
