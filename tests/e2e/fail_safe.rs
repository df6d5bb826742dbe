//! Abandon as fail-safe: the origin fails, so the stale value serves everybody
//! for a while, and nobody loads before the pause is over, on every pod.

use crate::fleet::Fleet;
use crate::words::{any, gone, grant, lease, put, read, text};
use std::time::{Duration, Instant};
use unstale::{AbandonOptions, Cache, EntryOptions, Invalidate, LeaseOptions, Leased, StaleReason};
use unstale_tests::{PATIENCE, eventually};

const LONG: Duration = Duration::from_secs(600);
/// How far two readings of log time may be apart.
const LOG_TIME: Duration = Duration::from_millis(500);

/// Becomes the loader of a value that can be served stale, and gives up.
async fn fails(cache: &Cache, how: AbandonOptions) -> Instant {
    let loader = grant(cache, "k").await;
    assert!(loader.stale.is_some(), "{loader:?}");
    let began = Instant::now();
    let given_back = cache.abandon_with(&loader.token, how).await;
    given_back.expect("Abandon answers");
    began
}

#[tokio::test]
async fn nobody_is_granted_a_lease_before_the_pause_is_over_on_any_pod() {
    const PAUSE: Duration = Duration::from_secs(2);
    let fleet = Fleet::of(3).await;
    let pods = fleet.clients().await;
    let keeps = EntryOptions::default().ttl(LONG).stale_for(LONG);
    put(&pods[0], "k", "old", keeps).await;
    let position = gone(&pods[0], Invalidate::default().key("k").soft()).await;
    let rest = AbandonOptions::default()
        .serve_stale_for(LONG)
        .retry_after(PAUSE);
    let began = fails(&pods[0], rest).await;
    let first_grant = |pod: usize| {
        let pod = pods[pod].after(&position);
        async move {
            let ask = || async {
                match lease(&pod, "k", LeaseOptions::default()).await {
                    Leased::Granted(_) => Ok(began.elapsed()),
                    Leased::Busy { stale, .. } => {
                        let stale = stale.expect("served meanwhile");
                        assert_eq!(text(&stale), "old");
                        Err("busy".to_owned())
                    }
                    other => panic!("{other:?}"),
                }
            };
            eventually("a grant", PATIENCE, ask).await
        }
    };
    let waited = tokio::select! {
        waited = first_grant(0) => waited,
        waited = first_grant(1) => waited,
        waited = first_grant(2) => waited,
    };
    assert!(waited >= PAUSE, "granted after {waited:?}");
}

#[tokio::test]
async fn the_stale_value_is_served_for_as_long_as_was_asked_on_every_pod() {
    const STALE_FOR: Duration = Duration::from_secs(3);
    const SERVE: Duration = Duration::from_secs(6);
    let fleet = Fleet::of(2).await;
    let pods = fleet.clients().await;
    let ttl = Duration::from_millis(200);
    let entry = EntryOptions::default().ttl(ttl).stale_for(STALE_FOR);
    let position = put(&pods[0], "k", "old", entry).await;
    for pod in &pods {
        let pod = pod.after(&position);
        let ask = || async { read(&pod, "k").await.map_or(Ok(()), Err) };
        eventually("the end of the ttl", PATIENCE, ask).await;
    }
    let rest = AbandonOptions::default()
        .serve_stale_for(SERVE)
        .retry_after(LONG / 10);
    let began = fails(&pods[0], rest).await;
    for pod in &pods {
        let ask = || async {
            let found = any(pod, "k").await;
            let Some((value, reason)) = found else {
                return Ok(began.elapsed());
            };
            assert_eq!((&*value, reason), ("old", Some(StaleReason::Expired)));
            Err("it is served".to_owned())
        };
        let ended = eventually("the end of the stale value", PATIENCE, ask).await;
        assert!(ended + LOG_TIME >= SERVE, "served for {ended:?} only");
        // Nothing is left to serve, and still nobody loads.
        let leased = lease(pod, "k", LeaseOptions::default()).await;
        assert!(
            matches!(leased, Leased::Busy { stale: None, .. }),
            "{leased:?}"
        );
    }
}

#[tokio::test]
async fn what_is_invalidated_hard_is_not_served_by_fail_safe() {
    let fleet = Fleet::of(2).await;
    let pods = fleet.clients().await;
    let keeps = EntryOptions::default().ttl(LONG).stale_for(LONG);
    put(&pods[0], "k", "old", keeps).await;
    gone(&pods[0], Invalidate::default().key("k").soft()).await;
    let rest = AbandonOptions::default().serve_stale_for(LONG);
    fails(&pods[0], rest.retry_after(LONG / 10)).await;
    assert!(any(&pods[1], "k").await.is_some());
    let position = gone(&pods[1], Invalidate::default().key("k")).await;
    for pod in &pods {
        assert_eq!(any(&pod.after(&position), "k").await, None);
    }
}

#[tokio::test]
async fn a_lease_given_back_plainly_leaves_the_stale_value_for_the_next_loader() {
    let fleet = Fleet::of(2).await;
    let pods = fleet.clients().await;
    let keeps = EntryOptions::default().ttl(LONG).stale_for(LONG);
    put(&pods[0], "k", "old", keeps).await;
    let position = gone(&pods[0], Invalidate::default().key("k").soft()).await;
    fails(&pods[0], AbandonOptions::default()).await;
    for pod in &pods {
        fails(&pod.after(&position), AbandonOptions::default()).await;
        let stale = Some(StaleReason::SoftInvalidated);
        assert_eq!(any(pod, "k").await, Some(("old".to_owned(), stale)));
    }
}
