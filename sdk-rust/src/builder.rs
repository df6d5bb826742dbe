//! Where the sidecar is, how to talk to it, and what to do without it.

use crate::connect::{Pace, Place};
use crate::outage::{Observer, Policy, Shared};
use crate::session::Lanes;
use crate::status::chain;
use crate::wire::Wire;
use crate::{Cache, Error};
use std::fmt::{self, Debug, Formatter};
use std::sync::Arc;
use std::time::Duration;

/// The sidecar when nothing else is said.
pub const DEFAULT_ENDPOINT: &str = "http://127.0.0.1:7070";
/// The environment variable that names the sidecar.
pub const ENDPOINT_VARIABLE: &str = "UNSTALE_ENDPOINT";

/// Builds a [`Cache`]; start with [`Cache::builder`].
///
/// ```
/// use std::time::Duration;
/// use unstale::Cache;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), unstale::Error> {
/// let builder = Cache::builder()
///     .endpoint("unix:/run/unstale/unstale.sock")
///     .namespace("shop")
///     .timeout(Duration::from_millis(200))
///     .on_outage(|error| eprintln!("going on without the cache: {error}"));
/// // Fail-open: the application starts, though nobody is there yet.
/// let cache = builder.connect().await?;
/// assert!(cache.get("user:7").await?.is_outage());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct Builder {
    endpoint: Option<String>,
    namespace: String,
    timeout: Option<Duration>,
    keep_alive: Option<Duration>,
    policy: Policy,
    is_unary: bool,
    observer: Option<Observer>,
}

impl Builder {
    /// Where the sidecar listens: `http://HOST:PORT` or `unix:/path`. When not
    /// called, the variable `UNSTALE_ENDPOINT`, else `http://127.0.0.1:7070`.
    #[must_use]
    pub fn endpoint(mut self, endpoint: impl Into<String>) -> Self {
        self.endpoint = Some(endpoint.into());
        self
    }

    /// The namespace of every call; "default" when not called.
    #[must_use]
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = namespace.into();
        self
    }

    /// The deadline of every call, waiting for a lease not counted. When not
    /// called, the sidecar's own defaults hold (1 s; for ack FLEET as long as
    /// an invalidation binds a silent pod, and 2 s), and a sidecar that has
    /// stopped costs a call 2 s (61 s with ack FLEET).
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// How often the sidecar is asked whether it is still there, also while no
    /// call is under way. A connection on which nothing comes for as long again
    /// is given up: its calls and watches end with [`Error::Unreachable`]. 5 s
    /// when not called.
    #[must_use]
    pub fn keep_alive(mut self, interval: Duration) -> Self {
        self.keep_alive = Some(interval);
        self
    }

    /// Each call goes to the sidecar by itself, as a gRPC call of its own. When
    /// not called, calls share one stream when the sidecar offers it, which
    /// costs both sides less; what they mean is the same.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), unstale::Error> {
    /// let cache = unstale::Cache::builder().unary().no_sidecar().connect().await?;
    /// cache.get("user:7").await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn unary(mut self) -> Self {
        self.is_unary = true;
        self
    }

    /// A call that the sidecar does not answer is an error. When not called,
    /// the client is fail-open: whatever [`Error::is_outage`] names makes a
    /// read a miss and a write not stored, both flagged
    /// ([`crate::Answer::is_outage`]), and [`Cache::get_or_load`] runs the
    /// loader, one per key in this process. Invalidations, compare-and-sets and
    /// leases never pretend: their failures are errors either way.
    ///
    /// ```
    /// use unstale::{Cache, Error};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let nobody = Cache::builder().endpoint("unix:/nobody/here.sock");
    /// let refused = nobody.strict().connect().await;
    /// assert!(matches!(refused, Err(Error::Unreachable(_))));
    /// # }
    /// ```
    #[must_use]
    pub fn strict(mut self) -> Self {
        self.policy = Policy::Strict;
        self
    }

    /// Is told each failure that the client went on without, and each entry that
    /// could not be decoded ([`Error::Codec`]), for a log line or a metric. It is called in the middle of the call, so that it must not
    /// block, and it is called for each call: an outage is many of them.
    #[must_use]
    pub fn on_outage(mut self, observer: impl Fn(&Error) + Send + Sync + 'static) -> Self {
        self.observer = Some(Arc::new(observer));
        self
    }

    /// For tests of applications: no sidecar is asked, and nothing is cached.
    /// Every read is a miss, a write is not stored, every loader runs (one per
    /// key at a time), a lease is granted and its fill voided, an invalidation
    /// is done, a compare-and-set happens if nothing is expected, a watch sees
    /// nothing. Only [`Cache::status`] and [`Cache::peers`] fail.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use unstale::{Cache, Invalidate, LoadOptions};
    ///
    /// let cache = Cache::builder().no_sidecar().connect().await?;
    /// let loader = || async { Ok::<_, std::io::Error>("Ada") };
    /// let loaded = cache.get_or_load("user:7", LoadOptions::default(), loader).await?;
    /// assert_eq!(loaded.result.value().unwrap().as_bytes(), b"Ada");
    /// cache.invalidate(Invalidate::default().key("user:7")).await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn no_sidecar(mut self) -> Self {
        self.policy = Policy::NoSidecar;
        self
    }

    /// Connects now; later losses of the connection are mended by the next
    /// call. Nobody there is an error only when [`Builder::strict`]; else it is
    /// told to [`Builder::on_outage`], and every call tries again.
    ///
    /// # Errors
    /// [`Error::Endpoint`] when the endpoint cannot be read,
    /// [`Error::Unreachable`] when strict and nobody answers there.
    pub async fn connect(self) -> Result<Cache, Error> {
        if self.policy == Policy::NoSidecar {
            return self.lazy();
        }
        let strict = self.policy == Policy::Strict;
        let cache = self.lazy()?;
        if let Err(broken) = cache.wire.connect().await {
            let error = Error::Unreachable(chain(&broken));
            if strict {
                return Err(error);
            }
            cache.goes_on(&error);
            return Ok(cache);
        }
        // A sidecar that is silent is the next call's business.
        let _ = tokio::time::timeout(cache.deadline(), cache.lanes.decided()).await;
        Ok(cache)
    }

    /// Connects with the first call. Must be called in a tokio runtime, to
    /// which the connection then belongs.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), unstale::Error> {
    /// let nobody = unstale::Cache::builder().endpoint("unix:/nobody/here.sock");
    /// let cache = nobody.lazy()?;
    /// assert!(cache.get("k").await?.is_outage());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Endpoint`] when the endpoint cannot be read.
    pub fn lazy(self) -> Result<Cache, Error> {
        let place = match self.policy {
            Policy::NoSidecar => None,
            Policy::FailOpen | Policy::Strict => Some(self.place()?),
        };
        let origin = Place::origin(place.as_ref());
        let wire = Wire::new(place, self.pace());
        let shared = Shared::new(self.policy, self.observer);
        let wants_session = !self.is_unary && self.policy != Policy::NoSidecar;
        let (namespace, timeout) = (self.namespace, self.timeout);
        let lanes = Lanes::new(&wire, &origin, wants_session);
        Ok(Cache::over(
            (wire, origin),
            lanes,
            namespace,
            timeout,
            shared,
        ))
    }

    fn pace(&self) -> Pace {
        Pace {
            timeout: self.timeout,
            keep_alive: self.keep_alive,
        }
    }

    fn place(&self) -> Result<Place, Error> {
        let named = self.endpoint.clone();
        // An empty variable is one that somebody meant to unset.
        let named = named.or_else(|| std::env::var(ENDPOINT_VARIABLE).ok());
        let named = named.filter(|text| !text.is_empty());
        named.as_deref().unwrap_or(DEFAULT_ENDPOINT).parse()
    }
}

impl Debug for Builder {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut builder = f.debug_struct("Builder");
        builder.field("endpoint", &self.endpoint);
        builder.field("namespace", &self.namespace);
        builder.field("timeout", &self.timeout);
        builder.field("keep_alive", &self.keep_alive);
        builder.field("policy", &self.policy);
        builder.field("is_unary", &self.is_unary);
        builder.finish_non_exhaustive()
    }
}
