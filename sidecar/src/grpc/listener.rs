//! Where gRPC listens: TCP and a Unix socket, bound before anything else
//! starts, so that a port in use is one line and not a half-started sidecar.
//!
//! A live sidecar is not robbed of its Unix socket; the leftover of a dead one
//! is replaced. The file is removed at the end, if it is still ours.

use super::socket::{Socket, Stream};
use rustix::fs::{FlockOperation, flock};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

/// Most connections of one listener; more wait in the kernel's queue.
const CONNECTIONS: usize = 4096;
/// Rest after a failed accept (no descriptors left, for instance).
const REST: Duration = Duration::from_millis(50);

/// Why a listener could not be bound, on one line.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BindError(pub String);

/// The bound listeners.
pub struct Listeners {
    tcp: TcpListener,
    unix: Option<UnixSocket>,
}

impl Listeners {
    /// Binds both.
    pub async fn bind(listen: SocketAddr, uds: Option<&Path>) -> Result<Self, BindError> {
        let tcp = TcpListener::bind(listen).await;
        let tcp =
            tcp.map_err(|e| BindError(format!("cannot listen on {listen} (--listen): {e}")))?;
        let unix = uds.map(UnixSocket::bind).transpose()?;
        Ok(Self { tcp, unix })
    }

    /// Where TCP is bound (the port is known even if 0 was asked for).
    pub fn address(&self) -> Option<SocketAddr> {
        self.tcp.local_addr().ok()
    }

    /// Accepts until `stop`, then closes both and removes the socket's file.
    pub(super) async fn accept(
        self,
        sockets: mpsc::Sender<io::Result<Socket>>,
        stop: CancellationToken,
    ) {
        let room = Arc::new(Semaphore::new(CONNECTIONS));
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => return,
                accepted = self.next(&room) => accepted,
            };
            match accepted {
                // Full means that connections are begun faster than served:
                // accepting waits.
                Ok(socket) => {
                    if sockets.send(Ok(socket)).await.is_err() {
                        return;
                    }
                }
                Err(_) => tokio::time::sleep(REST).await,
            }
        }
    }

    async fn next(&self, room: &Arc<Semaphore>) -> io::Result<Socket> {
        let permit = room.clone().acquire_owned().await;
        let permit = permit.map_err(io::Error::other)?;
        Ok(Socket::new(self.stream().await?, permit))
    }

    async fn stream(&self) -> io::Result<Stream> {
        let unix = async {
            match &self.unix {
                Some(unix) => unix.listener.accept().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            tcp = self.tcp.accept() => {
                let (stream, _) = tcp?;
                // Tonic's own option does not reach streams that it did not accept.
                stream.set_nodelay(true)?;
                Ok(Stream::Tcp(stream))
            }
            unix = unix => Ok(Stream::Unix(unix?.0)),
        }
    }
}

struct UnixSocket {
    listener: UnixListener,
    path: PathBuf,
    identity: Option<(u64, u64)>,
}

impl UnixSocket {
    fn bind(path: &Path) -> Result<Self, BindError> {
        let fail = |what: String| {
            BindError(format!(
                "cannot listen on {} (--uds): {what}",
                path.display()
            ))
        };
        let directory = path.parent().filter(|dir| !dir.as_os_str().is_empty());
        let directory = directory.unwrap_or(Path::new("."));
        let mut builder = std::fs::DirBuilder::new();
        let made = builder.recursive(true).mode(0o700).create(directory);
        made.map_err(|e| fail(format!("{}: {e}", directory.display())))?;
        // Two sidecars that start at once must not both see a dead leftover.
        let lock = std::fs::File::open(directory).map_err(|e| fail(e.to_string()))?;
        flock(&lock, FlockOperation::LockExclusive).map_err(|e| fail(e.to_string()))?;
        clear(path).map_err(fail)?;
        let listener = UnixListener::bind(path).map_err(|e| fail(e.to_string()))?;
        let identity = identity(path);
        let path = path.to_path_buf();
        Ok(Self {
            listener,
            path,
            identity,
        })
    }
}

impl Drop for UnixSocket {
    fn drop(&mut self) {
        if self.identity.is_some() && self.identity == identity(&self.path) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    let file = std::fs::symlink_metadata(path).ok()?;
    Some((file.dev(), file.ino()))
}

/// Removes a dead sidecar's socket; an error if something else is there.
fn clear(path: &Path) -> Result<(), String> {
    let Ok(file) = std::fs::symlink_metadata(path) else {
        return Ok(());
    };
    if !file.file_type().is_socket() {
        return Err("a file that is not a socket is there".into());
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Ok(_) => Err("another process listens there".into()),
        Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path).map_err(|e| e.to_string())
        }
        Err(e) => Err(e.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_live_socket_is_left_alone_and_a_dead_one_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("unstale.sock");
        let dead = std::os::unix::net::UnixListener::bind(&path).unwrap();
        drop(dead);
        let live = UnixSocket::bind(&path).unwrap();
        let refused = UnixSocket::bind(&path).err().expect("it is in use");
        assert!(refused.to_string().contains("another process"), "{refused}");
        drop(live);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_file_that_is_not_a_socket_is_never_removed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("precious");
        std::fs::write(&path, "precious").unwrap();
        assert!(UnixSocket::bind(&path).is_err());
        assert!(path.exists());
    }
}
