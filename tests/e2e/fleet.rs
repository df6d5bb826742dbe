//! Several sidecars on one NATS server, all fresh and knowing each other.

use tokio::sync::{Semaphore, SemaphorePermit};
use unstale_tests::{Nats, Sidecar};

/// Fleets at once: more of them make each other slow, and so late.
static ROOM: Semaphore = Semaphore::const_new(2);

/// A fleet and its server. Killed when it is dropped, the pods first.
pub(crate) struct Fleet {
    pub(crate) pods: Vec<Sidecar>,
    pub(crate) nats: Nats,
    pub(crate) permit: SemaphorePermit<'static>,
}

impl Fleet {
    /// Starts `count` pods named pod-0, pod-1…
    pub(crate) async fn of(count: usize) -> Self {
        let permit = ROOM.acquire().await.expect("never closed");
        let nats = Nats::start();
        let start = |i: usize| {
            let pod = Sidecar::builder().nats(&nats.url());
            pod.pod(&format!("pod-{i}")).spawn()
        };
        let pods: Vec<_> = (0..count).map(start).collect();
        let fleet = Self { pods, nats, permit };
        fleet.is_whole().await;
        fleet
    }

    /// Waits until every pod is fresh and knows every other.
    pub(crate) async fn is_whole(&self) {
        for pod in &self.pods {
            pod.serves().await;
            pod.is_fresh().await;
        }
        for pod in &self.pods {
            pod.knows(self.pods.len()).await;
        }
    }
}
