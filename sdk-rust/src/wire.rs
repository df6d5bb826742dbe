//! Calls on one HTTP/2 connection, put on it by the task that makes them.
//!
//! A call costs no other task than the connection's own: no queue and no worker
//! stand between. It connects when there is no connection, and so mends one that
//! was lost with the next call; it repeats no call. A connection on which a ping
//! is not answered in time is closed, and its calls and streams fail.

mod incoming;
mod outgoing;
#[cfg(test)]
mod tests;

use crate::connect::{Pace, Place, Socket, dial};
use crate::status::chain;
use bytes::Bytes;
use h2::client::{Builder, Connection, SendRequest};
use h2::{Ping, PingPong};
use incoming::Incoming;
use std::fmt::{self, Debug, Formatter};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http::header::{HeaderValue, USER_AGENT};
use tonic::codegen::http::{Request, Response};
use tower::Service;

/// What may be on its way to one call, and to all: the longest answer needs no
/// second permission.
const CALL_WINDOW: u32 = 8 << 20;
const WINDOW: u32 = 16 << 20;
const FRAME_BYTES: u32 = 16 << 10;

/// What the client calls itself.
const AGENT: HeaderValue =
    HeaderValue::from_static(concat!("unstale-rust/", env!("CARGO_PKG_VERSION")));

/// Why a call has no answer: there is no connection, or it failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    /// None could be made.
    #[error("{0}")]
    Connect(#[source] std::io::Error),
    /// It failed under the call.
    #[error("the connection failed")]
    Http2(#[from] h2::Error),
}

impl From<Broken> for Status {
    fn from(broken: Broken) -> Self {
        let mut status = Self::unavailable(chain(&broken));
        // Tells it from what the sidecar says.
        status.set_source(Arc::new(broken));
        status
    }
}

/// A connection to one place, made when it is needed; clones share it.
#[derive(Clone)]
pub(crate) struct Wire(Arc<Shared>);

struct Shared {
    /// None: a client that has no sidecar.
    place: Option<Place>,
    pace: Pace,
    link: Mutex<Option<Arc<Link>>>,
    /// Held by the call that connects.
    connecting: tokio::sync::Mutex<()>,
    /// How many connections were made.
    made: AtomicU64,
}

impl Wire {
    /// Connects with the first call.
    pub(crate) fn new(place: Option<Place>, pace: Pace) -> Self {
        Self(Arc::new(Shared {
            place,
            pace,
            link: Mutex::default(),
            connecting: tokio::sync::Mutex::default(),
            made: AtomicU64::default(),
        }))
    }

    /// A number of the newest connection; 0 before the first.
    pub(crate) fn connection(&self) -> u64 {
        self.0.made.load(Ordering::Relaxed)
    }

    /// Connects now.
    pub(crate) async fn connect(&self) -> Result<(), Broken> {
        self.0.link().await.map(drop)
    }
}

impl Shared {
    async fn link(&self) -> Result<Arc<Link>, Broken> {
        if let Some(link) = self.living() {
            return Ok(link);
        }
        let _turn = self.connecting.lock().await;
        if let Some(link) = self.living() {
            return Ok(link);
        }
        let link = Arc::new(Link::to(self.place.as_ref(), self.pace).await?);
        *lock(&self.link) = Some(link.clone());
        self.made.fetch_add(1, Ordering::Relaxed);
        Ok(link)
    }

    fn living(&self) -> Option<Arc<Link>> {
        let link = lock(&self.link);
        link.as_ref().filter(|link| link.is_alive()).cloned()
    }

    async fn call(&self, request: Request<Body>) -> Result<Response<Incoming>, Broken> {
        let (mut head, body) = request.into_parts();
        head.headers.insert(USER_AGENT, AGENT);
        let (link, mut sender) = self.sender().await?;
        let (answer, stream) = sender.send_request(Request::from_parts(head, ()), false)?;
        outgoing::send(body, stream);
        let answer = answer.await?;
        Ok(answer.map(|body| Incoming::new(body, link)))
    }

    /// A connection that takes a call now: one that the sidecar is about to
    /// close takes none.
    async fn sender(&self) -> Result<(Arc<Link>, SendRequest<Bytes>), Broken> {
        let link = self.link().await?;
        let mut sender = link.sender.clone();
        if poll_fn(|cx| sender.poll_ready(cx)).await.is_ok() {
            return Ok((link, sender));
        }
        // Not ended: the calls on it are still answered.
        lock(&self.link).take_if(|kept| Arc::ptr_eq(kept, &link));
        let link = self.link().await?;
        let mut sender = link.sender.clone();
        poll_fn(|cx| sender.poll_ready(cx)).await?;
        Ok((link, sender))
    }
}

impl Service<Request<Body>> for Wire {
    type Response = Response<Incoming>;
    type Error = Status;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Incoming>, Status>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let shared = self.0.clone();
        Box::pin(async move { Ok(shared.call(request).await?) })
    }
}

impl Debug for Wire {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Wire").field(&self.0.place).finish()
    }
}

/// A connection; it ends with its last user.
pub(crate) struct Link {
    sender: SendRequest<Bytes>,
    driving: AbortHandle,
}

impl Link {
    async fn to(place: Option<&Place>, pace: Pace) -> Result<Self, Broken> {
        let socket = dial(place, pace).await.map_err(Broken::Connect)?;
        let mut builder = Builder::new();
        builder
            .initial_window_size(CALL_WINDOW)
            .initial_connection_window_size(WINDOW)
            .max_frame_size(FRAME_BYTES)
            .enable_push(false);
        let (sender, mut connection) = builder.handshake(socket).await?;
        let pings = connection.ping_pong();
        let driven = drive(connection, pings, pace.keep_alive());
        let driving = tokio::spawn(driven).abort_handle();
        Ok(Self { sender, driving })
    }

    fn is_alive(&self) -> bool {
        !self.driving.is_finished()
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.driving.abort();
    }
}

/// Reads and writes until either end closes or the other falls silent. What is
/// under way then fails with the connection.
async fn drive(connection: Connection<Socket, Bytes>, pings: Option<PingPong>, pace: Duration) {
    tokio::select! {
        biased;
        // Its error is told to the calls.
        _ = connection => {}
        () = silence(pings, pace) => {}
    }
}

/// Returns when a ping has no answer.
async fn silence(pings: Option<PingPong>, pace: Duration) {
    let Some(mut pings) = pings else { return };
    loop {
        sleep(pace).await;
        match timeout(pace, pings.ping(Ping::opaque())).await {
            Ok(Ok(_)) => {}
            Ok(Err(_)) | Err(_) => return,
        }
    }
}

/// Held for a few instructions, none of which panics.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
