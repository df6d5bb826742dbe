//! Bodies: whole ones from the cache, and those of the service passed on,
//! perhaps after a part of them was read.

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use std::collections::VecDeque;
use std::fmt::{self, Debug, Formatter};
use std::pin::Pin;
use std::task::{Context, Poll};

/// The body of a response that went through a [`super::CacheLayer`].
pub struct CachedBody<B: Body> {
    read: VecDeque<Frame<Bytes>>,
    rest: Rest<B>,
}

/// What comes after what was read.
enum Rest<B: Body> {
    Nothing,
    Body(Pin<Box<B>>),
    Failed(B::Error),
}

impl<B: Body<Data = Bytes>> CachedBody<B> {
    pub(super) fn whole(bytes: Bytes) -> Self {
        let read = match bytes.is_empty() {
            true => VecDeque::new(),
            false => VecDeque::from([Frame::data(bytes)]),
        };
        let rest = Rest::Nothing;
        Self { read, rest }
    }

    pub(super) fn passed(body: B) -> Self {
        let (read, rest) = (VecDeque::new(), Rest::Body(Box::pin(body)));
        Self { read, rest }
    }

    /// Whether it broke off while it was read.
    pub(super) fn is_broken(&self) -> bool {
        matches!(self.rest, Rest::Failed(_))
    }

    /// Reads a body that is whole within this many bytes; else what there is of
    /// it, unharmed.
    pub(super) async fn read(body: B, limit: usize) -> Result<Bytes, Self> {
        let mut body = Box::pin(body);
        let (mut read, mut length) = (VecDeque::new(), 0);
        loop {
            let frame = match body.frame().await {
                None => return Ok(joined(read)),
                Some(Ok(frame)) => frame,
                Some(Err(error)) => {
                    let rest = Rest::Failed(error);
                    return Err(Self { read, rest });
                }
            };
            // Trailers cannot be stored.
            let data = frame.data_ref().map(Bytes::len);
            length += data.unwrap_or(limit + 1);
            read.push_back(frame);
            if length > limit {
                let rest = Rest::Body(body);
                return Err(Self { read, rest });
            }
        }
    }
}

fn joined(mut frames: VecDeque<Frame<Bytes>>) -> Bytes {
    if frames.len() == 1 {
        let only = frames.pop_front();
        return only.and_then(|f| f.into_data().ok()).unwrap_or_default();
    }
    let mut whole = BytesMut::new();
    for data in frames.into_iter().filter_map(|f| f.into_data().ok()) {
        whole.extend_from_slice(&data);
    }
    whole.freeze()
}

/// Nothing in it is pinned but what is in a box of its own.
impl<B: Body> Unpin for CachedBody<B> {}

impl<B: Body<Data = Bytes>> Body for CachedBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        if let Some(frame) = self.read.pop_front() {
            return Poll::Ready(Some(Ok(frame)));
        }
        match std::mem::replace(&mut self.rest, Rest::Nothing) {
            Rest::Nothing => Poll::Ready(None),
            Rest::Failed(error) => Poll::Ready(Some(Err(error))),
            Rest::Body(mut body) => {
                let next = body.as_mut().poll_frame(context);
                self.rest = Rest::Body(body);
                next
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        let ended = match &self.rest {
            Rest::Nothing => true,
            Rest::Body(body) => body.is_end_stream(),
            Rest::Failed(_) => false,
        };
        self.read.is_empty() && ended
    }

    fn size_hint(&self) -> SizeHint {
        let lengths = self.read.iter().filter_map(Frame::data_ref).map(Bytes::len);
        let read = lengths.sum::<usize>() as u64;
        match &self.rest {
            Rest::Nothing => SizeHint::with_exact(read),
            Rest::Failed(_) => SizeHint::default(),
            Rest::Body(body) => {
                let rest = body.size_hint();
                let mut hint = SizeHint::new();
                hint.set_lower(read + rest.lower());
                if let Some(upper) = rest.upper() {
                    hint.set_upper(read + upper);
                }
                hint
            }
        }
    }
}

impl<B: Body> Debug for CachedBody<B> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("CachedBody").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::stream;
    use http_body_util::StreamBody;

    type Frames = Vec<Result<Frame<Bytes>, &'static str>>;

    fn frames(parts: &[&'static str]) -> Frames {
        let each = parts.iter().map(|part| Ok(Frame::data(Bytes::from(*part))));
        each.collect()
    }

    #[tokio::test]
    async fn a_body_within_the_limit_is_read_and_a_longer_one_is_unharmed() {
        let body = StreamBody::new(stream::iter(frames(&["ab", "c"])));
        let read = CachedBody::read(body, 3).await;
        assert_eq!(read.expect("it fits"), "abc");
        let body = StreamBody::new(stream::iter(frames(&["ab", "c", "d"])));
        let Err(long) = CachedBody::read(body, 2).await else {
            panic!("it does not fit");
        };
        assert_eq!(long.size_hint().lower(), 3);
        assert_eq!(long.collect().await.expect("no error").to_bytes(), "abcd");
    }

    #[tokio::test]
    async fn a_body_that_fails_fails_where_it_did() {
        let mut parts = frames(&["ab"]);
        parts.push(Err("broken"));
        let body = StreamBody::new(stream::iter(parts));
        let Err(mut failed) = CachedBody::read(body, 10).await else {
            panic!("it failed");
        };
        let first = failed.frame().await.expect("a frame").expect("data");
        assert_eq!(first.into_data().expect("data"), "ab");
        let second = failed.frame().await.expect("a frame");
        assert_eq!(second.expect_err("the error"), "broken");
    }
}
