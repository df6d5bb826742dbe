//! Which log and which remote tier the settings ask for.

use crate::config::{Config, Nats, Redis, RedisLayout, RemoteLogin, RemoteTier};
use crate::entropy::OsRandom;
use crate::log::local::LocalLog;
use crate::log::nats::{NatsLog, NatsLogConfig};
use crate::nats::{NatsConfig, NatsTls};
use crate::remote::hints::Hints;
use crate::remote::login::Login;
use crate::remote::memcached::{MemcachedConfig, MemcachedTier};
use crate::remote::memory::MemoryTier;
use crate::remote::nats_kv::{NatsKv, NatsKvConfig};
use crate::remote::redis::{Layout, RedisConfig, RedisTier};
use crate::shutdown::Shutdown;
use std::sync::Arc;
use std::time::Duration;
use unstale_engine::clock::Clock;
use unstale_engine::limits;
use unstale_engine::log::{Log, Sink};
use unstale_engine::remote::Remote;

/// The log and the remote tier, not running yet.
pub struct Tiers {
    /// The log.
    pub log: Arc<dyn Log>,
    /// The remote tier.
    pub remote: Arc<dyn Remote>,
    local: Option<Arc<LocalLog>>,
    nats_log: Option<Arc<NatsLog>>,
    driver: Driver,
}

/// What keeps the remote tier's connections up.
enum Driver {
    None,
    Nats(Arc<NatsKv>),
    Redis(Arc<RedisTier>),
    Memcached(Arc<MemcachedTier>),
}

impl Tiers {
    /// Builds both. Nothing is connected, nothing fails.
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
        let (remote, driver) = remote_of(config, clock);
        Self {
            log,
            remote,
            local,
            nats_log,
            driver,
        }
    }

    /// SESSION_TTL as the fleet's log says it; none while it is not known, and
    /// with the local log, which obeys the setting.
    pub fn session_ttl(&self) -> impl Fn() -> Option<Duration> + Send + Sync + 'static {
        let log = self.nats_log.clone();
        move || log.as_ref()?.session_ttl()
    }

    /// Starts the drivers; they end with `shutdown`.
    pub fn run(&self, shutdown: &Shutdown, sink: Arc<dyn Sink>) {
        if let Some(log) = &self.local {
            shutdown.spawn("log", log.clone().run(sink.clone(), shutdown.token()));
        }
        if let Some(log) = &self.nats_log {
            shutdown.spawn("log", log.clone().run(sink, shutdown.token()));
        }
        self.run_remote(shutdown);
    }

    /// Starts the remote tier's driver alone.
    pub fn run_remote(&self, shutdown: &Shutdown) {
        let token = shutdown.token();
        match &self.driver {
            Driver::None => {}
            Driver::Nats(tier) => shutdown.spawn("remote", tier.clone().run(token)),
            Driver::Redis(tier) => shutdown.spawn("remote", tier.clone().run(token)),
            Driver::Memcached(tier) => shutdown.spawn("remote", tier.clone().run(token)),
        }
    }
}

fn remote_of(config: &Config, clock: &Arc<dyn Clock>) -> (Arc<dyn Remote>, Driver) {
    match (&config.remote, &config.nats) {
        (RemoteTier::Nats, Some(nats)) => {
            let tier = kv_of(nats);
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

/// How the settings say to reach Redis.
pub fn redis_servers(redis: &Redis, login: &RemoteLogin, fleet: &str) -> RedisConfig {
    RedisConfig {
        layout: match &redis.layout {
            RedisLayout::One => Layout::One,
            RedisLayout::Cluster => Layout::Cluster,
            RedisLayout::Sentinel(service) => Layout::Sentinel {
                service: service.clone(),
            },
        },
        hosts: redis.hosts.clone(),
        tls: redis.tls,
        database: redis.database.into(),
        login: self::login(login),
        fleet: fleet.to_owned(),
    }
}

/// How the settings say to reach memcached.
pub fn memcached_servers(
    hosts: &[(String, u16)],
    login: &RemoteLogin,
    fleet: &str,
) -> MemcachedConfig {
    MemcachedConfig {
        hosts: hosts.to_vec(),
        login: self::login(login),
        fleet: fleet.to_owned(),
    }
}

fn login(login: &RemoteLogin) -> Login {
    Login {
        user: login.user.clone(),
        password: login.password.as_ref().map(|secret| secret.0.clone()),
        password_file: login.password_file.clone(),
        ca_file: login.ca.clone(),
        cert_file: login.cert.clone(),
        key_file: login.key.clone(),
    }
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

fn kv_of(nats: &Nats) -> Arc<NatsKv> {
    NatsKv::new(NatsKvConfig {
        connection: connection(nats),
        fleet: nats.fleet.clone(),
        replicas: nats.replicas,
        ..NatsKvConfig::default()
    })
}

/// How the settings say to connect.
pub fn connection(nats: &Nats) -> NatsConfig {
    NatsConfig {
        urls: nats.url.split(',').map(str::to_owned).collect(),
        credentials_file: nats.credentials.clone(),
        nkey_seed_file: nats.nkey.clone(),
        user: nats.user.clone(),
        password: nats.password.as_ref().map(|secret| secret.0.clone()),
        password_file: nats.password_file.clone(),
        tls: NatsTls {
            required: nats.url.contains("tls://"),
            ca_file: nats.ca.clone(),
            cert_file: nats.cert.clone(),
            key_file: nats.key.clone(),
        },
        ..NatsConfig::default()
    }
}
