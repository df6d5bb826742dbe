//! L1 of the shipped engine: Lease, and Fill after a miss, as a client's
//! `get_or_load` does, over a local log and a remote tier that forgets
//! everything, so that every hit is one of L1.

use super::Cache;
use super::traces::Access;
use crate::Result;
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;
use unstale_engine::clock::{Clock, Moment};
use unstale_engine::key::{Key, NameHash, Namespace};
use unstale_engine::policy::{Policies, Policy};
use unstale_engine::remote::{Expect, PutOutcome, Read, Remote, RemoteError, Revision};
use unstale_engine::request::{
    DependsOn, Fill, FillOutcome, Lease, LeaseOutcome, NewEntry, Payload, SessionState, Value,
};
use unstale_engine::{Engine, Options, Ports};
use unstale_sidecar::boottime::BootTime;
use unstale_sidecar::entropy::OsRandom;
use unstale_sidecar::log::local::LocalLog;
use unstale_sidecar::references::local::LocalReferences;

/// Long enough for every call here, and for every entry.
const LONG: Duration = Duration::from_secs(3600);

/// What L1 weighs entries with.
pub(crate) struct Weighing {
    runtime: Arc<Runtime>,
    /// Of an entry beside its key and its value.
    fixed: u64,
    /// What [`PROBES`]' values differ by weighs.
    between: u64,
}

/// Bytes of the values whose weights tell those of all.
const PROBES: [u32; 2] = [200, 20_200];

impl Weighing {
    /// Asks L1 what one entry weighs.
    pub(crate) fn new() -> Result<Self> {
        // The worker keeps the log and the session going.
        let mut runtime = Builder::new_multi_thread();
        let runtime = Arc::new(runtime.worker_threads(1).enable_all().build()?);
        let mut weighing = Self {
            runtime,
            fixed: 0,
            between: 0,
        };
        let [small, large] = [weighing.probe(PROBES[0])?, weighing.probe(PROBES[1])?];
        weighing.between = large - small;
        weighing.fixed = small - weighing.of_value(PROBES[0]);
        Ok(weighing)
    }

    /// What L1 says of one entry, less its key.
    fn probe(&self, value_bytes: u32) -> Result<u64> {
        let mut l1 = self.l1(1 << 20)?;
        let access = Access {
            key: 0,
            key_bytes: 16,
            value_bytes,
        };
        l1.access(access, 0);
        Ok(l1.engine.status().l1_bytes - 16)
    }

    fn of_value(&self, bytes: u32) -> u64 {
        u64::from(bytes) * self.between / u64::from(PROBES[1] - PROBES[0])
    }

    /// What it weighs there.
    pub(crate) fn weight(&self, access: &Access) -> u32 {
        let weight = self.fixed + u64::from(access.key_bytes) + self.of_value(access.value_bytes);
        u32::try_from(weight).unwrap_or(u32::MAX)
    }

    /// An empty one of at most `bound` weighed bytes.
    pub(crate) fn l1(&self, bound: u64) -> Result<L1> {
        let runtime = Arc::clone(&self.runtime);
        let stop = CancellationToken::new();
        let engine = runtime.block_on(start(bound, stop.clone()))?;
        Ok(L1 {
            runtime,
            engine,
            stop,
            value: Bytes::from(vec![7; 1 << 20]),
            namespace: Namespace::new("ratio")?,
        })
    }
}

/// An engine of which only L1 remembers anything.
pub(crate) struct L1 {
    runtime: Arc<Runtime>,
    engine: Arc<Engine>,
    stop: CancellationToken,
    value: Bytes,
    namespace: Namespace,
}

impl Drop for L1 {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Cache for L1 {
    fn access(&mut self, access: Access, _: u32) -> bool {
        let width = access.key_bytes as usize;
        let name = format!("{:0width$}", access.key);
        let key = Key::new(self.namespace.clone(), &name).expect("a good key");
        let value = self.value.slice(..access.value_bytes as usize);
        let done = self.runtime.block_on(read(&self.engine, key, value));
        done.expect("the engine answers")
    }
}

async fn read(engine: &Engine, key: Key, value: Bytes) -> Result<bool> {
    let deadline = engine.now().plus(LONG);
    let lease = Lease {
        key,
        term: Duration::from_secs(10),
        wait: Duration::ZERO,
        min_position: None,
        may_refresh: false,
        deadline,
    };
    let token = match engine.lease(lease).await?.result {
        LeaseOutcome::Hit(_) => return Ok(true),
        LeaseOutcome::Granted(token, ..) => token,
        busy @ LeaseOutcome::Busy(..) => return Err(format!("{busy:?}").into()),
    };
    let fill = Fill {
        token,
        entry: entry(value),
        deadline,
    };
    match engine.fill(fill).await?.result {
        FillOutcome::Stored(_) => Ok(false),
        other => Err(format!("{other:?}").into()),
    }
}

fn entry(data: Bytes) -> NewEntry {
    NewEntry {
        payload: Payload::Value(Value {
            data,
            text: false,
            content_type: String::new(),
        }),
        ttl: Some(LONG),
        stale_for: None,
        valid_for: None,
        jitter: None,
        tags: Vec::new(),
        source_version: None,
        depends_on: DependsOn::Nothing,
    }
}

/// An engine whose session is fresh.
async fn start(l1_bytes: u64, stop: CancellationToken) -> Result<Arc<Engine>> {
    let clock: Arc<dyn Clock> = Arc::new(BootTime);
    let log = LocalLog::new(Duration::from_secs(15), clock.clone());
    // A trace is read faster than any client reads.
    let policy = Policy {
        grants_per_second: u32::MAX,
        ..Policy::default()
    };
    let policies = Policies {
        default: Arc::new(policy),
        ..Policies::default()
    };
    let options = Options {
        l1_bytes,
        policies,
        ..Options::default()
    };
    let ports = Ports {
        remote: Arc::new(Forgetful),
        log: log.clone(),
        references: LocalReferences::new(clock.clone()),
        clock,
        random: Arc::new(OsRandom),
    };
    let engine = Engine::new(options, ports);
    tokio::spawn(log.run(engine.clone(), stop.clone()));
    tokio::spawn(stop.run_until_cancelled_owned(engine.clone().run()));
    let begin: Moment = engine.now();
    while engine.status().state != SessionState::Fresh {
        if engine.now().since(begin) > Duration::from_secs(30) {
            return Err("the session does not become fresh".into());
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(engine)
}

/// A tier that takes everything and has nothing.
struct Forgetful;

#[async_trait::async_trait]
impl Remote for Forgetful {
    fn name(&self) -> &'static str {
        "forgetful"
    }

    async fn get(&self, _: NameHash) -> Read {
        Ok(None)
    }

    async fn put(
        &self,
        _: NameHash,
        _: Expect,
        _: Bytes,
        _: Duration,
    ) -> std::result::Result<PutOutcome, RemoteError> {
        Ok(PutOutcome::Stored(Revision(1)))
    }

    async fn delete(&self, _: NameHash, _: Revision) -> std::result::Result<(), RemoteError> {
        Ok(())
    }

    async fn ping(&self) -> std::result::Result<(), RemoteError> {
        Ok(())
    }

    fn hint(&self, _: NameHash) {}

    async fn hinted(&self, _: NameHash) {
        std::future::pending().await
    }
}
