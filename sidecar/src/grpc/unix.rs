//! The Unix socket's file.
//!
//! A live sidecar is not robbed of its socket; the leftover of a dead one is
//! replaced. The file is removed at the end, if it is still ours. Nobody, live
//! or stuck, can make the start wait for ever.

use super::listener::BindError;
use rustix::fs::{Access, FlockOperation, access, flock};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use std::fs::File;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::{UnixListener, UnixStream};

/// How often the directory's lock is tried, and the rest between two tries:
/// another sidecar holds it only while it binds.
const TRIES: usize = 50;
const REST: Duration = Duration::from_millis(100);

/// A bound socket.
pub(super) struct UnixSocket {
    listener: UnixListener,
    path: PathBuf,
    identity: Option<(u64, u64)>,
}

impl UnixSocket {
    pub(super) async fn bind(path: &Path) -> Result<Self, BindError> {
        let bound = Self::try_bind(path).await;
        bound.map_err(|why| {
            let path = path.display();
            BindError(format!("cannot listen on {path} (--uds): {why}"))
        })
    }

    async fn try_bind(path: &Path) -> Result<Self, String> {
        let directory = directory_of(path);
        let mut builder = std::fs::DirBuilder::new();
        let made = builder.recursive(true).mode(0o700).create(directory);
        made.map_err(|e| format!("{}: {e}", directory.display()))?;
        // Two sidecars that start at once must not both see a dead leftover.
        let _lock = lock(directory).await?;
        if leftover(path)? {
            std::fs::remove_file(path).map_err(|e| e.to_string())?;
        }
        let listener = UnixListener::bind(path).map_err(|e| e.to_string())?;
        Ok(Self {
            listener,
            path: path.to_path_buf(),
            identity: identity(path),
        })
    }

    pub(super) async fn accept(&self) -> io::Result<UnixStream> {
        self.listener.accept().await.map(|(stream, _)| stream)
    }
}

impl Drop for UnixSocket {
    fn drop(&mut self) {
        if self.identity.is_some() && self.identity == identity(&self.path) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Whether a sidecar could listen at `path`, and if not, why. Makes nothing.
pub fn vacant(path: &Path) -> Result<(), String> {
    let mut directory = directory_of(path);
    while !directory.exists() {
        directory = directory_of(directory);
    }
    let writable = access(directory, Access::WRITE_OK | Access::EXEC_OK);
    writable.map_err(|e| format!("{}: {}", directory.display(), io::Error::from(e)))?;
    leftover(path).map(|_| ())
}

fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => directory,
        Some(_) => Path::new("."),
        None => Path::new("/"),
    }
}

async fn lock(directory: &Path) -> Result<File, String> {
    let file = File::open(directory).map_err(|e| e.to_string())?;
    for _ in 0..TRIES {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(file),
            Err(Errno::WOULDBLOCK) => tokio::time::sleep(REST).await,
            Err(e) => return Err(io::Error::from(e).to_string()),
        }
    }
    let directory = directory.display();
    Err(format!("another process keeps {directory} locked"))
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    let file = std::fs::symlink_metadata(path).ok()?;
    Some((file.dev(), file.ino()))
}

/// Whether a dead sidecar's socket is there; an error if something else is.
fn leftover(path: &Path) -> Result<bool, String> {
    let Ok(file) = std::fs::symlink_metadata(path) else {
        return Ok(false);
    };
    if !file.file_type().is_socket() {
        return Err("a file that is not a socket is there".into());
    }
    match knock(path) {
        // A queue that is full has an owner, if a slow one.
        Ok(()) | Err(Errno::AGAIN) => Err("another process listens there".into()),
        Err(Errno::CONNREFUSED) => Ok(true),
        Err(e) => Err(io::Error::from(e).to_string()),
    }
}

/// Connects without waiting: a process that is stopped does not accept.
fn knock(path: &Path) -> Result<(), Errno> {
    let address = SocketAddrUnix::new(path)?;
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    connect(&socket, &address)
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
        assert_eq!(vacant(&path), Ok(()));
        let live = UnixSocket::bind(&path).await.unwrap();
        let refused = UnixSocket::bind(&path).await.err().expect("it is in use");
        assert!(refused.to_string().contains("another process"), "{refused}");
        assert!(vacant(&path).unwrap_err().contains("another process"));
        drop(live);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_socket_whose_queue_is_full_is_in_use_and_nobody_waits_for_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("unstale.sock");
        let _owner = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let mut waiting = Vec::new();
        while let Ok(socket) = tokio::net::UnixStream::connect(&path).await {
            waiting.push(socket);
        }
        let refused = UnixSocket::bind(&path).await.err().expect("it is in use");
        assert!(refused.to_string().contains("another process"), "{refused}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_directory_that_stays_locked_is_an_error_and_no_endless_start() {
        let directory = tempfile::tempdir().unwrap();
        let _held = lock(directory.path()).await.unwrap();
        let path = directory.path().join("unstale.sock");
        let refused = UnixSocket::bind(&path).await.err().expect("it is locked");
        assert!(refused.to_string().contains("locked"), "{refused}");
    }

    #[tokio::test]
    async fn a_file_that_is_not_a_socket_is_never_removed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("precious");
        std::fs::write(&path, "precious").unwrap();
        assert!(UnixSocket::bind(&path).await.is_err());
        assert!(vacant(&path).is_err());
        assert!(path.exists());
        assert!(vacant(&path.join("under/a/file")).is_err());
    }

    #[test]
    fn a_directory_that_is_not_there_yet_is_made_by_the_start_only() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("new/unstale.sock");
        assert_eq!(vacant(&path), Ok(()));
        assert!(!directory.path().join("new").exists());
    }
}
