//! Several sidecars on one NATS server, all fresh and knowing each other.

use crate::sdk::client;
use std::ops::Range;
use tokio::sync::{Semaphore, SemaphorePermit};
use unstale::Cache;
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
        Self::configured(count, "").await
    }

    /// The same, with this configuration file.
    pub(crate) async fn configured(count: usize, config: &str) -> Self {
        Self::started(Nats::start(), count, config).await
    }

    /// `count` pods on this server.
    pub(crate) async fn on(nats: Nats, count: usize) -> Self {
        Self::started(nats, count, "").await
    }

    async fn started(nats: Nats, count: usize, config: &str) -> Self {
        let mut fleet = Self::empty(nats).await;
        fleet.start(0..count.min(1), config);
        // The first one makes the log alone: who races it there starts later.
        fleet.is_whole().await;
        fleet.start(1..count, config);
        fleet.is_whole().await;
        fleet
    }

    /// Starts all at the same time, so that they race to make the log.
    pub(crate) async fn at_once(count: usize) -> Self {
        let mut fleet = Self::empty(Nats::start()).await;
        fleet.start(0..count, "");
        fleet.is_whole().await;
        fleet
    }

    async fn empty(nats: Nats) -> Self {
        let permit = ROOM.acquire().await.expect("never closed");
        Self {
            pods: Vec::new(),
            nats,
            permit,
        }
    }

    fn start(&mut self, pods: Range<usize>, config: &str) {
        let start = |i: usize| {
            let pod = Sidecar::builder().nats(&self.nats.url());
            pod.config(config).pod(&format!("pod-{i}")).spawn()
        };
        self.pods.extend(pods.map(start));
    }

    /// One more pod, which is fresh: it knows what was before it came.
    pub(crate) async fn late(&self) -> Sidecar {
        self.late_with("").await
    }

    /// The same, with this configuration file.
    pub(crate) async fn late_with(&self, config: &str) -> Sidecar {
        let pod = Sidecar::builder().nats(&self.nats.url());
        pod.config(config).pod("late").fresh().await
    }

    /// A client of each pod.
    pub(crate) async fn clients(&self) -> Vec<Cache> {
        futures::future::join_all(self.pods.iter().map(client)).await
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
