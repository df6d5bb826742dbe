//! Where the sidecar is and how to talk to it.

use crate::connect::{self, Place};
use crate::{Cache, Error};
use std::time::Duration;

/// The sidecar when nothing else is said.
pub const DEFAULT_ENDPOINT: &str = "http://127.0.0.1:7070";
/// The environment variable that names the sidecar.
pub const ENDPOINT_VARIABLE: &str = "UNSTALE_ENDPOINT";

/// Builds a [`Cache`]; start with [`Cache::builder`].
#[derive(Clone, Debug, Default)]
pub struct Builder {
    endpoint: Option<String>,
    namespace: String,
    timeout: Option<Duration>,
    keep_alive: Option<Duration>,
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

    /// Connects now; later losses of the connection are mended by the next
    /// call.
    ///
    /// # Errors
    /// [`Error::Endpoint`] when the endpoint cannot be read,
    /// [`Error::Unreachable`] when nobody answers there.
    pub async fn connect(self) -> Result<Cache, Error> {
        let place: Place = self.place().parse()?;
        let channel = connect::connect(place, self.timeout, self.keep_alive).await?;
        Ok(Cache::over(channel, self.namespace, self.timeout))
    }

    fn place(&self) -> String {
        let named = self.endpoint.clone();
        // An empty variable is one that somebody meant to unset.
        let named = named.or_else(|| std::env::var(ENDPOINT_VARIABLE).ok());
        named
            .filter(|text| !text.is_empty())
            .unwrap_or_else(|| DEFAULT_ENDPOINT.to_owned())
    }
}
