//! Tiers of several servers: one that is away takes its own keys with it, and
//! the tier still answers.

use crate::key;
use crate::tier::{Kind, Pod, Running, Servers, World};
use std::sync::Arc;
use unstale_engine::remote::RemoteError;
use unstale_tests::{Memcached, PATIENCE, RedisCluster, eventually};

/// More in a row than a circuit forgives.
const PINGS: usize = 20;
/// Keys that are tried: every server has some.
const KEYS: usize = 64;

/// A tier's servers, each of which can be stopped by itself.
enum Parts {
    Memcached(Running, Vec<Memcached>),
    Redis(Running),
}

impl Parts {
    async fn start(kind: Kind) -> Self {
        match kind {
            Kind::RedisCluster => {
                let cluster = RedisCluster::start().await;
                for node in &cluster.nodes {
                    let set = ["CONFIG", "SET", "cluster-require-full-coverage", "no"];
                    assert_eq!(node.command(&set), "+OK");
                }
                Self::Redis(Running::new(Servers::RedisCluster(cluster)))
            }
            Kind::Memcached => {
                let running = Running::new(Servers::Memcached(Memcached::start()));
                Self::Memcached(running, vec![Memcached::start(), Memcached::start()])
            }
            other => panic!("{other:?} is one server"),
        }
    }

    fn pod(&self) -> Pod {
        match self {
            Self::Redis(running) => Pod::new(&running.flags()),
            Self::Memcached(running, more) => {
                let mut flags = running.flags();
                let more = more
                    .iter()
                    .map(|server| format!(",127.0.0.1:{}", server.port()));
                let url = flags.remote.take().into_iter().chain(more).collect();
                flags.remote = Some(url);
                Pod::new(&flags)
            }
        }
    }

    /// As a machine that hangs.
    fn pause_one(&self) {
        match self {
            Self::Redis(running) => match &running.servers {
                Servers::RedisCluster(cluster) => cluster.nodes[1].pause(),
                _ => panic!("a cluster"),
            },
            Self::Memcached(_, more) => more[0].pause(),
        }
    }

    fn stop_one(&mut self) {
        match self {
            Self::Redis(running) => match &mut running.servers {
                Servers::RedisCluster(cluster) => cluster.nodes[1].stop(),
                _ => panic!("a cluster"),
            },
            Self::Memcached(_, more) => more[0].stop(),
        }
    }

    fn stop_all(&mut self) {
        match self {
            Self::Redis(running) => running.stop(),
            Self::Memcached(running, more) => {
                running.stop();
                more.iter_mut().for_each(Memcached::stop);
            }
        }
    }
}

/// How many of some keys are read, and why the others are not.
async fn reads(pod: &Pod) -> (usize, Option<RemoteError>) {
    let keys: Vec<_> = (0..KEYS).map(|_| key::new()).collect();
    let reads = keys.iter().map(|key| pod.remote.get(*key));
    let reads = futures::future::join_all(reads).await;
    let read = reads.iter().filter(|read| read.is_ok()).count();
    (read, reads.into_iter().find_map(Result::err))
}

/// Until some keys are read, and some are not; then the tier comes to answer pings.
/// Not each, and not at once: the client of a Redis cluster holds up all calls for
/// a moment when it finds out about its servers anew, for seconds on a machine with
/// much else to do.
async fn answers_in_part(pod: &Pod) {
    let ask = || async {
        let (read, error) = reads(pod).await;
        let some = (1..KEYS).contains(&read);
        some.then_some(()).ok_or(format!("{read} read: {error:?}"))
    };
    eventually("one server of some that is away", PATIENCE, ask).await;
    let ask = || async {
        let mut pings = Vec::new();
        for _ in 0..PINGS {
            pings.push(pod.remote.ping().await);
        }
        let answered = pings.iter().filter(|ping| ping.is_ok()).count();
        (answered > PINGS / 2)
            .then_some(())
            .ok_or(format!("{pings:?}"))
    };
    eventually("most of many pings in a row are answered", PATIENCE, ask).await;
}

pub(crate) async fn with_one_server_away_a_ping_is_answered(world: Arc<World>) {
    let mut parts = Parts::start(world.kind).await;
    let pod = parts.pod();
    pod.usable().await;
    assert_eq!(reads(&pod).await, (KEYS, None));
    parts.pause_one();
    answers_in_part(&pod).await;
    parts.stop_one();
    answers_in_part(&pod).await;
    parts.stop_all();
    let ask = || async { pod.remote.ping().await.err().map(drop).ok_or(String::new()) };
    eventually("a tier that is away", PATIENCE, ask).await;
}
