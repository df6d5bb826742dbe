//! The connection, and what every call shares: deadline, namespace, position.

use crate::connect::LONGEST;
use crate::outage::Shared;
use crate::session::{Asked, Lanes};
use crate::wire::Wire;
use crate::{Ack, Builder, Error};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tonic::codegen::http::Uri;
use tonic::{Request, Response, Status};
use unstale_proto::v1::admin_service_client::AdminServiceClient;
use unstale_proto::v1::cache_service_client::CacheServiceClient;

/// The sidecar's own deadline of a call that brings none.
const DEADLINE: Duration = Duration::from_secs(1);
/// The sidecar's longest deadline. That of a FLEET call is what an
/// invalidation binds a silent pod, which only the sidecar knows, and 2 s.
const DEADLINE_MAX: Duration = Duration::from_secs(60);
/// What the network may add to a deadline.
const GRACE: Duration = Duration::from_secs(1);
/// A batch's answer may be 4 MiB of values, and their keys and tags.
pub(crate) const MESSAGE_BYTES: usize = 8 << 20;

/// A connection to a sidecar. Cheap to clone; clones share the connection.
///
/// Every call can be dropped at any point. A read that is dropped has no
/// effect; a write that is dropped may or may not have happened.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), unstale::Error> {
/// # let cache = unstale::Cache::builder().no_sidecar().connect().await?;
/// use unstale::Cache;
///
/// let cache = Cache::builder().no_sidecar().connect().await?;
/// let for_a_task = cache.clone();
/// let reading = tokio::spawn(async move { for_a_task.get("user:7").await });
/// # let _ = reading.await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Cache {
    pub(crate) wire: Wire,
    pub(crate) lanes: Arc<Lanes>,
    /// Shared, so that a clone of the cache copies no addresses.
    clients: Arc<Clients>,
    pub(crate) namespace: String,
    pub(crate) shared: Arc<Shared>,
    timeout: Option<Duration>,
    min_position: String,
}

/// Clients of the two services, cloned for each call.
#[derive(Debug)]
struct Clients {
    cache: CacheServiceClient<Wire>,
    admin: AdminServiceClient<Wire>,
}

impl Cache {
    /// Starts a connection.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), unstale::Error> {
    /// # let cache = unstale::Cache::builder().no_sidecar().connect().await?;
    /// let cache = unstale::Cache::builder().no_sidecar().connect().await?;
    /// # let _ = cache;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub(crate) fn over(
        (wire, origin): (Wire, Uri),
        lanes: Lanes,
        namespace: String,
        timeout: Option<Duration>,
        shared: Shared,
    ) -> Self {
        let client = CacheServiceClient::with_origin(wire.clone(), origin.clone());
        Self {
            lanes: Arc::new(lanes),
            clients: Arc::new(Clients {
                cache: client.max_decoding_message_size(MESSAGE_BYTES),
                admin: AdminServiceClient::with_origin(wire.clone(), origin),
            }),
            wire,
            namespace,
            shared: Arc::new(shared),
            timeout,
            min_position: String::new(),
        }
    }

    /// The same connection, with calls of another namespace.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), unstale::Error> {
    /// let shop = unstale::Cache::builder().namespace("shop").no_sidecar().connect().await?;
    /// let sessions = shop.namespace("sessions");
    /// sessions.get("user:7").await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn namespace(&self, namespace: impl Into<String>) -> Self {
        Self {
            namespace: namespace.into(),
            ..self.clone()
        }
    }

    /// A client of CacheService, for a call by itself.
    pub(crate) fn client(&self) -> CacheServiceClient<Wire> {
        self.clients.cache.clone()
    }

    /// A client of AdminService.
    pub(crate) fn admin(&self) -> AdminServiceClient<Wire> {
        self.clients.admin.clone()
    }

    /// How long a call waits for the sidecar, unless it says otherwise.
    pub(crate) fn deadline(&self) -> Duration {
        self.timeout.unwrap_or(DEADLINE)
    }

    /// The same connection, whose reads and leases see at least what was
    /// processed at `position`: one that an answer carried, of any pod of the
    /// fleet. They wait for it until their deadline
    /// ([`Error::DeadlineExceeded`] with `POSITION_NOT_REACHED` then; unless
    /// [`Builder::strict`], a read is a flagged miss).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), unstale::Error> {
    /// # let cache = unstale::Cache::builder().no_sidecar().connect().await?;
    /// # let (one, two) = (cache.clone(), cache);
    /// let done = one.invalidate(unstale::Invalidate::default().key("k")).await?;
    /// let position = done.position.unwrap_or_default();
    /// two.after(position).get("k").await?; // never the value from before
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn after(&self, position: impl Into<String>) -> Self {
        Self {
            min_position: position.into(),
            ..self.clone()
        }
    }

    /// The position that a read must reflect; empty: none.
    pub(crate) fn min_position(&self, asked: Option<String>) -> String {
        asked.unwrap_or_else(|| self.min_position.clone())
    }

    /// A call with this client's deadline.
    pub(crate) fn asked<T>(&self, message: T) -> Asked<T> {
        self.asked_after(message, Duration::ZERO)
    }

    /// A call that may wait before its deadline starts to count.
    pub(crate) fn asked_after<T>(&self, message: T, wait: Duration) -> Asked<T> {
        let timeout = self
            .timeout
            .map(|timeout| timeout.saturating_add(wait).min(LONGEST));
        Asked { message, timeout }
    }

    /// A request with this client's deadline.
    pub(crate) fn request<T>(&self, message: T) -> Request<T> {
        self.asked(message).request()
    }

    /// The answer of a call, bounded even when the sidecar has stopped. The call
    /// stays where it is: handed on by value, it would be moved, and room kept for
    /// it, at each step.
    pub(crate) async fn answer<T>(
        &self,
        call: Pin<&mut impl Future<Output = Result<T, Status>>>,
    ) -> Result<T, Error> {
        self.answer_after(Duration::ZERO, call).await
    }

    /// The answer of a call that has this ack.
    pub(crate) async fn answer_acked<T>(
        &self,
        ack: Ack,
        call: Pin<&mut impl Future<Output = Result<T, Status>>>,
    ) -> Result<T, Error> {
        let default = match ack {
            Ack::Local | Ack::Log => DEADLINE,
            Ack::Fleet => DEADLINE_MAX,
        };
        self.bounded(default, Duration::ZERO, call).await
    }

    /// The answer of a call that may wait before its deadline starts to count.
    pub(crate) async fn answer_after<T>(
        &self,
        wait: Duration,
        call: Pin<&mut impl Future<Output = Result<T, Status>>>,
    ) -> Result<T, Error> {
        self.bounded(DEADLINE, wait, call).await
    }

    /// A deadline that was asked for is the call's end. The sidecar's own leaves
    /// it a moment more, so that its words for it arrive.
    async fn bounded<T>(
        &self,
        default: Duration,
        wait: Duration,
        call: Pin<&mut impl Future<Output = Result<T, Status>>>,
    ) -> Result<T, Error> {
        let (deadline, grace) = match self.timeout {
            Some(timeout) => (timeout, Duration::ZERO),
            None => (default, GRACE),
        };
        let bound = deadline.saturating_add(wait).saturating_add(grace);
        match tokio::time::timeout(bound, call).await {
            Ok(answer) => Ok(answer?),
            Err(_) if grace.is_zero() => Err(Error::DeadlineExceeded {
                reason: String::new(),
                message: format!("no answer within {bound:?}"),
            }),
            Err(_) => Err(Error::Unreachable(format!("no answer within {bound:?}"))),
        }
    }
}

/// The answer of a call by itself.
pub(crate) async fn alone<T>(
    call: impl Future<Output = Result<Response<T>, Status>>,
) -> Result<T, Status> {
    Ok(call.await?.into_inner())
}
