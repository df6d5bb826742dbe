//! 100,000 calls that are given up while the server is slow to answer: no
//! answer may reach another call.

use crate::key::LONG;
use crate::tier::{Pod, Running, Servers, World};
use bytes::Bytes;
use futures::StreamExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use unstale_engine::key::NameHash;
use unstale_engine::remote::{Expect, PutOutcome, Revision, Stored};
use unstale_tests::{Flow, Wire};

/// How late answers are.
const DELAY: Duration = Duration::from_millis(20);
/// The longest that a caller waits: some answers come before it, some after.
const LONGEST_WAIT_MS: u64 = 50;
const AT_ONCE: usize = 500;
const KEYS: u128 = 200;
const GIVEN_UP: u64 = 100_000;

/// What calls came to.
#[derive(Debug, Default)]
struct Counts {
    given_up: AtomicU64,
    answered: AtomicU64,
    failed: AtomicU64,
    wrong: AtomicU64,
}

impl Counts {
    fn read(&self) -> [u64; 4] {
        let counts = [&self.given_up, &self.answered, &self.failed, &self.wrong];
        counts.map(|count| count.load(Relaxed))
    }
}

/// A pod that reaches the servers through a slow wire.
async fn behind_a_slow_wire(running: &Running) -> Pod {
    let mut flags = running.flags();
    let own = match &running.servers {
        Servers::Redis(redis) => Some(("redis", redis.port())),
        Servers::Memcached(memcached) => Some(("memcached", memcached.port())),
        // Its servers name each other, so that no wire can stand between.
        _ => None,
    };
    if let Some((scheme, port)) = own {
        let wire = Wire::start(port).await;
        wire.set(Flow::Slow(DELAY));
        flags.remote = Some(format!("{scheme}://127.0.0.1:{}", wire.port()));
    }
    let pod = Pod::new(&flags);
    pod.usable().await;
    pod
}

/// The record of a key says which it is.
fn record(key: NameHash, state: u64) -> Bytes {
    format!("{:032x}:{state}", key.0).into()
}

async fn call(pod: &Pod, counts: &Counts) {
    let key = NameHash(fastrand::u128(0..KEYS));
    let wait = Duration::from_micros(fastrand::u64(0..LONGEST_WAIT_MS * 1000));
    let Ok(answer) = tokio::time::timeout(wait, one_call(pod, key)).await else {
        counts.given_up.fetch_add(1, Relaxed);
        return;
    };
    let count = match answer {
        Ok(true) => &counts.answered,
        Ok(false) => &counts.wrong,
        Err(()) => &counts.failed,
    };
    count.fetch_add(1, Relaxed);
}

/// Whether the answer was for this key and call.
async fn one_call(pod: &Pod, key: NameHash) -> Result<bool, ()> {
    let own = |key: NameHash, record: &Bytes| {
        let begin = format!("{:032x}:", key.0);
        record.starts_with(begin.as_bytes())
    };
    match fastrand::u8(0..10) {
        0 => {
            let (expect, state) = (Expect::Absent, fastrand::u64(..));
            let put = pod.remote.put(key, expect, record(key, state), LONG);
            put.await.map_err(drop).map(|_| true)
        }
        1 => {
            // Nobody ever had this revision: it cannot be stored.
            let nobody = Expect::Revision(Revision(fastrand::u64(1 << 63..)));
            let put = pod.remote.put(key, nobody, record(key, 0), LONG).await;
            put.map_err(drop).map(|put| put == PutOutcome::Conflict)
        }
        2 => {
            let others = (0..20).map(|_| NameHash(fastrand::u128(0..KEYS)));
            let part = |key: &NameHash| pod.remote.part(*key);
            let others = others.filter(|other| part(other) == part(&key));
            let keys: Vec<_> = std::iter::once(key).chain(others).collect();
            let reads = pod.remote.get_many(&keys).await;
            let reads: Vec<_> = reads.into_iter().collect::<Result<_, _>>().map_err(drop)?;
            let right = |(key, there): (&NameHash, &Option<Stored>)| {
                let there = there.as_ref();
                there.is_none_or(|there| own(*key, &there.record))
            };
            Ok(keys.iter().zip(&reads).all(right))
        }
        _ => {
            let there = pod.remote.get(key).await.map_err(drop)?;
            Ok(there.is_none_or(|there| own(key, &there.record)))
        }
    }
}

/// Servers of a cluster stop and go on, each in turn.
async fn stutter(running: &Running) {
    let Servers::RedisCluster(cluster) = &running.servers else {
        return std::future::pending().await;
    };
    for node in cluster.nodes.iter().cycle() {
        node.pause();
        tokio::time::sleep(DELAY).await;
        node.go_on();
        tokio::task::yield_now().await;
    }
}

pub(crate) async fn a_cancelled_call_reaches_nobody_else(world: Arc<World>) {
    let running = world.kind.start().await;
    let pod = behind_a_slow_wire(&running).await;
    let counts = Counts::default();
    let give_up = give_up(&pod, &counts);
    tokio::select! {
        () = give_up => {}
        () = stutter(&running) => {}
    }
    println!("{}: {counts:?}", world.kind.name());
    let [given_up, answered, failed, wrong] = counts.read();
    assert_eq!(wrong, 0);
    assert!(answered > failed, "the tier is hardly ever up");
    assert!(given_up >= GIVEN_UP);
}

async fn give_up(pod: &Pod, counts: &Counts) {
    let calls = futures::stream::repeat_with(|| call(pod, counts));
    calls
        .take_while(|_| {
            let enough = counts.given_up.load(Relaxed) >= GIVEN_UP;
            std::future::ready(!enough)
        })
        .buffer_unordered(AT_ONCE)
        .for_each(|()| std::future::ready(()))
        .await;
}
