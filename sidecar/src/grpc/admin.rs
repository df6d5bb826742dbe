//! AdminService: Status and Peers. [`super::explain`] has a file of its own.

use super::{Facts, encode};
use unstale_engine::Engine;
use unstale_proto::v1;

pub(super) fn status(engine: &Engine, facts: &Facts) -> v1::StatusResponse {
    let status = engine.status();
    let in_force = facts.in_force.borrow();
    v1::StatusResponse {
        version: facts.version.into(),
        fleet: facts.fleet.clone(),
        session: Some(encode::session(status.session)),
        session_state: encode::session_state(status.state).into(),
        fresh_for: Some(encode::duration(status.fresh_for)),
        position: status.position.to_string(),
        horizon: status.horizon,
        log: facts.log.into(),
        log_error: status.log_error.unwrap_or_default(),
        remote: facts.remote.into(),
        remote_error: status.remote_error.unwrap_or_default(),
        l1_entries: status.l1_entries,
        l1_bytes: status.l1_bytes,
        l1_max_bytes: facts.l1_max_bytes,
        config: in_force.as_toml((facts.session_ttl)()),
        staleness_bound: Some(encode::duration(status.staleness_bound)),
        config_error: in_force.error.clone(),
        instance: facts.instance.clone(),
        references: status.references,
        references_error: status.references_error.unwrap_or_default(),
        pinned_entries: status.pinned_entries,
        pinned_bytes: status.pinned_bytes,
        pinned_max_bytes: status.pinned_max_bytes,
    }
}

pub(super) fn peers(engine: &Engine) -> v1::PeersResponse {
    let peers = engine.peers().into_iter().map(|peer| v1::Peer {
        session: Some(encode::session(peer.session)),
        own: peer.own,
        expelled: peer.expelled,
        joined_sequence: peer.joined,
        processed_sequence: peer.processed,
    });
    v1::PeersResponse {
        peers: peers.collect(),
    }
}
