//! A loader that dies is replaced, one that works is not, and a key that is
//! invalidated all the time costs the origin so many loads a second.

use crate::fleet::Fleet;
use crate::words::{any, gone, granted, lease, put, read, text};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use unstale::{
    Ack, Cache, EntryOptions, Filled, Invalidate, LeaseOptions, Leased, Renewal, StaleReason,
};
use unstale_tests::{PATIENCE, eventually, unstale};

const TERM: Duration = Duration::from_secs(2);

fn term() -> LeaseOptions {
    LeaseOptions::default().term(TERM)
}

/// Waits for the lease; how long after `began` it was granted.
async fn takes_over(cache: &Cache, began: Instant) -> Duration {
    let wait = term().wait(PATIENCE - Duration::from_secs(1));
    let grant = granted(lease(cache, "k", wait).await);
    let waited = began.elapsed();
    let filled = cache.fill(&grant.token, "v", EntryOptions::default()).await;
    let filled = filled.expect("Fill answers").result;
    assert!(matches!(filled, Filled::Stored { .. }), "{filled:?}");
    waited
}

#[tokio::test]
async fn the_lease_of_a_pod_that_died_is_taken_over_a_term_after_its_first_sight() {
    let mut fleet = Fleet::of(2).await;
    let pods = fleet.clients().await;
    granted(lease(&pods[0], "k", term()).await);
    fleet.pods[0].kill();
    // Nobody looks at the key while the dead pod's session is waited out, which
    // takes longer than the term.
    let began = Instant::now();
    let elsewhere = Invalidate::default().key("other").ack(Ack::Fleet);
    let done = pods[1].invalidate(elsewhere).await.expect("OK");
    assert_eq!(done.lapsed.len(), 1, "{done:?}");
    assert!(began.elapsed() > TERM, "{:?}", began.elapsed());
    let first_sight = Instant::now();
    let waited = takes_over(&pods[1], first_sight).await;
    assert!(waited >= TERM, "taken over after {waited:?}");
}

#[tokio::test]
async fn a_loader_that_is_killed_is_replaced_and_not_while_it_works() {
    let fleet = Fleet::of(2).await;
    let pods = fleet.clients().await;
    let endpoint = format!("http://127.0.0.1:{}", fleet.pods[0].port());
    let mut loader = Command::new(unstale())
        .args(["lease", "k", "--endpoint", &endpoint, "--term", "1s"])
        .args(["--", "sleep", "15"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .expect("it starts");
    let ask = || async {
        match lease(&pods[1], "k", LeaseOptions::default()).await {
            Leased::Busy { .. } => Ok(()),
            Leased::Granted(grant) => {
                pods[1].abandon(&grant.token).await.expect("given back");
                Err("it does not load yet".to_owned())
            }
            other => panic!("{other:?}"),
        }
    };
    eventually("a loader", PATIENCE, ask).await;
    // Three terms of its own: it renews.
    let wait = LeaseOptions::default().wait(Duration::from_secs(3));
    let waited = lease(&pods[1], "k", wait).await;
    assert!(matches!(waited, Leased::Busy { .. }), "{waited:?}");
    loader.kill().expect("it is killed");
    loader.wait().expect("it ends");
    takes_over(&pods[1], Instant::now()).await;
    let ask = || async { read(&pods[0], "k").await.ok_or("missing".to_owned()) };
    eventually("the new loader's value", PATIENCE, ask).await;
}

#[tokio::test]
async fn renewals_keep_the_stale_value_for_all_and_for_the_next_loader() {
    let fleet = Fleet::of(2).await;
    let pods = fleet.clients().await;
    let minute = Duration::from_secs(60);
    let keeps = EntryOptions::default().ttl(minute).stale_for(minute);
    put(&pods[0], "k", "old", keeps).await;
    let position = gone(&pods[0], Invalidate::default().key("k").soft()).await;
    let grant = granted(lease(&pods[0], "k", term()).await);
    let other = pods[1].after(&position);
    for _ in 0..5 {
        let renewed = pods[0].renew(&grant.token).await.expect("Renew answers");
        assert_eq!(renewed, Renewal::Renewed { term: TERM });
        match lease(&other, "k", term()).await {
            Leased::Busy { stale, .. } => {
                assert_eq!(text(&stale.expect("it is kept")), "old");
            }
            busy => panic!("{busy:?}"),
        }
    }
    pods[0].abandon(&grant.token).await.expect("given back");
    let next = granted(lease(&other, "k", term()).await);
    assert_eq!(text(&next.stale.expect("it is kept")), "old");
    let stale = Some(StaleReason::SoftInvalidated);
    assert_eq!(any(&pods[0], "k").await, Some(("old".to_owned(), stale)));
}

#[tokio::test]
async fn grants_of_one_key_are_limited_per_second_and_say_when_to_ask_again() {
    let second = Duration::from_secs(1);
    let limit = "[namespace_defaults]\ngrants_per_second = 1\n";
    let fleet = Fleet::configured(1, limit).await;
    let [cache] = &fleet.clients().await[..] else {
        panic!("one pod");
    };
    let (mut grants, mut limited) = (0, 0);
    let began = Instant::now();
    while grants < 3 {
        assert!(began.elapsed() < PATIENCE, "{grants} grants only");
        match lease(cache, "k", LeaseOptions::default()).await {
            Leased::Granted(grant) => {
                grants += 1;
                // Invalidated at once: the next caller misses again.
                gone(cache, Invalidate::default().key("k")).await;
                cache.abandon(&grant.token).await.expect("given back");
            }
            Leased::Busy { retry_after, .. } => {
                limited += 1;
                assert!(!retry_after.is_zero() && retry_after <= second);
                // Waits no longer than the limit holds.
                let wait = LeaseOptions::default().wait(retry_after);
                if let Leased::Granted(grant) = lease(cache, "k", wait).await {
                    grants += 1;
                    cache.abandon(&grant.token).await.expect("given back");
                }
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(limited > 0 && began.elapsed() >= second * 2, "{limited}");
    let counted = fleet.pods[0].metric("unstale_grants_limited_total").await;
    assert!(counted >= limited, "{counted} of {limited}");
    let other = lease(cache, "another", LeaseOptions::default()).await;
    assert!(matches!(other, Leased::Granted(_)), "{other:?}");
}
