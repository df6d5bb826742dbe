//! The log is away, with the value tier (NATS holds both) or without it (the
//! values are in Redis): nothing is called fresh once the session has lapsed,
//! nothing is changed, and what was not changed is what is there afterwards.

use super::origin::Callers;
use crate::fleet::Fleet;
use crate::words::{any, look, put, read};
use std::time::Duration;
use unstale::{
    Ack, Answer, Cache, CasOutcome, Degraded, EntryOptions, Error, Expected, Freshness, Invalidate,
    Lookup, SessionState, StaleReason,
};
use unstale_tests::{PATIENCE, Redis, eventually};

const LONG: Duration = Duration::from_secs(600);
const ROUNDS: u32 = 3;
const MOST: u32 = 2;
const AFTER: f64 = 1.2;

/// How NATS goes away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gone {
    Killed,
    Stopped,
}

fn long() -> EntryOptions {
    EntryOptions::default().ttl(LONG)
}

/// A change that is refused: not done, or nobody knows.
fn is_refused<T: std::fmt::Debug>(what: &str, call: Result<T, Error>, gone: Gone) {
    match (call, gone) {
        (
            Err(Error::Unavailable {
                reason,
                retry_after: Some(_),
                ..
            }),
            _,
        ) => {
            assert_eq!(reason, "LOG_UNAVAILABLE", "{what}");
        }
        // It was sent, and nobody knows whether it arrived.
        (Err(Error::DeadlineExceeded { .. } | Error::OutcomeUnknown { .. }), Gone::Stopped) => {}
        (other, _) => panic!("{what}: {other:?}"),
    }
}

async fn swap(pod: &Cache, version: &str) -> Result<Answer<CasOutcome>, Error> {
    let expected = Expected::Version(version.to_owned());
    pod.compare_and_set("swapped", expected, "new", long(), Ack::Log)
        .await
}

/// Waits until no pod may call anything fresh.
async fn has_lapsed(pods: &[Cache]) {
    for pod in pods {
        let ask = || async {
            let status = pod.status().await.map_err(|e| e.to_string())?;
            let over = status.session_state != SessionState::Fresh;
            (over && !status.log_error.is_empty())
                .then_some(())
                .ok_or(format!("{status:?}"))
        };
        eventually("a session that lapsed", PATIENCE, ask).await;
    }
}

async fn during(pods: &[Cache], version: &str, gone: Gone) {
    for pod in pods {
        let answer = pod.get("held").await.expect("Get answers");
        assert!(matches!(answer.result, Lookup::Miss), "{answer:?}");
        assert!(
            answer.degraded.contains(&Degraded::SessionNotFresh),
            "{answer:?}"
        );
        let stale = any(pod, "held").await;
        let reason = Some(StaleReason::SessionNotFresh);
        assert_eq!(stale, Some(("old".to_owned(), reason)));
        for ack in [Ack::Log, Ack::Fleet] {
            let what = Invalidate::default().key("kept").ack(ack);
            is_refused("Invalidate", pod.invalidate(what).await, gone);
        }
        is_refused("Set", pod.set("kept", "new").await, gone);
        is_refused("CompareAndSet", swap(pod, version).await, gone);
    }
}

/// Callers whose key is unknown, and callers whose key was cached: how often
/// the origin is read by one pod for one key.
async fn loads(pods: &[Cache]) -> u32 {
    let (mut most, known) = (0, Callers::new(pods.to_vec(), "hot:"));
    let unknown = Callers::new(pods.to_vec(), "unknown:");
    for all in [&known, &unknown] {
        most = all.ask_whatever().await.max(most);
    }
    most
}

async fn outage(remote: &str, gone: Gone) {
    let mut fleet = Fleet::configured(2, remote).await;
    let all = Callers::new(fleet.clients().await, "hot:");
    let before = all.rounds(ROUNDS).await;
    let mut position = String::new();
    for key in ["held", "swapped", "kept"] {
        position = put(&all.pods[0], key, "old", long()).await;
    }
    for key in ["held", "swapped", "kept"] {
        let found = read(&all.pods[1].after(&position), key).await;
        assert_eq!(found.as_deref(), Some("old"));
    }
    let Lookup::Hit(entry) = look(&all.pods[0], "swapped").await else {
        panic!("it was read")
    };
    assert_eq!(entry.freshness, Freshness::Fresh);
    match gone {
        Gone::Killed => fleet.nats.stop(),
        Gone::Stopped => fleet.nats.pause(),
    }
    has_lapsed(&all.pods).await;
    during(&all.pods, &entry.version, gone).await;
    let most = loads(&all.pods).await;
    match gone {
        Gone::Killed => fleet.nats.restart(),
        Gone::Stopped => fleet.nats.go_on(),
    }
    fleet.is_whole().await;
    let after = all.rounds(ROUNDS).await;
    let name = format!(
        "log {gone:?}, {}",
        if remote.is_empty() { "NATS" } else { "Redis" }
    );
    println!(
        "{name}: {:.2} before, {most} at most, {:.2} after",
        before.mean, after.mean
    );
    assert!(most <= MOST, "{name}: {most}");
    assert!(after.mean <= AFTER * before.mean, "{name}: {after:?}");
}

#[tokio::test]
async fn with_nats_killed_nothing_is_fresh_and_nothing_changes() {
    outage("", Gone::Killed).await;
}

#[tokio::test]
async fn with_the_log_killed_and_redis_there_nothing_is_fresh_and_nothing_changes() {
    let redis = Redis::start();
    outage(&format!("remote = \"{}\"\n", redis.url()), Gone::Killed).await;
}

#[tokio::test]
async fn with_the_log_stopped_and_redis_there_nothing_is_fresh_and_nothing_changes() {
    let redis = Redis::start();
    outage(&format!("remote = \"{}\"\n", redis.url()), Gone::Stopped).await;
}
