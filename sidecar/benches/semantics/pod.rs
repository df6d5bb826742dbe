//! One engine as a pod that is alone runs it.

use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use unstale_engine::clock::{Clock, Moment};
use unstale_engine::key::{Key, Namespace};
use unstale_engine::request::*;
use unstale_engine::{Engine, Options, Ports};
use unstale_sidecar::boottime::BootTime;
use unstale_sidecar::entropy::OsRandom;
use unstale_sidecar::log::local::LocalLog;
use unstale_sidecar::references::local::LocalReferences;
use unstale_sidecar::remote::memory::MemoryTier;

/// A pod; it stops when it is dropped.
pub(crate) struct Pod {
    pub(crate) engine: Arc<Engine>,
    stop: CancellationToken,
}

impl Pod {
    /// A pod whose session is fresh.
    pub(crate) async fn start(options: Options) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(BootTime);
        let log = LocalLog::new(Duration::from_secs(15), clock.clone());
        let engine = Engine::new(
            options,
            Ports {
                remote: MemoryTier::new(256 << 20, clock.clone()),
                log: log.clone(),
                references: LocalReferences::new(clock.clone()),
                clock,
                random: Arc::new(OsRandom),
            },
        );
        let stop = CancellationToken::new();
        tokio::spawn(log.run(engine.clone(), stop.clone()));
        let running = engine.clone().run();
        let stopped = stop.clone().cancelled_owned();
        tokio::spawn(async move {
            tokio::select! {
                () = running => {}
                () = stopped => {}
            }
        });
        while engine.status().state != SessionState::Fresh {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Self { engine, stop }
    }

    pub(crate) fn deadline(&self) -> Moment {
        self.engine.now().plus(Duration::from_secs(10))
    }

    pub(crate) async fn set(&self, key: &Key, entry: NewEntry) {
        let set = Set {
            key: key.clone(),
            entry,
            position: None,
            if_absent: false,
            ack: Ack::Log,
            deadline: self.deadline(),
        };
        let stored = self.engine.set(set).await.expect("Set answers").result;
        assert!(matches!(stored, SetOutcome::Stored(_)), "{stored:?}");
    }

    pub(crate) async fn invalidate(&self, what: impl FnOnce(&mut Invalidate)) {
        let mut invalidate = Invalidate {
            namespace: namespace(),
            keys: Vec::new(),
            tags: Vec::new(),
            prefixes: Vec::new(),
            all: false,
            mode: Mode::Hard,
            min_source_version: None,
            ack: Ack::Log,
            id: None,
            reason: None,
            trace_id: None,
            deadline: self.deadline(),
        };
        what(&mut invalidate);
        let done = self.engine.invalidate(invalidate).await;
        done.expect("Invalidate answers");
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

pub(crate) fn namespace() -> Namespace {
    Namespace::new("bench").expect("a good name")
}

pub(crate) fn key(name: &str) -> Key {
    Key::new(namespace(), name).expect("a good name")
}

/// 1 KiB, for a day.
pub(crate) fn entry() -> NewEntry {
    NewEntry {
        payload: Payload::Value(Value {
            data: Bytes::from(vec![7; 1024]),
            text: false,
            content_type: String::new(),
        }),
        ttl: Some(Duration::from_secs(24 * 3600)),
        stale_for: None,
        valid_for: None,
        jitter: None,
        tags: Vec::new(),
        source_version: None,
        depends_on: DependsOn::Nothing,
    }
}
