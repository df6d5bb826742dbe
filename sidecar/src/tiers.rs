//! Which log, which references and which remote tier the settings ask for.

mod servers;

pub use servers::{connection, memcached_servers, nats_servers, redis_servers};

use crate::config::{Config, Nats, Redis, RemoteTier};
use crate::entropy::OsRandom;
use crate::log::local::LocalLog;
use crate::log::nats::{NatsLog, NatsLogConfig};
use crate::references::local::LocalReferences;
use crate::references::nats::{NatsReferences, NatsReferencesConfig};
use crate::remote::hints::Hints;
use crate::remote::memcached::MemcachedTier;
use crate::remote::memory::MemoryTier;
use crate::remote::nats_kv::NatsKv;
use crate::remote::redis::RedisTier;
use crate::remote::sealed::SealConfig;
use crate::remote::sealed::key_file::KeyFile;
use crate::remote::stack::{self, Calls};
use crate::shutdown::Shutdown;
use crate::telemetry::remote::RemoteCounts;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use unstale_engine::clock::Clock;
use unstale_engine::limits;
use unstale_engine::log::{Log, Sink};
use unstale_engine::random::Random;
use unstale_engine::references::{self, References};
use unstale_engine::remote::Remote;

/// The log, the references and the remote tier, not running yet.
pub struct Tiers {
    /// The log.
    pub log: Arc<dyn Log>,
    /// The references.
    pub references: Arc<dyn References>,
    /// The remote tier, with everything around it.
    pub remote: Arc<dyn Remote>,
    /// What is counted around it.
    pub counts: Arc<RemoteCounts>,
    local: Option<Arc<LocalLog>>,
    nats_log: Option<Arc<NatsLog>>,
    followed: Followed,
    driver: Driver,
    key_file: Mutex<Option<KeyFile>>,
}

/// What follows the references.
enum Followed {
    Local(Arc<LocalReferences>),
    Nats(Arc<NatsReferences>),
}

/// What keeps the remote tier's connections up.
enum Driver {
    None,
    Nats(Arc<NatsKv>),
    Redis(Arc<RedisTier>),
    Memcached(Arc<MemcachedTier>),
}

impl Tiers {
    /// Builds all of them. Nothing is connected, nothing fails.
    pub fn new(config: &Config, clock: &Arc<dyn Clock>) -> Self {
        let nats_log = config
            .nats
            .as_ref()
            .map(|nats| log_of(nats, config.session_ttl));
        let local = match nats_log {
            Some(_) => None,
            None => Some(LocalLog::new(config.session_ttl, clock.clone())),
        };
        let log: Arc<dyn Log> = match (&nats_log, &local) {
            (Some(log), _) => log.clone(),
            (None, Some(log)) => log.clone(),
            (None, None) => unreachable!("one of the two was built above"),
        };
        let (references, followed) = references_of(config, clock);
        let (remote, driver) = remote_of(config, clock);
        let counts = Arc::default();
        let (remote, key_file) = match driver {
            // In this process: there is nothing to wait for, and nobody to hide from.
            Driver::None => (remote, None),
            _ => around(remote, config, clock, &counts),
        };
        Self {
            log,
            references,
            followed,
            remote,
            counts,
            local,
            nats_log,
            driver,
            key_file: Mutex::new(key_file),
        }
    }

    /// SESSION_TTL as the fleet's log says it; none while it is not known, and
    /// with the local log, which obeys the setting.
    pub fn session_ttl(&self) -> impl Fn() -> Option<Duration> + Send + Sync + 'static {
        let log = self.nats_log.clone();
        move || log.as_ref()?.session_ttl()
    }

    /// Starts the drivers; they end with `shutdown`.
    pub fn run<S>(&self, shutdown: &Shutdown, sink: Arc<S>)
    where
        S: Sink + references::Sink,
    {
        let (followed, token) = (sink.clone(), shutdown.token());
        match &self.followed {
            Followed::Local(local) => {
                shutdown.spawn("references", local.clone().run(followed, token));
            }
            Followed::Nats(nats) => {
                shutdown.spawn("references", nats.clone().run(followed, token));
            }
        }
        if let Some(log) = &self.local {
            shutdown.spawn("log", log.clone().run(sink.clone(), shutdown.token()));
        }
        if let Some(log) = &self.nats_log {
            shutdown.spawn("log", log.clone().run(sink, shutdown.token()));
        }
        self.run_remote(shutdown);
    }

    /// Starts the remote tier's driver alone, and what follows its key file.
    pub fn run_remote(&self, shutdown: &Shutdown) {
        let token = shutdown.token();
        let key_file = self.key_file.lock();
        if let Some(key_file) = key_file.unwrap_or_else(PoisonError::into_inner).take() {
            shutdown.spawn("encryption keys", key_file.run(token.clone()));
        }
        match &self.driver {
            Driver::None => {}
            Driver::Nats(tier) => shutdown.spawn("remote", tier.clone().run(token)),
            Driver::Redis(tier) => shutdown.spawn("remote", tier.clone().run(token)),
            Driver::Memcached(tier) => shutdown.spawn("remote", tier.clone().run(token)),
        }
    }
}

fn references_of(config: &Config, clock: &Arc<dyn Clock>) -> (Arc<dyn References>, Followed) {
    match &config.nats {
        Some(nats) => {
            let references = NatsReferences::new(NatsReferencesConfig {
                connection: connection(nats),
                fleet: nats.fleet.clone(),
                replicas: nats.replicas,
            });
            (references.clone(), Followed::Nats(references))
        }
        None => {
            let references = LocalReferences::new(clock.clone());
            (references.clone(), Followed::Local(references))
        }
    }
}

fn remote_of(config: &Config, clock: &Arc<dyn Clock>) -> (Arc<dyn Remote>, Driver) {
    match (&config.remote, &config.nats) {
        (RemoteTier::Nats, Some(nats)) => {
            let tier = NatsKv::new(nats_servers(nats));
            (tier.clone(), Driver::Nats(tier))
        }
        (RemoteTier::Redis(redis), nats) => {
            let tier = redis_of(config, redis, nats.as_ref());
            (tier.clone(), Driver::Redis(tier))
        }
        (RemoteTier::Memcached(hosts), nats) => {
            let servers = memcached_servers(hosts, &config.remote_login, config.fleet());
            let tier = MemcachedTier::new(servers, hints(nats.as_ref()));
            (tier.clone(), Driver::Memcached(tier))
        }
        (RemoteTier::Memory, _) | (RemoteTier::Nats, None) => {
            let tier = MemoryTier::new(config.memory_bytes, clock.clone());
            (tier, Driver::None)
        }
    }
}

fn redis_of(config: &Config, redis: &Redis, nats: Option<&Nats>) -> Arc<RedisTier> {
    let servers = redis_servers(redis, &config.remote_login, config.fleet());
    RedisTier::new(servers, hints(nats), Arc::new(OsRandom))
}

/// The tier with everything around it, and what keeps its keys those of the file.
fn around(
    tier: Arc<dyn Remote>,
    config: &Config,
    clock: &Arc<dyn Clock>,
    counts: &Arc<RemoteCounts>,
) -> (Arc<dyn Remote>, Option<KeyFile>) {
    let (calls, records) = (&config.remote_calls, &config.records);
    let calls = Calls {
        timeout: calls.timeout,
        concurrency: calls.concurrency,
        hedge: calls.hedge,
    };
    let seal = SealConfig {
        compress_from: records.compress_from,
        keys: records.keys.clone(),
        fleet: config.fleet().to_owned(),
    };
    let ports = (clock.clone(), Arc::new(OsRandom) as Arc<dyn Random>);
    let stack = stack::around(tier, (&calls, seal), ports, counts);
    let file = records.key_file.clone();
    let file = file.map(|file| KeyFile::new(file, stack.sealed, counts.clone()));
    (stack.remote, file)
}

/// Over the fleet's NATS, if there is a fleet.
fn hints(nats: Option<&Nats>) -> Hints {
    match nats {
        Some(nats) => Hints::nats(connection(nats), nats.fleet.clone()),
        None => Hints::here(),
    }
}

fn log_of(nats: &Nats, session_ttl: Duration) -> Arc<NatsLog> {
    NatsLog::new(NatsLogConfig {
        connection: connection(nats),
        fleet: nats.fleet.clone(),
        session_ttl,
        // A day more than anything that was written may live.
        retention: limits::TTL_MAX + Duration::from_secs(24 * 3600),
        replicas: nats.replicas,
    })
}
