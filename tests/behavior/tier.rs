//! The tiers under test: which servers each has, and how a pod is told of
//! them: by its settings, as a user would.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;
use tempfile::NamedTempFile;
use tokio::sync::OnceCell;
use tokio_util::sync::DropGuard;
use unstale_engine::clock::Clock;
use unstale_engine::remote::Remote;
use unstale_sidecar::boottime::BootTime;
use unstale_sidecar::config::{Config, Flags};
use unstale_sidecar::shutdown::Shutdown;
use unstale_sidecar::tiers::Tiers;
use unstale_tests::{Memcached, Nats, NatsCluster, Redis, RedisCluster, eventually};

/// How long a tier may take to be usable; a new cluster elects leaders first.
const USABLE: Duration = Duration::from_secs(60);

/// A remote tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Memory,
    NatsR1,
    NatsR3,
    Redis,
    Valkey,
    RedisCluster,
    Memcached,
    /// Redis with records that are compressed and encrypted.
    Sealed,
}

impl Kind {
    pub(crate) const ALL: [Self; 8] = [
        Self::Memory,
        Self::NatsR1,
        Self::NatsR3,
        Self::Redis,
        Self::Sealed,
        Self::Valkey,
        Self::RedisCluster,
        Self::Memcached,
    ];
    /// Those behind a connection.
    pub(crate) const NETWORK: [Self; 7] = [
        Self::NatsR1,
        Self::NatsR3,
        Self::Redis,
        Self::Sealed,
        Self::Valkey,
        Self::RedisCluster,
        Self::Memcached,
    ];
    /// Those whose servers are one process with a memory limit and a password.
    pub(crate) const BOUNDED: [Self; 3] = [Self::Redis, Self::Valkey, Self::Memcached];
    /// Those whose answers come in order, over connections that calls share.
    pub(crate) const UNNUMBERED: [Self; 5] = [
        Self::Redis,
        Self::Sealed,
        Self::Valkey,
        Self::RedisCluster,
        Self::Memcached,
    ];
    /// Those that can be several servers, each for some of the keys.
    pub(crate) const PARTS: [Self; 2] = [Self::RedisCluster, Self::Memcached];
    /// Those that are asked things only Redis knows.
    pub(crate) const REDIS: [Self; 2] = [Self::Redis, Self::Valkey];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::NatsR1 => "nats_r1",
            Self::NatsR3 => "nats_r3",
            Self::Redis => "redis",
            Self::Valkey => "valkey",
            Self::RedisCluster => "redis_cluster",
            Self::Memcached => "memcached",
            Self::Sealed => "sealed",
        }
    }

    /// Whether a read may be older than a put that was answered.
    pub(crate) fn lags(self) -> bool {
        self == Self::NatsR3
    }

    /// Starts its servers.
    pub(crate) async fn start(self) -> Running {
        let servers = match self {
            Self::Memory => Servers::Memory,
            Self::NatsR1 => Servers::Nats(Nats::start()),
            Self::NatsR3 => Servers::NatsCluster(NatsCluster::start()),
            Self::Redis => Servers::Redis(Redis::start()),
            Self::Valkey => Servers::Redis(Redis::valkey()),
            Self::RedisCluster => Servers::RedisCluster(RedisCluster::start().await),
            Self::Memcached => Servers::Memcached(Memcached::start()),
            Self::Sealed => Servers::Redis(Redis::start()),
        };
        let mut running = Running::new(servers);
        running.keys = (self == Self::Sealed).then(keys);
        running
    }
}

/// A tier's own servers.
pub(crate) enum Servers {
    Memory,
    Nats(Nats),
    NatsCluster(NatsCluster),
    Redis(Redis),
    RedisCluster(RedisCluster),
    Memcached(Memcached),
}

/// Servers that run, with the fleet's NATS beside them where hints need it.
pub(crate) struct Running {
    pub(crate) servers: Servers,
    nats: Option<Nats>,
    /// What records are encrypted with.
    keys: Option<NamedTempFile>,
}

fn path(file: &NamedTempFile) -> String {
    file.path().display().to_string()
}

fn keys() -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    let line = "1 b3M0y2nq9Q0Jd1m9w8o4k6Y7c5T3r2e1i0u9z8x7v6c=\n";
    file.write_all(line.as_bytes()).unwrap();
    file
}

impl Running {
    pub(crate) fn new(servers: Servers) -> Self {
        let own = matches!(
            servers,
            Servers::Memory | Servers::Nats(_) | Servers::NatsCluster(_)
        );
        let nats = (!own).then(Nats::start);
        let keys = None;
        Self {
            servers,
            nats,
            keys,
        }
    }

    /// The settings of a pod that uses them.
    pub(crate) fn flags(&self) -> Flags {
        let (remote, nats, replicas) = match &self.servers {
            Servers::Memory => ("memory".to_owned(), None, None),
            Servers::Nats(nats) => ("nats".to_owned(), Some(nats.url()), None),
            Servers::NatsCluster(nats) => ("nats".to_owned(), Some(nats.url()), Some("3")),
            Servers::Redis(redis) => (redis.url(), None, None),
            Servers::RedisCluster(cluster) => (cluster.url(), None, None),
            Servers::Memcached(memcached) => (memcached.url(), None, None),
        };
        let nats = nats.or(self.nats.as_ref().map(Nats::url));
        Flags {
            remote: Some(remote),
            fleet: nats.is_some().then(|| "test".to_owned()),
            nats,
            nats_replicas: replicas.map(str::to_owned),
            compress_from: self.keys.as_ref().map(|_| "64B".to_owned()),
            encryption_key_file: self.keys.as_ref().map(path),
            ..Flags::default()
        }
    }

    /// A pod's tier, with connections of its own, that answers.
    pub(crate) async fn pod(&self) -> Pod {
        let pod = Pod::new(&self.flags());
        pod.usable().await;
        pod
    }

    /// Kills the tier's servers.
    pub(crate) fn stop(&mut self) {
        match &mut self.servers {
            Servers::Memory => {}
            Servers::Nats(nats) => nats.stop(),
            Servers::NatsCluster(nats) => nats.stop(),
            Servers::Redis(redis) => redis.stop(),
            Servers::RedisCluster(cluster) => cluster.nodes.iter_mut().for_each(Redis::stop),
            Servers::Memcached(memcached) => memcached.stop(),
        }
    }

    /// Starts them again.
    pub(crate) async fn restart(&mut self) {
        match &mut self.servers {
            Servers::Memory => {}
            Servers::Nats(nats) => nats.restart(),
            Servers::NatsCluster(nats) => nats.restart(),
            Servers::Redis(redis) => redis.restart(),
            Servers::RedisCluster(cluster) => {
                cluster.nodes.iter_mut().for_each(Redis::restart);
                cluster.whole().await;
            }
            Servers::Memcached(memcached) => memcached.restart(),
        }
    }
}

/// A tier as one pod has it.
#[derive(Clone)]
pub(crate) struct Pod {
    pub(crate) remote: Arc<dyn Remote>,
    _running: Arc<DropGuard>,
}

impl Pod {
    pub(crate) fn new(flags: &Flags) -> Self {
        let config = Config::load(flags).unwrap_or_else(|mistakes| panic!("{mistakes:?}"));
        let clock: Arc<dyn Clock> = Arc::new(BootTime);
        let tiers = Tiers::new(&config, &clock);
        let shutdown = Shutdown::new();
        tiers.run_remote(&shutdown);
        Self {
            remote: tiers.remote,
            _running: Arc::new(shutdown.token().drop_guard()),
        }
    }

    /// Waits until it answers.
    pub(crate) async fn usable(&self) {
        let ask = || async { self.remote.ping().await.map_err(|e| e.to_string()) };
        eventually("a tier that answers", USABLE, ask).await;
    }
}

/// What the cases of one tier share.
pub(crate) struct World {
    pub(crate) kind: Kind,
    shared: OnceCell<(Running, [Pod; 2])>,
}

impl World {
    pub(crate) fn new(kind: Kind) -> Self {
        let shared = OnceCell::new();
        Self { kind, shared }
    }

    /// Two pods on the servers that cases share; with the memory tier they are
    /// one.
    pub(crate) async fn pods(&self) -> [Pod; 2] {
        let (_, pods) = self.shared().await;
        pods.clone()
    }

    /// A pod on the servers that cases share.
    pub(crate) async fn pod(&self) -> Pod {
        let [pod, _] = self.pods().await;
        pod
    }

    async fn shared(&self) -> &(Running, [Pod; 2]) {
        let start = || async {
            let running = self.kind.start().await;
            let one = running.pod().await;
            let other = match self.kind {
                Kind::Memory => one.clone(),
                _ => running.pod().await,
            };
            (running, [one, other])
        };
        self.shared.get_or_init(start).await
    }
}
