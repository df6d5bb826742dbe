//! A connection: TCP or Unix, one of a bounded number, silent at its peril.

use super::gathered::Gathered;
use std::io::{self, IoSlice};
use std::net::TcpStream as StdTcpStream;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Sleep;
use tonic::transport::server::Connected;

/// The HTTP/2 preface (24 bytes) and the first frame's head (9).
const FIRST_BYTES: usize = 33;
/// Until when the first bytes must have come.
const FIRST_BYTES_WITHIN: Duration = Duration::from_secs(10);

/// A connection that no runtime waits for yet.
pub(super) struct Accepted {
    stream: Idle,
    permit: OwnedSemaphorePermit,
}

enum Idle {
    Tcp(StdTcpStream),
    Unix(StdUnixStream),
}

impl Accepted {
    pub(super) fn tcp(stream: TcpStream, permit: OwnedSemaphorePermit) -> io::Result<Self> {
        let stream = Idle::Tcp(stream.into_std()?);
        Ok(Self { stream, permit })
    }

    pub(super) fn unix(stream: UnixStream, permit: OwnedSemaphorePermit) -> io::Result<Self> {
        let stream = Idle::Unix(stream.into_std()?);
        Ok(Self { stream, permit })
    }
}

/// An accepted connection. A peer that does not begin to speak HTTP/2 in time
/// is cut off: keepalive does not cover what never became a connection.
pub(super) struct Socket {
    stream: Gathered<Stream>,
    greeting: Option<Greeting>,
    _permit: OwnedSemaphorePermit,
    /// Counts it as its thread's.
    _load: Arc<()>,
}

enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

struct Greeting {
    missing: usize,
    timer: Pin<Box<Sleep>>,
}

impl Socket {
    /// A connection of this thread's runtime.
    pub(super) fn new(accepted: Accepted, load: Arc<()>) -> io::Result<Self> {
        let stream = match accepted.stream {
            Idle::Tcp(tcp) => Stream::Tcp(TcpStream::from_std(tcp)?),
            Idle::Unix(unix) => Stream::Unix(UnixStream::from_std(unix)?),
        };
        let is_tcp = matches!(stream, Stream::Tcp(_));
        let greeting = Greeting {
            missing: FIRST_BYTES,
            timer: Box::pin(tokio::time::sleep(FIRST_BYTES_WITHIN)),
        };
        Ok(Self {
            // Over a Unix socket 16 answers in one write are slower than one by
            // one, as who reads them waits (decision 15).
            stream: Gathered::new(stream, is_tcp),
            greeting: Some(greeting),
            _permit: accepted.permit,
            _load: load,
        })
    }
}

impl Connected for Socket {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        let Some(greeting) = &mut self.greeting else {
            return read;
        };
        greeting.missing = greeting
            .missing
            .saturating_sub(buffer.filled().len() - before);
        if greeting.missing == 0 {
            self.greeting = None;
        } else if greeting.timer.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        read
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(tcp).poll_read(context, buffer),
            Self::Unix(unix) => Pin::new(unix).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(tcp).poll_write(context, bytes),
            Self::Unix(unix) => Pin::new(unix).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(tcp).poll_write_vectored(context, slices),
            Self::Unix(unix) => Pin::new(unix).poll_write_vectored(context, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(tcp).poll_flush(context),
            Self::Unix(unix) => Pin::new(unix).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(tcp).poll_shutdown(context),
            Self::Unix(unix) => Pin::new(unix).poll_shutdown(context),
        }
    }
}
