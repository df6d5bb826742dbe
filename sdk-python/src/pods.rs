//! What a pod tells of itself and of its fleet.

use pyo3::prelude::*;
use unstale::SessionState;

/// What the sidecar is doing.
#[pyclass(frozen, get_all, module = "unstale._native")]
pub(crate) struct Status {
    /// The sidecar's version.
    version: String,
    /// The fleet's name; empty with the local log.
    fleet: String,
    /// "JOINING", "FRESH", "LAPSED", "LEFT" or "OTHER".
    session_state: &'static str,
    /// The pod's position.
    position: String,
    /// The pod's name; none before it has a session.
    pod: Option<String>,
    /// The sidecar's process: another one after each start.
    instance: String,
    /// "local" or "nats".
    log: String,
    /// What keeps the log away; empty when it is connected.
    log_error: String,
    /// "memory", "nats", "redis" or "memcached".
    remote: String,
    /// What keeps the remote tier away; empty when it is up.
    remote_error: String,
}

impl From<unstale::Status> for Status {
    fn from(status: unstale::Status) -> Self {
        Self {
            version: status.version,
            fleet: status.fleet,
            session_state: session_state(status.session_state),
            position: status.position,
            pod: status.session.map(|session| session.pod),
            instance: status.instance,
            log: status.log,
            log_error: status.log_error,
            remote: status.remote,
            remote_error: status.remote_error,
        }
    }
}

/// The word of a session's state.
pub(crate) fn session_state(state: SessionState) -> &'static str {
    match state {
        SessionState::Joining => "JOINING",
        SessionState::Fresh => "FRESH",
        SessionState::Lapsed => "LAPSED",
        SessionState::Left => "LEFT",
        _ => "OTHER",
    }
}

/// A pod of the fleet, as the answering one knows it from the log.
#[pyclass(frozen, get_all, module = "unstale._native")]
pub(crate) struct Peer {
    /// The pod's name.
    pod: String,
    /// The session's random id.
    id: String,
    /// Whether this is the answering pod itself.
    own: bool,
    /// Whether it was expelled and is being waited out.
    expelled: bool,
}

impl From<unstale::Peer> for Peer {
    fn from(peer: unstale::Peer) -> Self {
        Self {
            pod: peer.session.pod,
            id: peer.session.id,
            own: peer.own,
            expelled: peer.expelled,
        }
    }
}

/// The pods of a fleet, as a list.
pub(crate) fn peers(py: Python<'_>, peers: Vec<unstale::Peer>) -> PyResult<Py<PyAny>> {
    let each = peers.into_iter().map(|peer| Py::new(py, Peer::from(peer)));
    let peers = each.collect::<PyResult<Vec<_>>>()?;
    Ok(peers.into_pyobject(py)?.unbind())
}
