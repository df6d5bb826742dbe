//! A few engines over one log and one tier in memory.

use super::log::*;
use super::references::{PodReferences, ReferenceCore};
use crate::clock::*;
use crate::key::*;
use crate::remote::*;
use crate::request::*;
use crate::*;
use bytes::Bytes;
use std::collections::HashMap;
use std::sync::atomic::*;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

struct Counting(AtomicU64);
impl random::Random for Counting {
    fn bits(&self) -> u128 {
        let n = self.0.fetch_add(1, Ordering::SeqCst);
        u128::from(n).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835)
    }
}

#[derive(Default)]
struct Tier {
    map: Mutex<HashMap<NameHash, Stored>>,
    n: AtomicU64,
}
impl Tier {
    fn put(&self, k: NameHash, e: Expect, record: Bytes) -> PutOutcome {
        let mut m = self.map.lock().unwrap();
        let ok = match (e, m.get(&k)) {
            (Expect::Absent, None) => true,
            (Expect::Revision(r), Some(s)) => s.revision == r,
            _ => false,
        };
        if !ok {
            return PutOutcome::Conflict;
        }
        let revision = Revision(self.n.fetch_add(1, Ordering::SeqCst) + 1);
        m.insert(k, Stored { revision, record });
        PutOutcome::Stored(revision)
    }
}
/// The tier as one pod reaches it; true: not at all. How often it was told
/// that it gave another key's record.
pub(super) struct PodTier(
    Arc<Tier>,
    pub(super) AtomicBool,
    pub(super) AtomicU64,
    /// How long a read takes to fail while the tier is away, in ms.
    pub(super) AtomicU64,
    /// Reads; one of many keys is one.
    pub(super) AtomicU64,
    /// How long after a put its answer comes, in ms.
    pub(super) AtomicU64,
);
impl PodTier {
    async fn reached(&self) -> Result<(), RemoteError> {
        self.4.fetch_add(1, Ordering::SeqCst);
        if !self.1.load(Ordering::SeqCst) {
            return Ok(());
        }
        let stalls = self.3.load(Ordering::SeqCst);
        if stalls > 0 {
            tokio::time::sleep(Duration::from_millis(stalls)).await;
        }
        Err(RemoteError::Unavailable("x".into()))
    }
}
#[async_trait::async_trait]
impl Remote for PodTier {
    fn name(&self) -> &'static str {
        "fake"
    }
    async fn get(&self, k: NameHash) -> Read {
        self.reached().await?;
        Ok(self.0.map.lock().unwrap().get(&k).cloned())
    }
    async fn get_many(&self, keys: &[NameHash]) -> Vec<Read> {
        if let Err(error) = self.reached().await {
            return keys.iter().map(|_| Err(error.clone())).collect();
        }
        let map = self.0.map.lock().unwrap();
        keys.iter().map(|k| Ok(map.get(k).cloned())).collect()
    }
    async fn put(
        &self,
        k: NameHash,
        e: Expect,
        record: Bytes,
        _: Duration,
    ) -> Result<PutOutcome, RemoteError> {
        if self.1.load(Ordering::SeqCst) {
            return Err(RemoteError::Unavailable("x".into()));
        }
        let outcome = self.0.put(k, e, record);
        let late = self.5.load(Ordering::SeqCst);
        if late > 0 {
            tokio::time::sleep(Duration::from_millis(late)).await;
        }
        Ok(outcome)
    }
    async fn delete(&self, k: NameHash, r: Revision) -> Result<(), RemoteError> {
        let mut m = self.0.map.lock().unwrap();
        if m.get(&k).is_some_and(|s| s.revision == r) {
            m.remove(&k);
        }
        Ok(())
    }
    async fn ping(&self) -> Result<(), RemoteError> {
        Ok(())
    }
    fn hint(&self, _: NameHash) {}
    async fn hinted(&self, _: NameHash) {
        std::future::pending().await
    }
    fn distrust(&self, _: NameHash) {
        self.2.fetch_add(1, Ordering::SeqCst);
    }
}
/// One pod.
pub(super) struct Pod {
    pub(super) e: Arc<Engine>,
    pub(super) log: Arc<PodLog>,
    pub(super) tier: Arc<PodTier>,
    pub(super) references: Arc<PodReferences>,
}
/// What the pods share.
pub(super) struct World {
    pub(super) core: Arc<Mutex<Core>>,
    tier: Arc<Tier>,
    pub(super) clk: Arc<Time>,
    pub(super) references: Arc<Mutex<ReferenceCore>>,
    /// Of the pods that are made from now on.
    pub(super) l1_bytes: u64,
    n: u64,
}
impl World {
    pub(super) fn new() -> Self {
        World {
            core: Arc::default(),
            tier: Arc::default(),
            clk: Arc::new(Time(Instant::now(), AtomicU64::new(0), Mutex::default())),
            references: Arc::default(),
            l1_bytes: 64 << 20,
            n: 0,
        }
    }
    /// What is stored under `from` is given for `to`, too.
    pub(super) fn mix_up(&self, from: &str, to: &str) {
        self.mix_up_hash(from, key(to).hash());
    }
    /// The same, for a name that no key has.
    pub(super) fn mix_up_hash(&self, from: &str, to: NameHash) {
        let mut map = self.tier.map.lock().unwrap();
        let record = map[&key(from).hash()].clone();
        map.insert(to, record);
    }
    pub(super) async fn pod(&mut self) -> Pod {
        self.n += 1;
        let (cmds, rx) = mpsc::unbounded_channel();
        let log = Arc::new(PodLog {
            core: self.core.clone(),
            clk: self.clk.clone(),
            sink: Mutex::default(),
            reader: Mutex::default(),
            cmds,
            down: AtomicBool::new(false),
            deaf: AtomicBool::new(false),
        });
        let tier = Arc::new(PodTier(
            self.tier.clone(),
            AtomicBool::new(false),
            AtomicU64::new(0),
            AtomicU64::new(0),
            AtomicU64::new(0),
            AtomicU64::new(0),
        ));
        let references = PodReferences::new(self.references.clone(), self.clk.clone());
        let e = Engine::new(
            Options {
                l1_bytes: self.l1_bytes,
                pod: format!("pod-{}", self.n),
                floor_width: 1 << 12,
                ..Options::default()
            },
            Ports {
                remote: tier.clone(),
                log: log.clone(),
                references: references.clone(),
                clock: self.clk.clone(),
                random: Arc::new(Counting(AtomicU64::new(self.n * 1_000_000))),
            },
        );
        *log.sink.lock().unwrap() = Some(e.clone());
        self.core.lock().unwrap().pods.push(Arc::downgrade(&log));
        tokio::spawn(follow(log.clone(), rx));
        tokio::spawn(e.clone().run());
        references.follow(e.clone());
        let p = Pod {
            e,
            log,
            tier,
            references,
        };
        p.fresh().await;
        p
    }
}
pub(super) fn key(k: &str) -> Key {
    Key::new(Namespace::new("").unwrap(), k).unwrap()
}
/// A hard invalidation of one key, acknowledged by the log.
pub(super) fn hard(pod: &Pod, name: &str) -> Invalidate {
    Invalidate {
        namespace: Namespace::new("").unwrap(),
        keys: vec![key(name)],
        tags: vec![],
        prefixes: vec![],
        all: false,
        mode: Mode::Hard,
        min_source_version: None,
        ack: Ack::Log,
        id: None,
        reason: None,
        trace_id: None,
        deadline: pod.dl(),
    }
}
pub(super) fn new(v: &str, ttl: u64) -> NewEntry {
    NewEntry {
        payload: Payload::Value(Value {
            data: Bytes::copy_from_slice(v.as_bytes()),
            text: true,
            content_type: String::new(),
        }),
        ttl: Some(Duration::from_millis(ttl)),
        stale_for: None,
        valid_for: None,
        jitter: None,
        tags: vec![],
        source_version: None,
        depends_on: DependsOn::Nothing,
    }
}
impl Pod {
    pub(super) async fn fresh(&self) {
        for _ in 0..4000 {
            if self.e.status().state == SessionState::Fresh {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("never fresh {:?}", self.e.status());
    }
    /// Waits until it has processed so much.
    pub(super) async fn reached(&self, sequence: u64) {
        let mut progress = self.e.progress.subscribe();
        let reached = progress.wait_for(|progress| progress.processed >= sequence);
        reached.await.unwrap();
    }
    pub(super) fn dl(&self) -> Moment {
        self.e.now().plus(Duration::from_secs(5))
    }
    pub(super) async fn set(&self, k: &str, n: NewEntry, ack: Ack) -> Answer<SetOutcome> {
        self.e
            .set(Set {
                key: key(k),
                entry: n,
                position: None,
                if_absent: false,
                ack,
                deadline: self.dl(),
            })
            .await
            .unwrap()
    }
    pub(super) async fn get(&self, k: &str, level: Level) -> Option<(String, Option<StaleReason>)> {
        let g = Get {
            level,
            ..Get::plain(key(k), self.dl())
        };
        let a = self.e.get(g).await.unwrap();
        a.result.found().map(|f| {
            (
                String::from_utf8(f.payload.data().to_vec()).unwrap(),
                f.stale,
            )
        })
    }
    pub(super) async fn lease(&self, k: &str, wait: u64) -> LeaseOutcome {
        self.e
            .lease(Lease {
                key: key(k),
                term: Duration::from_secs(10),
                wait: Duration::from_millis(wait),
                min_position: None,
                may_refresh: true,
                deadline: self.dl(),
            })
            .await
            .unwrap()
            .result
    }
}
