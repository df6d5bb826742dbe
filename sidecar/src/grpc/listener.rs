//! Where gRPC listens: TCP and a Unix socket, bound before anything else
//! starts, so that a port in use is one line and not a half-started sidecar.

use super::socket::Accepted;
use super::threads::Threads;
use super::unix::UnixSocket;
pub use super::unix::vacant;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

/// Rest after a failed accept (no descriptors left, for instance).
const REST: Duration = Duration::from_millis(50);

/// Why a listener could not be bound, on one line.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BindError(pub String);

/// The bound listeners.
pub struct Listeners {
    tcp: Tcp,
    unix: Option<(UnixSocket, Arc<Semaphore>)>,
}

impl Listeners {
    /// Binds both. Each has at most `connections`; more wait in the kernel's
    /// queue.
    pub async fn bind(
        listen: SocketAddr,
        uds: Option<&Path>,
        connections: usize,
    ) -> Result<Self, BindError> {
        let room = || Arc::new(Semaphore::new(connections));
        let listener = TcpListener::bind(listen).await;
        let listener = listener
            .map_err(|e| BindError(format!("cannot listen on {listen} (--listen): {e}")))?;
        let unix = match uds {
            Some(path) => Some((UnixSocket::bind(path).await?, room())),
            None => None,
        };
        let room = room();
        let tcp = Tcp { listener, room };
        Ok(Self { tcp, unix })
    }

    /// Where TCP is bound (the port is known even if 0 was asked for).
    pub fn address(&self) -> Option<SocketAddr> {
        self.tcp.listener.local_addr().ok()
    }

    /// Accepts until `stop`, then closes both and removes the socket's file.
    pub(super) async fn accept(self, threads: Threads, stop: CancellationToken) {
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => return,
                accepted = self.next() => accepted,
            };
            match accepted {
                Ok(accepted) => tokio::select! {
                    () = stop.cancelled() => return,
                    taken = threads.take(accepted) => if !taken {
                        return;
                    },
                },
                Err(_) => tokio::time::sleep(REST).await,
            }
        }
    }

    /// The next connection of whichever listener has room: a flood of one does
    /// not shut out the other.
    async fn next(&self) -> io::Result<Accepted> {
        tokio::select! {
            tcp = self.tcp.next() => tcp,
            unix = self.next_unix() => unix,
        }
    }

    async fn next_unix(&self) -> io::Result<Accepted> {
        let Some((unix, room)) = &self.unix else {
            return std::future::pending().await;
        };
        let permit = place(room).await?;
        Accepted::unix(unix.accept().await?, permit)
    }
}

/// TCP and its room.
struct Tcp {
    listener: TcpListener,
    room: Arc<Semaphore>,
}

impl Tcp {
    async fn next(&self) -> io::Result<Accepted> {
        let permit = place(&self.room).await?;
        let (stream, _) = self.listener.accept().await?;
        // Tonic's own option does not reach streams that it did not accept.
        stream.set_nodelay(true)?;
        Accepted::tcp(stream, permit)
    }
}

async fn place(room: &Arc<Semaphore>) -> io::Result<OwnedSemaphorePermit> {
    let permit = room.clone().acquire_owned().await;
    permit.map_err(io::Error::other)
}
