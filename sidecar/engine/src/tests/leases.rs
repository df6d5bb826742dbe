//! What leases owe their callers; each was broken once.

use super::world::{World, hard, key, new};
use crate::request::*;
use std::time::Duration;
use tokio::time::Instant;

#[tokio::test(start_paused = true)]
async fn an_older_source_version_is_refused_while_a_marker_carries_the_newer() {
    let mut w = World::new();
    let p = w.pod().await;
    let LeaseOutcome::Granted(token, ..) = p.lease("k", 0).await else {
        panic!()
    };
    let entry = NewEntry {
        source_version: Some(7),
        stale_for: Some(Duration::from_secs(60)),
        ..new("v7", 50)
    };
    p.e.fill(Fill {
        token,
        entry,
        deadline: p.dl(),
    })
    .await
    .unwrap();
    tokio::time::sleep(Duration::from_millis(150)).await;
    assert!(matches!(
        p.lease("k", 0).await,
        LeaseOutcome::Granted(_, _, Some(_))
    ));
    let out = p
        .set(
            "k",
            NewEntry {
                source_version: Some(5),
                ..new("v5", 60_000)
            },
            Ack::Log,
        )
        .await;
    assert!(
        matches!(
            out.result,
            SetOutcome::NotStored(NotStored::OlderSourceVersion(7), _)
        ),
        "{:?} {:?}",
        out.result,
        p.get("k", Level::Strong).await
    );
}

#[tokio::test(start_paused = true)]
async fn waiters_are_parked_when_what_is_stale_is_negative() {
    let mut w = World::new();
    let p = w.pod().await;
    let LeaseOutcome::Granted(token, ..) = p.lease("k", 0).await else {
        panic!()
    };
    let entry = NewEntry {
        payload: Payload::NotFound,
        stale_for: Some(Duration::from_secs(60)),
        ..new("", 50)
    };
    p.e.fill(Fill {
        token,
        entry,
        deadline: p.dl(),
    })
    .await
    .unwrap();
    tokio::time::sleep(Duration::from_millis(150)).await;
    assert!(matches!(p.lease("k", 0).await, LeaseOutcome::Granted(..)));
    let began = Instant::now();
    let out = p.lease("k", 1000).await;
    assert!(
        began.elapsed() >= Duration::from_millis(900),
        "{:?}: the gRPC answer is Busy without stale",
        out
    );
}

#[tokio::test(start_paused = true)]
async fn losers_of_a_race_do_not_use_up_the_grants_of_a_key() {
    let mut w = World::new();
    let p = w.pod().await;
    let mut waits = vec![];
    for round in 0..3 {
        let began = Instant::now();
        let tasks: Vec<_> = (0..64)
            .map(|_| {
                let e = p.e.clone();
                let d = p.dl();
                tokio::spawn(async move {
                    e.lease(Lease {
                        key: key("hot"),
                        term: Duration::from_secs(10),
                        wait: Duration::from_secs(3),
                        min_position: None,
                        may_refresh: true,
                        deadline: d,
                    })
                    .await
                })
            })
            .collect();
        let mut tokens = 0;
        for t in tasks {
            if let Ok(a) = t.await.unwrap()
                && let LeaseOutcome::Granted(token, ..) = a.result
            {
                tokens += 1;
                p.e.fill(Fill {
                    token,
                    entry: new("v", 60_000),
                    deadline: p.dl(),
                })
                .await
                .unwrap();
            }
        }
        waits.push((round, tokens, began.elapsed()));
        p.e.invalidate(hard(&p, "hot")).await.unwrap();
    }
    assert!(
        waits
            .iter()
            .all(|(_, _, took)| *took < Duration::from_millis(600)),
        "{waits:?}, {:?}",
        p.e.counters().grants_limited
    );
}

#[tokio::test(start_paused = true)]
async fn losers_of_a_race_leave_the_key_a_loader_when_all_have_something_stale() {
    let mut w = World::new();
    let p = w.pod().await;
    for _ in 0..3 {
        // All in one second: everybody asks, one loads, the others lose.
        let asked = (0..64).map(|_| p.lease("hot", 0));
        let answers = futures::future::join_all(asked).await;
        let mut tokens = answers.into_iter().filter_map(|answer| match answer {
            LeaseOutcome::Granted(token, ..) => Some(token),
            LeaseOutcome::Hit(_) | LeaseOutcome::Busy(..) => None,
        });
        let token = tokens.next().expect("somebody loads");
        assert!(tokens.next().is_none(), "one loader");
        let entry = NewEntry {
            stale_for: Some(Duration::from_secs(60)),
            ..new("v", 20)
        };
        let fill = Fill {
            token,
            entry,
            deadline: p.dl(),
        };
        p.e.fill(fill).await.unwrap();
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_callers_at_once_one_is_granted_the_lease_while_the_tier_is_away() {
    let mut w = World::new();
    let p = std::sync::Arc::new(w.pod().await);
    p.tier.1.store(true, std::sync::atomic::Ordering::SeqCst);
    for round in 0..500 {
        let ask = |_| {
            let p = p.clone();
            tokio::spawn(async move { p.lease(&format!("k{round}"), 0).await })
        };
        let got = futures::future::join_all((0..8).map(ask)).await;
        let is_granted = |got: &&Result<LeaseOutcome, _>| {
            matches!(got.as_ref().unwrap(), LeaseOutcome::Granted(..))
        };
        assert_eq!(got.iter().filter(is_granted).count(), 1, "round {round}");
    }
}

/// Reads the source for so long if it is granted the lease.
async fn get_or_load(p: std::sync::Arc<super::world::Pod>, value: &str, ms: u64) -> LeaseOutcome {
    let got = p.lease("k", 4000).await;
    if let LeaseOutcome::Granted(token, ..) = got {
        tokio::time::sleep(Duration::from_millis(ms)).await;
        let fill = Fill {
            token,
            entry: new(value, 60_000),
            deadline: p.dl(),
        };
        p.e.fill(fill).await.unwrap();
    }
    got
}

#[tokio::test(start_paused = true)]
async fn while_the_session_is_lost_who_waits_gets_what_was_read_since_it_came() {
    let mut w = World::new();
    let p = std::sync::Arc::new(w.pod().await);
    p.log.down.store(true, std::sync::atomic::Ordering::SeqCst);
    while p.e.status().state == SessionState::Fresh {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let call = |n: u64| {
        let p = p.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(30 * n)).await;
            // The second reading is over before others look again.
            let ms = if n == 0 { 1000 } else { 5 };
            get_or_load(p, &n.to_string(), ms).await
        })
    };
    let got = futures::future::join_all((0..8).map(call)).await;
    let got: Vec<_> = got.into_iter().map(Result::unwrap).collect();
    let granted = got
        .iter()
        .filter(|got| matches!(got, LeaseOutcome::Granted(..)));
    // What the first one read is of no use to who came later.
    assert_eq!(granted.count(), 2, "{got:?}");
    let hits = got.iter().filter_map(|got| match got {
        LeaseOutcome::Hit(found) => Some(found),
        _ => None,
    });
    for found in hits {
        assert_ne!(found.payload.data(), b"0");
    }
    // Nor is any of it to who comes afterwards.
    let late = get_or_load(p, "late", 5).await;
    assert!(matches!(late, LeaseOutcome::Granted(..)), "{late:?}");
}

/// A tier that stalls. Beside an answer stands the position that this pod has
/// reached: what is made of an older value with it would stand over the cover.
#[tokio::test(start_paused = true)]
async fn who_waited_is_not_given_what_was_covered_meanwhile() {
    use std::sync::atomic::Ordering::SeqCst;
    let mut w = World::new();
    let p = std::sync::Arc::new(w.pod().await);
    p.tier.1.store(true, SeqCst);
    p.tier.3.store(300, SeqCst);
    let ask = || {
        let p = p.clone();
        tokio::spawn(async move {
            let lease = Lease {
                key: key("k"),
                term: Duration::from_secs(10),
                wait: Duration::from_secs(4),
                min_position: None,
                may_refresh: true,
                deadline: p.dl(),
            };
            let answer = p.e.lease(lease).await.unwrap();
            // The loader reads the source, fills, and then the source changes.
            if let LeaseOutcome::Granted(token, ..) = answer.result {
                tokio::time::sleep(Duration::from_millis(50)).await;
                let fill = Fill {
                    token,
                    entry: NewEntry {
                        tags: vec![crate::key::Tag::new("t").unwrap()],
                        ..new("v1", 60_000)
                    },
                    deadline: p.dl(),
                };
                p.e.fill(fill).await.unwrap();
                let gone = Invalidate {
                    keys: vec![],
                    tags: vec![crate::key::Tag::new("t").unwrap()],
                    ack: Ack::Fleet,
                    ..hard(&p, "k")
                };
                p.e.invalidate(gone).await.unwrap();
            }
            answer
        })
    };
    let (one, two) = (ask(), ask());
    for answer in [one.await.unwrap(), two.await.unwrap()] {
        let granted = matches!(answer.result, LeaseOutcome::Granted(..));
        assert!(granted, "{:?}", answer.result);
    }
}

/// The tier is away: the lease is this pod's. A loader whose term is over gives
/// up when another is at work, and says when to try again.
#[tokio::test(start_paused = true)]
async fn who_gives_up_late_does_not_hide_a_newer_loader() {
    let mut w = World::new();
    let p = w.pod().await;
    p.tier.1.store(true, std::sync::atomic::Ordering::SeqCst);
    let granted = |outcome| match outcome {
        LeaseOutcome::Granted(token, ..) => Some(token),
        _ => None,
    };
    let old = granted(p.lease("k", 0).await).expect("nobody loads");
    tokio::time::sleep(std::time::Duration::from_secs(11)).await;
    let new = granted(p.lease("k", 0).await).expect("its term is over");
    assert_ne!(old, new);
    let abandon = Abandon {
        token: old,
        serve_stale_for: None,
        retry_after: Some(std::time::Duration::from_millis(100)),
        deadline: p.dl(),
    };
    p.e.abandon(abandon).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    let third = p.lease("k", 0).await;
    assert!(matches!(third, LeaseOutcome::Busy(..)), "{third:?}");
}

/// The caller goes away while the tier is slow to say that the marker is there.
#[tokio::test(start_paused = true)]
async fn a_lease_whose_caller_left_before_the_grant_is_free_again() {
    let mut w = World::new();
    let p = w.pod().await;
    for stale in [false, true] {
        let key = if stale { "stale" } else { "k" };
        if stale {
            let entry = NewEntry {
                stale_for: Some(Duration::from_secs(60)),
                ..new("v", 50)
            };
            p.set(key, entry, Ack::Log).await;
            tokio::time::sleep(Duration::from_millis(150)).await;
        }
        p.tier.5.store(200, std::sync::atomic::Ordering::SeqCst);
        let left = tokio::time::timeout(Duration::from_millis(100), p.lease(key, 0)).await;
        assert!(left.is_err(), "{left:?}");
        p.tier.5.store(0, std::sync::atomic::Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(50)).await;
        let LeaseOutcome::Granted(_, _, found) = p.lease(key, 0).await else {
            panic!("{key}: it is locked");
        };
        assert_eq!(found.is_some(), stale, "{key}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_grant_that_reached_nobody_is_given_back() {
    let mut w = World::new();
    let p = w.pod().await;
    for away in [false, true] {
        p.tier.1.store(away, std::sync::atomic::Ordering::SeqCst);
        let key = if away { "away" } else { "k" };
        let LeaseOutcome::Granted(token, ..) = p.lease(key, 0).await else {
            panic!("{key}")
        };
        p.e.give_back(vec![token]);
        tokio::time::sleep(Duration::from_millis(50)).await;
        let next = p.lease(key, 0).await;
        assert!(matches!(next, LeaseOutcome::Granted(..)), "{next:?}");
    }
}

/// Nobody looked at the key meanwhile: the pod that granted the lease does not
/// count its term from the first look.
#[tokio::test(start_paused = true)]
async fn the_term_of_a_lease_of_this_pod_counts_from_its_grant() {
    let mut w = World::new();
    let (p, other) = (w.pod().await, w.pod().await);
    assert!(matches!(p.lease("k", 0).await, LeaseOutcome::Granted(..)));
    tokio::time::sleep(Duration::from_millis(10_050)).await;
    // Another pod does not know when it was granted.
    let waits = other.lease("k", 0).await;
    assert!(matches!(waits, LeaseOutcome::Busy(..)), "{waits:?}");
    let next = p.lease("k", 0).await;
    assert!(matches!(next, LeaseOutcome::Granted(..)), "{next:?}");
}
