//! One server of a Redis cluster is away: its keys are, and no others; all, if
//! the cluster wants to have all slots served. The origin is spared in both.

use super::failover::spared;
use super::origin::{Callers, Load};
use crate::fleet::Fleet;
use crate::words::read;
use unstale::{Cache, Degraded, EntryOptions, Lookup, SetOptions, SetOutcome, Tier};
use unstale_engine::key::{Key, Namespace};
use unstale_tests::{PATIENCE, RedisCluster, eventually};

/// Keys on each server.
const KEYS: usize = 4;
const SLOTS: usize = 16_384;
const AWAY: usize = 1;
/// Reads of the origin by key and pod: in sequence while leases are impossible.
const MOST: u32 = 2;
const ROUNDS: u32 = 2;

/// Some keys that each server holds.
fn keys(cluster: &RedisCluster, round: &str) -> Vec<Vec<String>> {
    let mut keys = vec![Vec::new(); cluster.nodes.len()];
    let names = (0..).map(|n| format!("{round}:{n}"));
    for name in names {
        let key = Key::new(Namespace::new("").expect("a name"), &name).expect("a key");
        let stored = format!("unstale:test:{:032x}", key.hash().0);
        let slot = cluster.nodes[0].command(&["CLUSTER", "KEYSLOT", &stored]);
        let slot: usize = slot.trim_start_matches(':').parse().expect("a slot");
        let server = keys.len() * slot / SLOTS;
        if keys[server].len() < KEYS {
            keys[server].push(name);
        }
        if keys.iter().all(|keys| keys.len() == KEYS) {
            break;
        }
    }
    keys
}

/// A value that one pod stores, the other reads there.
async fn is_shared(pods: &[Cache], key: &str) {
    let set = pods[0].set_with(key, "v", SetOptions::from(EntryOptions::default()));
    let set = set.await.expect("Set answers");
    assert!(set.degraded.is_empty(), "{key}: {set:?}");
    let answer = pods[1].after(&set.position).get(key).await;
    let answer = answer.expect("Get answers");
    match &answer.result {
        Lookup::Hit(entry) => assert_eq!(entry.tier, Tier::Remote, "{key}: {answer:?}"),
        _ => panic!("{key}: {answer:?}"),
    }
}

/// A value that only the pod has that stored it, and both say so.
async fn is_degraded(pods: &[Cache], key: &str) {
    let set = pods[0].set(key, "v").await.expect("Set answers");
    assert!(
        matches!(set.result, SetOutcome::Stored { .. }),
        "{key}: {set:?}"
    );
    assert_eq!(set.degraded, [Degraded::RemoteUnavailable], "{key}");
    assert_eq!(read(&pods[0], key).await.as_deref(), Some("v"));
    let answer = pods[1].after(&set.position).get(key).await;
    let answer = answer.expect("Get answers");
    assert!(matches!(answer.result, Lookup::Miss), "{key}: {answer:?}");
    assert_eq!(answer.degraded, [Degraded::RemoteUnavailable], "{key}");
}

/// The keys of the server that is away are degraded, the others are not.
async fn only_its_keys(cluster: &RedisCluster, pods: &[Cache], what: &str) {
    for (server, keys) in keys(cluster, what).iter().enumerate() {
        for key in keys {
            match server == AWAY {
                true => is_degraded(pods, key).await,
                false => is_shared(pods, key).await,
            }
        }
    }
}

/// Every key is, whose ever it was.
async fn all_keys(cluster: &RedisCluster, pods: &[Cache], what: &str) {
    for key in keys(cluster, what).concat() {
        is_degraded(pods, &key).await;
    }
}

/// Waits until the servers that are left refuse their own keys, too.
async fn is_refused(cluster: &RedisCluster) {
    for (_, node) in (0..).zip(&cluster.nodes).filter(|(i, _)| *i != AWAY) {
        let ask = || async {
            let said = node.command(&["CLUSTER", "INFO"]);
            let down = said.contains("cluster_state:fail");
            down.then_some(()).ok_or(said)
        };
        eventually("a cluster that refuses all keys", PATIENCE, ask).await;
    }
}

async fn is_whole(cluster: &RedisCluster, pods: &[Cache], what: &str) {
    stored(pods, &keys(cluster, what).concat()).await;
    for key in keys(cluster, &format!("{what}:shared")).concat() {
        is_shared(pods, &key).await;
    }
}

/// Waits until every pod stores these keys in the cluster.
async fn stored(pods: &[Cache], keys: &[String]) {
    for key in keys {
        let ask = || async {
            for pod in pods {
                let set = pod.set(key, "v").await.map_err(|e| e.to_string())?;
                if !set.degraded.is_empty() {
                    return Err(format!("{set:?}"));
                }
            }
            Ok(())
        };
        eventually("a key that every pod can store", PATIENCE, ask).await;
    }
}

/// Rounds of all callers while a part of the cluster is away.
async fn during(all: &Callers) -> Load {
    let during = all.rounds(ROUNDS).await;
    assert!(during.most <= MOST, "{during:?}");
    during
}

#[tokio::test]
async fn of_a_cluster_only_the_keys_of_the_server_that_is_away_are() {
    let mut cluster = RedisCluster::start().await;
    for node in &cluster.nodes {
        let set = ["CONFIG", "SET", "cluster-require-full-coverage", "no"];
        assert_eq!(node.command(&set), "+OK");
    }
    let config = format!("remote = \"{}\"\n", cluster.url());
    let fleet = Fleet::configured(2, &config).await;
    let all = Callers::new(fleet.clients().await, "hot:");
    let pods = &all.pods;
    is_whole(&cluster, pods, "before").await;
    let before = all.rounds(ROUNDS).await;
    cluster.nodes[AWAY].stop();
    only_its_keys(&cluster, pods, "killed").await;
    let killed = during(&all).await;
    cluster.nodes[AWAY].restart();
    is_whole(&cluster, pods, "restarted").await;
    cluster.nodes[AWAY].pause();
    only_its_keys(&cluster, pods, "stopped").await;
    let stopped = during(&all).await;
    cluster.nodes[AWAY].go_on();
    is_whole(&cluster, pods, "after").await;
    stored(pods, &all.keys()).await;
    let after = all.rounds(ROUNDS).await;
    spared(
        "one server of a cluster",
        (before, &[killed, stopped], after),
    );
}

/// As clusters are when nobody sets it otherwise.
#[tokio::test]
async fn of_a_cluster_with_full_coverage_all_keys_are() {
    let mut cluster = RedisCluster::start().await;
    let config = format!("remote = \"{}\"\n", cluster.url());
    let fleet = Fleet::configured(2, &config).await;
    let all = Callers::new(fleet.clients().await, "hot:");
    let pods = &all.pods;
    is_whole(&cluster, pods, "before").await;
    let before = all.rounds(ROUNDS).await;
    cluster.nodes[AWAY].stop();
    is_refused(&cluster).await;
    all_keys(&cluster, pods, "killed").await;
    let killed = during(&all).await;
    cluster.nodes[AWAY].restart();
    cluster.whole().await;
    is_whole(&cluster, pods, "after").await;
    stored(pods, &all.keys()).await;
    let after = all.rounds(ROUNDS).await;
    spared("a cluster with full coverage", (before, &[killed], after));
}
