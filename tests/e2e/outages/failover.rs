//! The value tier goes on from an older copy of itself: a replica that lagged,
//! a snapshot. It holds what was invalidated since; nobody may be given that.

use super::origin::{Callers, Load};
use crate::fleet::Fleet;
use crate::sdk::client;
use crate::words::{any, gone, put, read};
use std::time::Duration;
use unstale::{Ack, Cache, Degraded, EntryOptions, Invalidate, Lookup};
use unstale_tests::{Flow, PATIENCE, Redis, Wire, eventually};

const LONG: Duration = Duration::from_secs(600);

fn long() -> EntryOptions {
    EntryOptions::default().ttl(LONG).tag("team")
}

/// Starts a server with more arguments.
type Start = fn(&[&str]) -> Redis;

async fn fleet(wire: &Wire) -> Fleet {
    let remote = format!("remote = \"redis://127.0.0.1:{}\"\n", wire.port());
    Fleet::configured(2, &remote).await
}

/// What the copy will hold.
async fn store(pods: &[Cache]) {
    for key in ["key", "tagged", "overwritten"] {
        put(&pods[0], key, "old", long()).await;
    }
}

/// What the copy does not know of.
async fn change(pods: &[Cache]) {
    for what in [
        Invalidate::default().key("key"),
        Invalidate::default().tag("team"),
    ] {
        let done = pods[1].invalidate(what.ack(Ack::Fleet)).await.expect("OK");
        assert_eq!(done.acked.len(), pods.len(), "{:?}", done.lapsed);
    }
    put(&pods[1], "overwritten", "new", long()).await;
}

/// Waits until every pod uses the tier that leads now.
async fn used_again(fleet: &Fleet, pods: &[Cache]) {
    for (pod, cache) in fleet.pods.iter().zip(pods) {
        let ask = || async {
            let set = cache
                .set("probe", "probe")
                .await
                .map_err(|e| e.to_string())?;
            let error = pod.status().await.remote_error;
            let whole = set.degraded.is_empty() && error.is_empty();
            whole.then_some(()).ok_or(format!("{set:?} {error}"))
        };
        eventually("a pod that uses the tier again", PATIENCE, ask).await;
    }
}

/// Nothing that was replaced is there, also for a pod that saw none of it and
/// so takes everything from the copy.
async fn nothing_is_back(fleet: &Fleet, pods: &[Cache], remote: &str) {
    let late = fleet.late_with(remote).await;
    let late = [client(&late).await];
    for pod in pods.iter().chain(&late) {
        for key in ["key", "tagged"] {
            assert_eq!(any(pod, key).await, None, "{key}");
        }
        let found = any(pod, "overwritten").await;
        assert_ne!(found.as_ref().map(|(text, _)| text.as_str()), Some("old"));
    }
}

/// The copy holds the old records: without that, nothing is proved.
fn holds_the_old(copy: &Redis) {
    let keys = copy.command_lines(&["KEYS", "unstale:test:*"]);
    assert!(keys.len() >= 3, "{keys:?}");
}

/// A primary fails, and its replica, which lagged, takes over.
async fn failover((name, start): (&str, Start)) {
    let mut primary = start(&[]);
    let link = Wire::start(primary.port()).await;
    let of = ["--replicaof", "127.0.0.1", &link.port().to_string()];
    let replica = start(&of);
    let wire = Wire::start(primary.port()).await;
    let fleet = fleet(&wire).await;
    let all = Callers::new(fleet.clients().await, "hot:");
    let before = all.rounds(2).await;
    store(&all.pods).await;
    let ask = || async {
        let [there, here] = [&primary, &replica].map(|redis| redis.command(&["DBSIZE"]));
        (there == here)
            .then_some(())
            .ok_or(format!("{here} of {there}"))
    };
    eventually("a replica with everything", PATIENCE, ask).await;
    link.set(Flow::Stalled);
    change(&all.pods).await;
    primary.stop();
    wire.lead_to(replica.port());
    // It is read-only, and so it can be read.
    let ask = || async {
        let set = all.pods[0].set("only", "here").await;
        let set = set.map_err(|e| e.to_string())?;
        let error = fleet.pods[0].status().await.remote_error;
        assert_eq!(set.degraded, [Degraded::RemoteUnavailable]);
        let named = error.contains("replica");
        named.then_some(()).ok_or(error)
    };
    eventually("a replica that refuses", PATIENCE, ask).await;
    holds_the_old(&replica);
    assert_eq!(replica.command(&["REPLICAOF", "NO", "ONE"]), "+OK");
    used_again(&fleet, &all.pods).await;
    let remote = format!("remote = \"redis://127.0.0.1:{}\"\n", wire.port());
    nothing_is_back(&fleet, &all.pods, &remote).await;
    let after = all.rounds(2).await;
    let what = format!("failover to an older copy, {name}");
    spared(&what, (before, &[], after));
}

/// Prints the reads of the origin by key and pod before, during and after an
/// outage; it is as before when it is over.
pub(super) fn spared(what: &str, (before, during, after): (Load, &[Load], Load)) {
    let during = during.iter().map(|load| {
        let (mean, most) = (load.mean, load.most);
        format!("{mean:.2} ({most}) during, ")
    });
    let during: String = during.collect();
    let (before, after) = (before.mean, after.mean);
    println!("{what}: {before:.2} before, {during}{after:.2} after");
    assert!(after <= 1.2 * before, "{before} {after}");
}

/// A server starts again with an older copy of what it had.
async fn restored((name, start): (&str, Start)) {
    let mut redis = start(&[]);
    let wire = Wire::start(redis.port()).await;
    let fleet = fleet(&wire).await;
    let all = Callers::new(fleet.clients().await, "hot:");
    let (pods, before) = (&all.pods, all.rounds(2).await);
    store(pods).await;
    assert_eq!(redis.command(&["SAVE"]), "+OK");
    change(pods).await;
    redis.stop();
    // Reads it on its way up.
    redis.restart();
    holds_the_old(&redis);
    used_again(&fleet, pods).await;
    let remote = format!("remote = \"redis://127.0.0.1:{}\"\n", wire.port());
    nothing_is_back(&fleet, pods, &remote).await;
    // And what is stored now is shared.
    let position = gone(&pods[0], Invalidate::default().key("key")).await;
    assert!(matches!(
        pods[1]
            .after(&position)
            .get("key")
            .await
            .expect("Get answers")
            .result,
        Lookup::Miss
    ));
    let position = put(&pods[0], "key", "new", long()).await;
    let found = read(&pods[1].after(&position), "key").await;
    assert_eq!(found.as_deref(), Some("new"));
    let what = format!("a snapshot that was restored, {name}");
    spared(&what, (before, &[], all.rounds(2).await));
}

#[tokio::test]
async fn what_was_invalidated_is_not_served_by_a_replica_that_lagged_and_was_promoted() {
    failover(("Redis", Redis::with)).await;
}

#[tokio::test]
async fn nor_by_a_valkey_that_lagged_and_was_promoted() {
    failover(("Valkey", Redis::valkey_with)).await;
}

#[tokio::test]
async fn what_was_invalidated_is_not_served_from_a_snapshot_that_was_restored() {
    restored(("Redis", Redis::with)).await;
}

#[tokio::test]
async fn nor_from_a_snapshot_that_a_valkey_restored() {
    restored(("Valkey", Redis::valkey_with)).await;
}
