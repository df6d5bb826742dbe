//! Reads of many keys at once: each is answered as a read of it alone.

use crate::key::{self, put};
use crate::tier::{Pod, Running, Servers, World};
use bytes::Bytes;
use futures::future::join_all;
use std::collections::BTreeMap;
use std::sync::Arc;
use unstale_engine::key::NameHash;
use unstale_engine::remote::{Expect, Read, RemoteError};
use unstale_tests::{Memcached, PATIENCE, eventually};

/// More than any server answers in one piece.
const LARGE: usize = 256 * 1024;

/// As the engine asks: one call for each part of the tier.
async fn read(pod: &Pod, keys: &[NameHash]) -> Vec<Read> {
    let mut parts: BTreeMap<u16, Vec<usize>> = BTreeMap::new();
    for (at, key) in keys.iter().enumerate() {
        parts.entry(pod.remote.part(*key)).or_default().push(at);
    }
    let calls = parts.into_values().map(|at| async move {
        let part: Vec<_> = at.iter().map(|at| keys[*at]).collect();
        let reads = pod.remote.get_many(&part).await;
        assert_eq!(reads.len(), part.len(), "one answer per key");
        at.into_iter().zip(reads).collect::<Vec<_>>()
    });
    let calls = join_all(calls).await;
    let reads: BTreeMap<_, _> = calls.into_iter().flatten().collect();
    reads.into_values().collect()
}

/// The records; a refusal is a panic.
async fn records(pod: &Pod, keys: &[NameHash]) -> Vec<Option<Bytes>> {
    let reads = read(pod, keys).await.into_iter();
    let record = |read: Read| read.unwrap().map(|there| there.record);
    reads.map(record).collect()
}

/// Waits until they are these; at once where reads do not lag.
async fn are(world: &World, pod: &Pod, keys: &[NameHash], right: &[Option<Bytes>]) {
    let ask = || async {
        let there = records(pod, keys).await;
        let wrong = there.iter().zip(right).position(|(is, right)| is != right);
        wrong.map_or(Ok(()), |at| Err(format!("another record at {at}")))
    };
    match world.kind.lags() {
        true => eventually("the records", PATIENCE, ask).await,
        false => ask().await.unwrap(),
    }
}

fn record(key: NameHash) -> Bytes {
    format!("{:032x}", key.0).into()
}

/// So many keys; those at an even place are stored.
async fn every_second(pod: &Pod, count: usize) -> (Vec<NameHash>, Vec<Option<Bytes>>) {
    let keys: Vec<_> = (0..count).map(|_| key::new()).collect();
    let stored = keys.iter().step_by(2);
    join_all(stored.map(|key| put(&*pod.remote, *key, Expect::Absent, record(*key)))).await;
    let right = keys.iter().enumerate();
    let right = right.map(|(at, key)| (at % 2 == 0).then(|| record(*key)));
    let right = right.collect();
    (keys, right)
}

pub(crate) async fn hits_and_misses_come_in_the_order_of_the_keys(world: Arc<World>) {
    let [pod, other] = world.pods().await;
    let (keys, right) = every_second(&pod, 100).await;
    are(&world, &other, &keys, &right).await;
}

pub(crate) async fn a_key_that_is_asked_for_twice_is_answered_twice(world: Arc<World>) {
    let [pod, other] = world.pods().await;
    let (keys, right) = every_second(&pod, 4).await;
    let keys: Vec<_> = keys.iter().chain(&keys).rev().copied().collect();
    let right: Vec<_> = right.iter().chain(&right).rev().cloned().collect();
    are(&world, &other, &keys, &right).await;
}

pub(crate) async fn no_keys_have_no_answers(world: Arc<World>) {
    assert_eq!(world.pod().await.remote.get_many(&[]).await, Vec::new());
}

pub(crate) async fn more_than_a_thousand_keys_are_read(world: Arc<World>) {
    let [pod, other] = world.pods().await;
    let (mut keys, mut right) = every_second(&pod, 200).await;
    keys.extend((0..1300).map(|_| key::new()));
    right.resize(keys.len(), None);
    keys.rotate_left(100);
    right.rotate_left(100);
    are(&world, &other, &keys, &right).await;
}

pub(crate) async fn large_records_come_whole(world: Arc<World>) {
    let [pod, other] = world.pods().await;
    let keys: Vec<_> = (0..20).map(|_| key::new()).collect();
    let mut right = Vec::new();
    for (key, byte) in keys.iter().zip(1..) {
        let record = Bytes::from(vec![byte; LARGE]);
        put(&*pod.remote, *key, Expect::Absent, record.clone()).await;
        right.push(Some(record));
    }
    are(&world, &other, &keys, &right).await;
}

pub(crate) async fn a_read_of_many_gives_revisions_that_can_be_put_on(world: Arc<World>) {
    let pod = world.pod().await;
    let (keys, _) = every_second(&pod, 3).await;
    let ask = || async {
        let reads = read(&pod, &keys).await;
        let there = reads[2].as_ref().ok().and_then(|read| read.clone());
        there.ok_or_else(|| format!("{:?}", reads[2]))
    };
    let there = eventually("the record", PATIENCE, ask).await;
    put(
        &*pod.remote,
        keys[2],
        Expect::Revision(there.revision),
        "next",
    )
    .await;
    are(&world, &pod, &[keys[2]], &[Some("next".into())]).await;
}

pub(crate) async fn a_cancelled_read_of_many_reaches_nobody_else(world: Arc<World>) {
    let pod = world.pod().await;
    let (keys, right) = every_second(&pod, 60).await;
    are(&world, &pod, &keys, &right).await;
    for turns in 0..50 {
        // Given up before anything was sent, or some turns later.
        let mut given_up = Box::pin(read(&pod, &keys[..30]));
        for _ in 0..turns % 5 {
            // The tier in memory is done at once.
            if futures::poll!(given_up.as_mut()).is_ready() {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(given_up);
        are(&world, &pod, &keys[30..], &right[30..]).await;
    }
}

/// Somebody without the keys stored another key's record as this key's.
pub(crate) async fn a_record_that_does_not_open_takes_no_other_with_it(world: Arc<World>) {
    let running = world.kind.start().await;
    let (pod, mut flags) = (running.pod().await, running.flags());
    (flags.encryption_key_file, flags.compress_from) = (None, None);
    let plain = Pod::new(&flags);
    plain.usable().await;
    let (keys, mut right) = every_second(&pod, 10).await;
    let stored = join_all(keys.iter().map(|key| plain.remote.get(*key))).await;
    let stored = |at: usize| stored[at].clone().unwrap().expect("it is there");
    let expect = Expect::Revision(stored(4).revision);
    put(&*plain.remote, keys[4], expect, stored(6).record).await;
    // Worth nothing, and known to be there.
    right[4] = Some(Bytes::new());
    let ask = || async {
        let reads = read(&pod, &keys).await.into_iter();
        let reads = reads.map(|read| read.map(|there| there.map(|there| there.record)));
        let reads: Result<Vec<_>, _> = reads.collect();
        let reads = reads.map_err(|e| e.to_string())?;
        (reads == right).then_some(()).ok_or(format!("{reads:?}"))
    };
    // The connection that it came over is given up once.
    eventually("the others", PATIENCE, ask).await;
}

pub(crate) async fn of_two_servers_one_that_is_away_takes_only_its_own_keys(_: Arc<World>) {
    let mut away = Memcached::start();
    let running = Running::new(Servers::Memcached(Memcached::start()));
    let mut flags = running.flags();
    let first = flags.remote.unwrap();
    flags.remote = Some(format!("{first},127.0.0.1:{}", away.port()));
    let pod = Pod::new(&flags);
    pod.usable().await;
    let keys = stored(&pod, 100).await;
    away.stop();
    only_some_are_away(&pod, &keys).await;
}

pub(crate) async fn of_a_cluster_a_server_that_is_away_takes_only_its_own_keys(world: Arc<World>) {
    let mut running = world.kind.start().await;
    let pod = running.pod().await;
    let keys = stored(&pod, 100).await;
    let Servers::RedisCluster(cluster) = &mut running.servers else {
        panic!("no cluster");
    };
    for node in &cluster.nodes {
        // The others go on.
        let set = ["CONFIG", "SET", "cluster-require-full-coverage", "no"];
        assert_eq!(node.command(&set), "+OK");
    }
    cluster.nodes[2].stop();
    only_some_are_away(&pod, &keys).await;
}

async fn stored(pod: &Pod, count: usize) -> Vec<NameHash> {
    let keys: Vec<_> = (0..count).map(|_| key::new()).collect();
    let puts = keys.iter();
    let puts = puts.map(|key| put(&*pod.remote, *key, Expect::Absent, record(*key)));
    join_all(puts).await;
    keys
}

/// Some keys are read whole, and the rest is said to be away.
async fn only_some_are_away(pod: &Pod, keys: &[NameHash]) {
    let ask = || async {
        let reads = read(pod, keys).await;
        let mut away = 0;
        for (key, read) in keys.iter().zip(&reads) {
            match read {
                Ok(Some(there)) if there.record == record(*key) => {}
                Err(RemoteError::Unavailable(_)) => away += 1,
                other => return Err(format!("{other:?}")),
            }
        }
        let some = (keys.len() / 8..keys.len() * 7 / 8).contains(&away);
        some.then_some(()).ok_or(format!("{away} of them are away"))
    };
    eventually("keys that are there and keys that are not", PATIENCE, ask).await;
}

/// As a network of 100 Mbit/s: a port that leads to that one.
async fn narrow(to: u16) -> u16 {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    const BYTES: usize = 16 * 1024;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = tokio::net::TcpStream::connect(("127.0.0.1", to))
                .await
                .unwrap();
            let (mut from_client, mut to_client) = client.into_split();
            let (mut from_server, mut to_server) = server.into_split();
            tokio::spawn(async move {
                let _ = tokio::io::copy(&mut from_client, &mut to_server).await;
            });
            tokio::spawn(async move {
                let mut bytes = vec![0; BYTES];
                let mut due = tokio::time::Instant::now();
                while let Ok(n) = from_server.read(&mut bytes).await {
                    if n == 0 || to_client.write_all(&bytes[..n]).await.is_err() {
                        break;
                    }
                    let now = tokio::time::Instant::now();
                    due = due.max(now) + std::time::Duration::from_nanos(80 * n as u64);
                    tokio::time::sleep_until(due).await;
                }
            });
        }
    });
    port
}

/// 128 records of 64 KiB, 8 MiB: 0.7 s of a network of 100 Mbit/s.
pub(crate) async fn what_comes_in_parts_comes_together(world: Arc<World>) {
    let running = world.kind.start().await;
    let direct = running.pod().await;
    let keys: Vec<_> = (0..128).map(|_| key::new()).collect();
    for key in &keys {
        put(&*direct.remote, *key, Expect::Absent, vec![7; 64 * 1024]).await;
    }
    let Servers::Redis(redis) = &running.servers else {
        panic!("no Redis");
    };
    let mut flags = running.flags();
    flags.remote = Some(format!("redis://127.0.0.1:{}", narrow(redis.port()).await));
    let pod = Pod::new(&flags);
    pod.usable().await;
    let found = |reads: &[Read]| reads.iter().filter(|r| matches!(r, Ok(Some(_)))).count();
    // As a BatchGet did: 32 at a time.
    let mut alone = 0;
    for keys in keys.chunks(32) {
        alone += found(&join_all(keys.iter().map(|key| pod.remote.get(*key))).await);
    }
    let mut together = Vec::new();
    for _ in 0..6 {
        together.push(found(&read(&pod, &keys).await));
    }
    let then = pod.remote.get(key::new()).await;
    println!("found of 128: {alone} in fours, together {together:?}, then {then:?}");
    assert_eq!(alone, 128);
    assert_eq!(together[0], 128);
    assert_eq!(then, Ok(None));
}
