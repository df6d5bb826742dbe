//! A fleet under test: its network, servers, pods and proxy, and what is
//! remembered of it. Dropped as a whole, whatever state it is in.

use crate::checker::Checker;
use crate::cluster::Cluster;
use crate::history::History;
use crate::network::Network;
use crate::pods::{Pod, Settings};
use crate::proxy::Proxy;
use std::time::Duration;
use tokio::sync::RwLock;
use unstale_tests::eventually;

/// How long a fleet may take to become whole at first.
const START: Duration = Duration::from_secs(60);

/// What a fleet consists of.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) pods: usize,
    pub(crate) nodes: usize,
    pub(crate) session_ttl: Duration,
    /// Loaders read the origin before they ask for the lease, which no cache
    /// can make good: the checker must notice.
    pub(crate) lies: bool,
}

/// A fleet under test.
pub(crate) struct Fleet {
    pub(crate) shape: Shape,
    pub(crate) pods: Vec<Pod>,
    pub(crate) cluster: Cluster,
    /// Between the last pod and every server.
    pub(crate) proxy: Proxy,
    pub(crate) checker: Checker,
    pub(crate) history: History,
    /// Held for reading while the origin changes.
    pub(crate) changing: RwLock<()>,
    /// The last: it takes the processes with it.
    network: Network,
}

impl Fleet {
    /// Starts one and waits until every pod is fresh.
    pub(crate) async fn start(number: usize, shape: Shape) -> Self {
        let network = Network::open(number);
        let cluster = Cluster::start(&network, shape.nodes).await;
        let proxy = Proxy::start(&network, &cluster).await;
        let with = Settings {
            session_ttl: shape.session_ttl,
            replicas: shape.nodes,
        };
        let start = |i| {
            let direct = i + 1 < shape.pods;
            let urls = if direct { cluster.urls() } else { proxy.urls() };
            Pod::start(&network, i, &urls, &with)
        };
        let pods: Vec<_> = (0..shape.pods).map(start).collect();
        let mut bound = Duration::ZERO;
        for pod in &pods {
            let status = eventually("a fresh session", START, || pod.whole()).await;
            let said = status.staleness_bound.expect("a bound");
            bound = bound.max(said.try_into().expect("a positive one"));
        }
        Self {
            shape,
            checker: Checker::new(pods.len(), bound),
            history: History::new(),
            pods,
            cluster,
            proxy,
            changing: RwLock::new(()),
            network,
        }
    }

    /// Copies the output of every process to a directory that stays.
    pub(crate) fn keep_logs(&self, to: &std::path::Path) {
        let files = std::fs::read_dir(self.network.dir()).expect("a directory");
        for file in files.flatten() {
            if file.path().extension().is_some_and(|e| e == "log") {
                // A log that cannot be kept must not hide the violation.
                let _ = std::fs::copy(file.path(), to.join(file.file_name()));
            }
        }
    }
}
