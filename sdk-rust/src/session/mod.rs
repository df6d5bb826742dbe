//! The fast lane: calls share one Session stream when the sidecar offers it.
//!
//! The choice of lane is made here and nowhere else. A call goes by itself
//! (unary) while no stream is open, when the stream has no room, and when it is
//! large; a caller sees no difference. A stream that cannot be opened or breaks
//! is opened again in the background, after a pause; no call waits for that. A
//! sidecar that knows no streams is asked again on a new connection, as a newer
//! one may have taken its place. Once the sidecar says that it closes, calls go
//! by themselves until there is a new stream. A call that was not sent when the stream broke is made by itself; of one that
//! was sent nobody knows, as when a connection breaks.

mod kinds;
mod line;
mod messages;
mod opening;
mod sending;
#[cfg(test)]
mod tests;

pub(crate) use self::kinds::Kind;
use self::line::{Ended, Line};
use self::opening::Refused;
use crate::answer::proto_duration;
use crate::cache::MESSAGE_BYTES;
use crate::wire::Wire;
use prost::encoding;
use std::convert::Infallible;
use std::fmt::{self, Debug, Formatter};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tonic::codegen::http::Uri;
use tonic::{Request, Response, Status};
use unstale_proto::v1::cache_service_client::CacheServiceClient;

/// A longer message goes by itself: it would hold up those behind it.
const LARGE: usize = 64 * 1024;
/// The field of `unstale.v1.SessionCall`.
const TIMEOUT: u32 = 2;
/// What is around a message in it: its timeout, its length.
const AROUND: usize = 32;
/// The pause before a stream is opened again.
const PAUSE: Duration = Duration::from_millis(500);
/// The same on a connection whose sidecar knows no such stream.
const PAUSE_UNKNOWN: Duration = Duration::from_secs(30);

/// A message, and what its call may take.
pub(crate) struct Asked<T> {
    pub(crate) message: T,
    pub(crate) timeout: Option<Duration>,
}

impl<T> Asked<T> {
    /// Its SessionCall without the id: that is given when it is queued.
    fn rest(&self) -> Vec<u8>
    where
        T: Kind,
    {
        let timeout = self.timeout.map(proto_duration);
        let mut rest = Vec::with_capacity(self.message.encoded_len() + AROUND);
        if let Some(timeout) = timeout {
            encoding::message::encode(TIMEOUT, &timeout, &mut rest);
        }
        encoding::message::encode(T::FIELD, &self.message, &mut rest);
        rest
    }

    pub(crate) fn request(self) -> Request<T> {
        let mut request = Request::new(self.message);
        if let Some(timeout) = self.timeout {
            request.set_timeout(timeout);
        }
        request
    }
}

/// How calls reach the sidecar.
pub(crate) struct Lanes {
    alone: CacheServiceClient<Wire>,
    origin: Uri,
    wire: Wire,
    fast: Arc<Mutex<Fast>>,
}

/// The state of the fast lane.
enum Fast {
    /// Not wanted.
    Off,
    /// Not open, and not to be opened before this.
    Closed(Instant),
    /// The sidecar knows no such stream. Another may: it is asked again then, or
    /// on another connection than this.
    Unknown { until: Instant, connection: u64 },
    /// Being opened, for as long as this is kept.
    Opening(#[expect(dead_code, reason = "only its end is looked at")] oneshot::Sender<Infallible>),
    /// Open.
    Open(Arc<Line>),
}

impl Lanes {
    /// Both lanes over one connection; the fast one only if it is wanted.
    pub(crate) fn new(wire: &Wire, origin: &Uri, wants_session: bool) -> Self {
        let alone = CacheServiceClient::with_origin(wire.clone(), origin.clone());
        let fast = match wants_session {
            true => Fast::Closed(Instant::now()),
            false => Fast::Off,
        };
        Self {
            alone: alone.max_decoding_message_size(MESSAGE_BYTES),
            origin: origin.clone(),
            wire: wire.clone(),
            fast: Arc::new(Mutex::new(fast)),
        }
    }

    /// The answer of a call, by whichever lane.
    pub(crate) async fn call<T: Kind>(&self, asked: Asked<T>) -> Result<T::Answer, Status> {
        let asked = match self.line(&asked) {
            Some(line) => match line::call(&line, asked).await {
                Ended::Answered(answer) => return answer,
                Ended::NotSent(asked) => asked,
            },
            None => asked,
        };
        // In a box: most calls go by the stream, and need no room for this.
        let answer = Box::pin(T::alone(self.alone.clone(), asked.request())).await;
        answer.map(Response::into_inner)
    }

    /// The stream, if there is one and the call fits on it.
    fn line<T: Kind>(&self, asked: &Asked<T>) -> Option<Arc<Line>> {
        let line = self.open(None)?;
        (asked.message.encoded_len() <= LARGE).then_some(line)
    }

    /// Waits until the stream is open, or cannot be.
    pub(crate) async fn decided(&self) {
        let (tell, told) = oneshot::channel();
        self.open(Some(tell));
        // Dropped when it is decided.
        let _ = told.await;
    }

    /// The stream that is open; when it is time, one is opened meanwhile.
    fn open(&self, tell: Option<oneshot::Sender<()>>) -> Option<Arc<Line>> {
        let mut fast = lock(&self.fast);
        let is_due = match &*fast {
            Fast::Open(line) => return Some(line.clone()),
            Fast::Off | Fast::Opening(_) => false,
            Fast::Closed(until) => Instant::now() >= *until,
            Fast::Unknown { until, connection } => {
                self.wire.connection() != *connection || Instant::now() >= *until
            }
        };
        if is_due {
            let (keep, gone) = oneshot::channel();
            *fast = Fast::Opening(keep);
            // A runtime that is shut down drops the task here, which takes the lock.
            drop(fast);
            let opening = Opening {
                fast: self.fast.clone(),
                connection: self.wire.connection(),
            };
            tokio::spawn(opening.run((self.wire.clone(), self.origin.clone()), tell, gone));
        }
        None
    }
}

/// A stream that is opened and used; whatever ends that closes the lane.
struct Opening {
    fast: Arc<Mutex<Fast>>,
    /// The one before it was begun: one that is made meanwhile is asked again.
    connection: u64,
}

impl Opening {
    async fn run(
        self,
        place: (Wire, Uri),
        tell: Option<oneshot::Sender<()>>,
        gone: oneshot::Receiver<Infallible>,
    ) {
        let opened = tokio::select! {
            opened = opening::open(place) => opened,
            Err(_) = gone => return,
        };
        let mut opened = match opened {
            Ok(opened) => opened,
            Err(Refused::Unknown) => return self.unknown(),
            Err(Refused::Failed) => return,
        };
        if !self.turn(Fast::Open(opened.line().clone())) {
            return; // the client is gone
        }
        drop(tell);
        opened.until_closing().await;
        // The next one may be opened while what is under way is answered.
        drop(self);
        opened.until_the_end().await;
    }

    fn unknown(self) {
        self.turn(Fast::Unknown {
            until: Instant::now() + PAUSE_UNKNOWN,
            connection: self.connection,
        });
    }

    /// False when the client is gone.
    fn turn(&self, to: Fast) -> bool {
        let mut fast = lock(&self.fast);
        let is_wanted = !matches!(*fast, Fast::Off);
        if is_wanted {
            *fast = to;
        }
        is_wanted
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        let is_over = matches!(*lock(&self.fast), Fast::Opening(_) | Fast::Open(_));
        if is_over {
            self.turn(closed_for(PAUSE));
        }
    }
}

impl Drop for Lanes {
    fn drop(&mut self) {
        let fast = std::mem::replace(&mut *lock(&self.fast), Fast::Off);
        if let Fast::Open(line) = fast {
            line.finish();
        }
    }
}

fn closed_for(pause: Duration) -> Fast {
    Fast::Closed(Instant::now() + pause)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Debug for Lanes {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let lane = match *lock(&self.fast) {
            Fast::Off => "off",
            Fast::Closed(_) => "closed",
            Fast::Unknown { .. } => "unknown",
            Fast::Opening(_) => "opening",
            Fast::Open(_) => "open",
        };
        f.debug_struct("Lanes")
            .field("session", &lane)
            .finish_non_exhaustive()
    }
}
