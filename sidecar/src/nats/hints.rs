//! Hints between pods: one plain message per hint, on a subject of the key's.
//!
//! Best effort: a full queue or a lost connection loses hints, and callers poll
//! as well. A waiting call is one subscription, which ends with it.

use super::link::{Link, State};
use bytes::Bytes;
use futures::{FutureExt, StreamExt};
use unstale_engine::key::NameHash;

fn subject(fleet: &str, key: NameHash) -> String {
    format!("unstale.{fleet}.hint.{:032x}", key.0)
}

/// Wakes whoever waits for the key in pods of the fleet.
pub(crate) fn hint(link: &Link, fleet: &str, key: NameHash) {
    if let State::Up(client) = link.state() {
        // Never waits: a client whose queue is full loses the hint.
        let _ = client
            .publish(subject(fleet, key), Bytes::new())
            .now_or_never();
    }
}

/// Returns at the next hint, or never. Cancel safe.
pub(crate) async fn hinted(link: &Link, fleet: &str, key: NameHash) {
    if let State::Up(client) = link.state()
        && let Ok(mut hints) = client.subscribe(subject(fleet, key)).await
        && hints.next().await.is_some()
    {
        return;
    }
    std::future::pending().await
}
