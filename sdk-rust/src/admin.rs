//! For operators: what the sidecar is doing and who else is in the fleet.

use crate::answer::{Session, std_duration};
use crate::cache::alone;
use crate::{Cache, Error};
use std::pin::pin;
use std::time::Duration;
use unstale_proto::v1;

/// What the sidecar is doing.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), unstale::Error> {
/// # let cache = unstale::Cache::builder().no_sidecar().connect().await?;
/// match cache.status().await {
///     Ok(status) => println!("{} of the fleet {:?}", status.version, status.fleet),
///     Err(error) => println!("{error}"),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// The sidecar's version.
    pub version: String,
    /// The fleet's name; empty with the local log.
    pub fleet: String,
    /// The pod's session.
    pub session: Option<Session>,
    /// Whether the pod may call anything fresh.
    pub session_state: SessionState,
    /// How long the session stays fresh without a further beat.
    pub fresh_for: Duration,
    /// The pod's position in the log.
    pub position: String,
    /// The part of the log below this sequence was not replayed.
    pub horizon: u64,
    /// "local" or "nats".
    pub log: String,
    /// What keeps the log away; empty when it is connected.
    pub log_error: String,
    /// "memory", "nats", "redis" or "memcached".
    pub remote: String,
    /// What keeps the remote tier away; empty when it is up.
    pub remote_error: String,
    /// Entries in L1.
    pub l1_entries: u64,
    /// Weighed bytes in L1.
    pub l1_bytes: u64,
    /// Bound of L1 in weighed bytes.
    pub l1_max_bytes: u64,
    /// The configuration in force, without secrets, as TOML.
    pub config: String,
    /// Why the newest configuration file is not in force; empty when it is.
    pub config_error: String,
    /// The sidecar's process: another one after each start.
    pub instance: String,
    /// How long an invalidation binds a silent pod.
    pub staleness_bound: Duration,
    /// References in the fleet, as the pod follows them.
    pub references: u64,
    /// What keeps the references away; empty when they are followed.
    pub references_error: String,
    /// Entries that L1 keeps because their keys are referred to.
    pub pinned_entries: u64,
    /// Weighed bytes of them.
    pub pinned_bytes: u64,
    /// Bound of them in weighed bytes, beside `l1_max_bytes`.
    pub pinned_max_bytes: u64,
}

/// Whether a session may call anything fresh.
///
/// ```
/// use unstale::SessionState;
///
/// let serves_fresh = |state| state == SessionState::Fresh;
/// assert!(!serves_fresh(SessionState::Joining));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionState {
    /// Waiting for the log or the first echo.
    Joining,
    /// Entries may be served as fresh.
    Fresh,
    /// The last beat's echo is too old.
    Lapsed,
    /// The sidecar is draining.
    Left,
    /// A state this client does not know yet.
    Other,
}

impl From<v1::SessionState> for SessionState {
    fn from(state: v1::SessionState) -> Self {
        match state {
            v1::SessionState::Joining => Self::Joining,
            v1::SessionState::Fresh => Self::Fresh,
            v1::SessionState::Lapsed => Self::Lapsed,
            v1::SessionState::Left => Self::Left,
            v1::SessionState::Unspecified => Self::Other,
        }
    }
}

/// A session as the pod knows it from the log.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), unstale::Error> {
/// # let cache = unstale::Cache::builder().no_sidecar().connect().await?;
/// for peer in cache.peers().await.unwrap_or_default() {
///     println!("{}{}", peer.session.pod, if peer.own { " (this one)" } else { "" });
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Peer {
    /// The session.
    pub session: Session,
    /// Whether this is the answering pod itself.
    pub own: bool,
    /// Whether it was expelled and is being waited out.
    pub expelled: bool,
    /// Sequence of its newest Join.
    pub joined_sequence: u64,
    /// The highest sequence it said it had processed; 0 when never asked.
    pub processed_sequence: u64,
}

impl Cache {
    /// What the sidecar is doing.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), unstale::Error> {
    /// # let cache = unstale::Cache::builder().no_sidecar().connect().await?;
    /// let asked = cache.status().await;
    /// assert!(asked.is_err(), "there is no sidecar");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn status(&self) -> Result<Status, Error> {
        let request = self.request(v1::StatusRequest {});
        let s = self
            .answer(pin!(alone(self.admin().status(request))))
            .await?;
        Ok(Status {
            session_state: s.session_state().into(),
            version: s.version,
            fleet: s.fleet,
            session: s.session.map(Session::from),
            fresh_for: std_duration(s.fresh_for),
            position: s.position,
            horizon: s.horizon,
            log: s.log,
            log_error: s.log_error,
            remote: s.remote,
            remote_error: s.remote_error,
            l1_entries: s.l1_entries,
            l1_bytes: s.l1_bytes,
            l1_max_bytes: s.l1_max_bytes,
            config: s.config,
            config_error: s.config_error,
            instance: s.instance,
            references: s.references,
            references_error: s.references_error,
            pinned_entries: s.pinned_entries,
            pinned_bytes: s.pinned_bytes,
            pinned_max_bytes: s.pinned_max_bytes,
            staleness_bound: std_duration(s.staleness_bound),
        })
    }

    /// The sessions the pod knows, its own included.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), unstale::Error> {
    /// # let cache = unstale::Cache::builder().no_sidecar().connect().await?;
    /// let asked = cache.peers().await;
    /// assert!(asked.is_err(), "there is no sidecar");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn peers(&self) -> Result<Vec<Peer>, Error> {
        let request = self.request(v1::PeersRequest {});
        let answer = self
            .answer(pin!(alone(self.admin().peers(request))))
            .await?;
        answer.peers.into_iter().map(peer).collect()
    }
}

fn peer(peer: v1::Peer) -> Result<Peer, Error> {
    let session = peer.session.ok_or(Error::Answer("a peer has no session"))?;
    Ok(Peer {
        session: session.into(),
        own: peer.own,
        expelled: peer.expelled,
        joined_sequence: peer.joined_sequence,
        processed_sequence: peer.processed_sequence,
    })
}
