//! Hints for tiers that carry none themselves.
//!
//! In a fleet they go over its NATS, where the log is, too: leases need the log
//! anyway, so that hints are there whenever they are of use. A pod that is
//! alone needs no network for them. Best effort, as the port says.

use super::waiters::Waiters;
use crate::nats::NatsConfig;
use crate::nats::hints;
use crate::nats::link::Link;
use tokio_util::sync::CancellationToken;
use unstale_engine::key::NameHash;

/// Where hints go.
pub struct Hints(Way);

enum Way {
    Here(Waiters),
    Nats { link: Box<Link>, fleet: String },
}

impl Hints {
    /// For a pod that is alone.
    pub fn here() -> Self {
        Self(Way::Here(Waiters::default()))
    }

    /// For the pods of a fleet; [`Hints::run`] keeps the connection up.
    pub fn nats(connection: NatsConfig, fleet: String) -> Self {
        let link = Box::new(Link::new(connection, "hints"));
        Self(Way::Nats { link, fleet })
    }

    pub(super) async fn run(&self, cancel: CancellationToken) {
        match &self.0 {
            Way::Here(_) => cancel.cancelled().await,
            Way::Nats { link, .. } => link.run(cancel).await,
        }
    }

    pub(super) fn hint(&self, key: NameHash) {
        match &self.0 {
            Way::Here(waiters) => waiters.hint(key),
            Way::Nats { link, fleet } => hints::hint(link, fleet, key),
        }
    }

    pub(super) async fn hinted(&self, key: NameHash) {
        match &self.0 {
            Way::Here(waiters) => waiters.hinted(key).await,
            Way::Nats { link, fleet } => hints::hinted(link, fleet, key).await,
        }
    }
}
