//! Which log and which remote tier the settings ask for.

use crate::config::{Config, Nats, RemoteTier};
use crate::log::local::LocalLog;
use crate::log::nats::{NatsLog, NatsLogConfig};
use crate::nats::{NatsConfig, NatsTls};
use crate::remote::memory::MemoryTier;
use crate::remote::nats_kv::{NatsKv, NatsKvConfig};
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
    nats_kv: Option<Arc<NatsKv>>,
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
        let nats_kv = match (&config.nats, config.remote) {
            (Some(nats), RemoteTier::Nats) => Some(kv_of(nats)),
            (_, RemoteTier::Memory) | (None, RemoteTier::Nats) => None,
        };
        let log: Arc<dyn Log> = match (&nats_log, &local) {
            (Some(log), _) => log.clone(),
            (None, Some(log)) => log.clone(),
            (None, None) => unreachable!("one of the two was built above"),
        };
        let remote: Arc<dyn Remote> = match &nats_kv {
            Some(kv) => kv.clone(),
            None => MemoryTier::new(config.memory_bytes, clock.clone()),
        };
        Self {
            log,
            remote,
            local,
            nats_log,
            nats_kv,
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
        if let Some(kv) = &self.nats_kv {
            shutdown.spawn("remote", kv.clone().run(shutdown.token()));
        }
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
