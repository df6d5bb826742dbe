//! What a connection writes, gathered: one call of the kernel for all that is
//! ready.
//!
//! The HTTP/2 library writes a frame with a payload of 256 bytes or more by
//! itself, and flushes: an answer takes two writes, a second one for its trailers,
//! and 16 answers that are ready at once take 17. Whoever reads is woken for each.
//! Here such a frame is kept until what follows it is flushed.
//!
//! Rests on this: the library (h2 0.4, and only HTTP/2) flushes again, in the same
//! turn, after every frame that it wrote by itself. It comes as more than one
//! slice, the head and the payload. Nothing is kept from one turn to the next
//! unless the socket is full.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes that are gathered at most. What is longer by itself is not copied.
const MOST: usize = 64 * 1024;
/// Room that a connection keeps when all is written.
const KEPT: usize = 4 * 1024;

/// A stream whose writes are gathered.
pub(super) struct Gathered<S> {
    stream: S,
    gathers: bool,
    bytes: Vec<u8>,
    /// How many of them are written.
    written: usize,
    /// Whether the last write was one that others follow.
    is_followed: bool,
}

impl<S: AsyncWrite + Unpin> Gathered<S> {
    /// `gathers`: else all goes through as it comes.
    pub(super) fn new(stream: S, gathers: bool) -> Self {
        Self {
            stream,
            gathers,
            bytes: Vec::new(),
            written: 0,
            is_followed: false,
        }
    }

    /// At once as much as may be needed: to grow step by step is to copy it all.
    fn make_room(&mut self, more: usize) {
        let needed = self.bytes.len() + more;
        if needed > self.bytes.capacity() {
            let room = if needed > KEPT { MOST } else { KEPT };
            self.bytes.reserve_exact(room - self.bytes.len());
        }
    }

    /// Writes all that is gathered.
    fn poll_written(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.written < self.bytes.len() {
            let rest = &self.bytes[self.written..];
            match ready!(Pin::new(&mut self.stream).poll_write(context, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                some => self.written += some,
            }
        }
        self.written = 0;
        self.bytes.clear();
        if self.bytes.capacity() > KEPT {
            self.bytes = Vec::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Gathered<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Gathered<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if !self.gathers {
            return Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        }
        let more: usize = slices.iter().map(|slice| slice.len()).sum();
        if self.bytes.len() + more > MOST {
            ready!(self.poll_written(context))?;
        }
        if more > MOST {
            return Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        }
        self.make_room(more);
        for slice in slices {
            self.bytes.extend_from_slice(slice);
        }
        self.is_followed = slices.len() > 1;
        Poll::Ready(Ok(more))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if std::mem::take(&mut self.is_followed) {
            return Poll::Ready(Ok(()));
        }
        ready!(self.poll_written(context))?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_written(context))?;
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::UnixStream;

    fn pair() -> (Gathered<UnixStream>, UnixStream) {
        let (one, other) = UnixStream::pair().unwrap();
        (Gathered::new(one, true), other)
    }

    /// As the library writes a frame with a payload.
    async fn write_frame(to: &mut Gathered<UnixStream>, head: &[u8], payload: &[u8]) -> usize {
        let slices = [IoSlice::new(head), IoSlice::new(payload)];
        let written = poll_fn(|context| Pin::new(&mut *to).poll_write_vectored(context, &slices));
        written.await.unwrap()
    }

    fn is_empty(stream: &UnixStream) -> bool {
        let read = stream.try_read(&mut [0; 1]);
        read.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    #[tokio::test]
    async fn a_frame_goes_with_what_is_flushed_after_it() {
        let (mut ours, mut theirs) = pair();
        assert_eq!(write_frame(&mut ours, b"head", b"payload").await, 11);
        ours.flush().await.unwrap();
        assert!(is_empty(&theirs));
        ours.write_all(b"trailers").await.unwrap();
        ours.flush().await.unwrap();
        let mut all = [0; 19];
        theirs.read_exact(&mut all).await.unwrap();
        assert_eq!(&all, b"headpayloadtrailers");
    }

    #[tokio::test]
    async fn a_frame_that_nothing_follows_goes_with_the_second_flush() {
        let (mut ours, mut theirs) = pair();
        write_frame(&mut ours, b"head", b"payload").await;
        ours.flush().await.unwrap();
        ours.flush().await.unwrap();
        let mut all = [0; 11];
        theirs.read_exact(&mut all).await.unwrap();
        assert_eq!(&all, b"headpayload");
    }

    #[tokio::test]
    async fn what_was_not_flushed_is_written_before_the_end() {
        let (mut ours, mut theirs) = pair();
        write_frame(&mut ours, b"head", b"payload").await;
        ours.flush().await.unwrap();
        ours.shutdown().await.unwrap();
        let mut all = Vec::new();
        theirs.read_to_end(&mut all).await.unwrap();
        assert_eq!(all, b"headpayload");
    }

    #[tokio::test]
    async fn frames_of_every_length_arrive_in_order_at_who_reads_slowly() {
        let (mut ours, mut theirs) = pair();
        let frames: Vec<Vec<u8>> = (0..200_usize)
            .map(|n| vec![u8::try_from(n).unwrap(); n * 397 % (2 * MOST)])
            .collect();
        let write = async {
            for frame in &frames {
                let mut rest = &frame[..];
                while !rest.is_empty() {
                    let (head, payload) = rest.split_at(rest.len().min(9));
                    let written = write_frame(&mut ours, head, payload).await;
                    rest = &rest[written..];
                }
                ours.flush().await.unwrap();
            }
            ours.shutdown().await.unwrap();
        };
        let mut all = Vec::new();
        let read = async {
            while theirs.read_buf(&mut all).await.unwrap() > 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::join!(write, read);
        assert!(all == frames.concat());
    }

    #[tokio::test]
    async fn one_that_does_not_gather_writes_at_once() {
        let (one, theirs) = UnixStream::pair().unwrap();
        let mut ours = Gathered::new(one, false);
        write_frame(&mut ours, b"head", b"payload").await;
        theirs.readable().await.unwrap();
        let mut all = [0; 16];
        assert_eq!(theirs.try_read(&mut all).unwrap(), 11);
        assert_eq!(ours.bytes.capacity(), 0);
    }

    #[tokio::test]
    async fn an_idle_connection_keeps_little() {
        let (mut ours, _theirs) = pair();
        write_frame(&mut ours, b"head", &[0; MOST / 2]).await;
        ours.flush().await.unwrap();
        assert!(ours.bytes.capacity() >= MOST / 2);
        ours.flush().await.unwrap();
        assert!(ours.bytes.capacity() <= KEPT);
    }
}
