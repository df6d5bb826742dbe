//! The sidecar as a whole: builds every part from the settings in order,
//! starts them, and drains them in the opposite order.

use crate::admin::{self, Admin, Readiness};
use crate::boottime::BootTime;
use crate::config::{Config, Reload};
use crate::descriptors;
use crate::entropy::OsRandom;
use crate::grpc::{self, Facts, Service, listener::Listeners};
use crate::shutdown::Shutdown;
use crate::telemetry::metrics::{Metrics, Sources};
use crate::telemetry::requests::Requests;
use crate::telemetry::{epochs, failing};
use crate::tiers::Tiers;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tonic_health::server::HealthReporter;
use unstale_engine::clock::Clock;
use unstale_engine::key::Delimiters;
use unstale_engine::random::Random as _;
use unstale_engine::{Engine, Options, Ports};

/// The engine's own bound on a call to the remote tier, in `remote_timeout`s: one
/// for the call, as much again for waiting for its turn. Not less than that: the
/// breaker has to see a call time out, and not its caller go away.
const REMOTE_TIMEOUTS: u32 = 2;
/// Most appends in flight.
const MAX_APPENDS: usize = 1024;
/// What one column of the floor table takes: 4 rows of 2 sequences.
const FLOOR_BYTES: u64 = 4 * 2 * 8;

/// Why the sidecar does not start, on one line.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct StartError(pub String);

/// A running sidecar.
pub struct App {
    engine: Arc<Engine>,
    admin: Arc<Admin>,
    health: HealthReporter,
    shutdown: Shutdown,
    stop_grpc: CancellationToken,
    reload: Arc<Notify>,
    drain: Duration,
}

impl App {
    /// Binds everything, then starts everything. Servers that are away do not
    /// keep it from starting.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let listeners = Listeners::bind(
            config.listen,
            config.uds.as_deref(),
            descriptors::connections(),
        )
        .await;
        let listeners = listeners.map_err(|e| StartError(e.to_string()))?;
        let clock: Arc<dyn Clock> = Arc::new(BootTime);
        let tiers = Tiers::new(&config, &clock);
        let ports = Ports {
            remote: tiers.remote.clone(),
            log: tiers.log.clone(),
            references: tiers.references.clone(),
            clock,
            random: Arc::new(OsRandom),
        };
        let engine = Engine::new(options(&config), ports);
        let (reload, in_force) = Reload::new(engine.clone(), config.clone());
        let requests = Arc::new(Requests::default());
        let admin = Arc::new(Admin {
            readiness: Readiness::new(engine.clone()),
            metrics: Metrics::new(Sources {
                engine: engine.clone(),
                requests: requests.clone(),
                in_force: in_force.clone(),
                remote: tiers.counts.clone(),
            }),
        });
        let app = Self {
            engine,
            admin,
            health: HealthReporter::new(),
            shutdown: Shutdown::new(),
            stop_grpc: CancellationToken::new(),
            reload: Arc::new(Notify::new()),
            drain: config.drain,
        };
        let page = admin::start(config.admin, app.admin.clone(), app.shutdown.token());
        page.map_err(|e| StartError(format!("cannot listen on {} (--admin): {e}", config.admin)))?;
        app.announce(&config, &listeners);
        let facts = Facts {
            instance: format!("{:032x}", OsRandom.bits()),
            version: env!("CARGO_PKG_VERSION"),
            fleet: config.fleet().to_owned(),
            log: tiers.log.name(),
            remote: tiers.remote.name(),
            l1_max_bytes: config.l1_bytes,
            in_force,
            session_ttl: Box::new(tiers.session_ttl()),
        };
        app.run(tiers, facts, listeners, requests);
        let reload = reload.run(app.reload.clone(), app.shutdown.token());
        app.shutdown.spawn("reload", reload);
        Ok(app)
    }

    /// Reads the configuration file again, now rather than at the next look.
    pub fn reload(&self) {
        self.reload.notify_one();
    }

    fn run(&self, tiers: Tiers, facts: Facts, listeners: Listeners, requests: Arc<Requests>) {
        tiers.run(&self.shutdown, self.engine.clone());
        self.shutdown.spawn("engine", self.engine.clone().run());
        let told = failing::run(self.engine.clone(), self.shutdown.token());
        self.shutdown.spawn("failing", told);
        let told = epochs::run(self.engine.clone(), self.shutdown.token());
        self.shutdown.spawn("epochs", told);
        let service = Service::new(self.engine.clone(), facts);
        let ends = (self.shutdown.clone(), self.stop_grpc.clone());
        let served = grpc::serve(listeners, service, requests, ends, self.health.clone());
        self.shutdown.spawn("grpc", served);
        self.admin.readiness.set(true);
    }

    fn announce(&self, config: &Config, listeners: &Listeners) {
        let listen = listeners.address().unwrap_or(config.listen);
        let uds = config.uds.as_ref().map(|path| path.display().to_string());
        tracing::info!(
            %listen,
            uds = uds.as_deref().unwrap_or("off"),
            admin = %config.admin,
            log = if config.nats.is_some() { "nats" } else { "local" },
            remote = config.remote.name(),
            pod = config.pod,
            "serving"
        );
    }

    /// Takes no more work, says Leave, finishes what is in flight. True when
    /// all of it ended within the drain time.
    pub async fn drain(mut self) -> bool {
        tracing::info!("draining");
        self.admin.readiness.set(false);
        grpc::not_serving(&self.health).await;
        let began = self.engine.now();
        let deadline = began.plus(self.drain);
        // The engine bounds its own work; this is for the case that it fails to.
        if tokio::time::timeout(self.drain, self.engine.leave(deadline))
            .await
            .is_err()
        {
            tracing::warn!("leaving the log took longer than the drain may take");
        }
        grpc::forget(&mut self.health).await;
        self.stop_grpc.cancel();
        let used = self.engine.now().since(began);
        let left = self
            .drain
            .saturating_sub(used)
            .max(Duration::from_millis(200));
        let ended = self.shutdown.finish(left).await;
        tracing::info!(clean = ended, "stopped");
        ended
    }
}

fn options(config: &Config) -> Options {
    Options {
        pod: config.pod.clone(),
        l1_bytes: config.l1_bytes,
        l1_pinned_share: config.l1_pinned_share,
        policies: config.policies.clone(),
        remote_timeout: config.remote_calls.timeout * REMOTE_TIMEOUTS,
        max_appends: MAX_APPENDS,
        // Judged when the settings were read.
        delimiters: Delimiters::new(&config.prefix_delimiters).unwrap_or_default(),
        floor_width: usize::try_from(config.floor_bytes / FLOOR_BYTES).unwrap_or(usize::MAX),
        ..Options::default()
    }
}
