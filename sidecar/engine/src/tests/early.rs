//! Early refresh: who loads, and what the others go on reading.
//!
//! With these pods most draws are due, and who wants to load draws again.

use super::world::{Pod, World, hard, key, new};
use crate::policy::early::BETA_MAX;
use crate::policy::{Policies, Policy};
use crate::request::*;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

const TTL: u64 = 20_000;

async fn pod(w: &mut World) -> Pod {
    let p = w.pod().await;
    let policy = Policy {
        early_refresh: BETA_MAX,
        ..Policy::default()
    };
    p.e.set_policies(Policies {
        default: policy.into(),
        ..Policies::default()
    });
    p
}

async fn granted(p: &Pod) -> (LeaseToken, Option<Found>) {
    for _ in 0..50 {
        if let LeaseOutcome::Granted(token, _, found) = p.lease("k", 0).await {
            return (token, found);
        }
    }
    panic!("never due")
}

async fn fill(p: &Pod, token: LeaseToken, value: &str) -> FillOutcome {
    let entry = new(value, TTL);
    let deadline = p.dl();
    let fill = Fill {
        token,
        entry,
        deadline,
    };
    p.e.fill(fill).await.unwrap().result
}

/// Stores what took a second to load.
async fn loaded(p: &Pod) {
    let (token, _) = granted(p).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    fill(p, token, "old").await;
}

async fn reads(p: &Pod) -> Option<(String, Option<StaleReason>)> {
    p.get("k", Level::Bounded).await
}

fn fresh(value: &str) -> Option<(String, Option<StaleReason>)> {
    Some((value.to_owned(), None))
}

#[tokio::test(start_paused = true)]
async fn one_loads_what_all_others_go_on_reading() {
    let mut w = World::new();
    let (p, q) = (pod(&mut w).await, pod(&mut w).await);
    loaded(&p).await;
    let (token, found) = granted(&p).await;
    let found = found.expect("the entry comes with the grant");
    assert_eq!(
        (found.stale, found.load_time),
        (None, Some(Duration::from_secs(1)))
    );
    for other in [&p, &q] {
        assert_eq!(reads(other).await, fresh("old"));
        let beside = other.lease("k", 0).await;
        assert!(matches!(beside, LeaseOutcome::Hit(_)), "{beside:?}");
    }
    // One that never read it finds it inside the marker.
    assert_eq!(reads(&pod(&mut w).await).await, fresh("old"));
    assert!(matches!(
        fill(&p, token, "new").await,
        FillOutcome::Stored(_)
    ));
    assert_eq!(reads(&p).await, fresh("new"));
    assert_eq!(reads(&pod(&mut w).await).await, fresh("new"));
    assert_eq!(p.e.counters().early_refreshes, 1);
}

#[tokio::test(start_paused = true)]
async fn nobody_loads_early_what_was_not_asked_for() {
    let mut w = World::new();
    let (off, p) = (w.pod().await, pod(&mut w).await);
    loaded(&off).await;
    assert!(
        matches!(off.lease("k", 0).await, LeaseOutcome::Hit(_)),
        "off"
    );
    p.set("k", new("set", TTL), Ack::Log).await;
    assert!(
        matches!(p.lease("k", 0).await, LeaseOutcome::Hit(_)),
        "no load"
    );
}

#[tokio::test(start_paused = true)]
async fn a_load_that_fails_costs_nobody_the_entry() {
    let mut w = World::new();
    let p = pod(&mut w).await;
    loaded(&p).await;
    let (token, _) = granted(&p).await;
    let abandon = Abandon {
        token,
        serve_stale_for: None,
        retry_after: None,
        deadline: p.dl(),
    };
    p.e.abandon(abandon).await.unwrap();
    assert_eq!(reads(&p).await, fresh("old"));
    assert_eq!(reads(&pod(&mut w).await).await, fresh("old"));
    // The origin that failed has a second's rest.
    for _ in 0..20 {
        assert!(matches!(p.lease("k", 0).await, LeaseOutcome::Hit(_)));
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    granted(&p).await;
}

#[tokio::test(start_paused = true)]
async fn a_loader_that_died_is_followed_by_another_when_its_term_has_passed() {
    let mut w = World::new();
    let (p, q) = (pod(&mut w).await, pod(&mut w).await);
    loaded(&p).await;
    granted(&p).await;
    assert_eq!(reads(&q).await, fresh("old"));
    // Sees the marker when a draw is due, and counts its term from then on.
    for _ in 0..50 {
        assert!(matches!(q.lease("k", 0).await, LeaseOutcome::Hit(_)));
    }
    tokio::time::sleep(Duration::from_secs(11)).await;
    assert_eq!(reads(&q).await, fresh("old"));
    granted(&q).await;
}

#[tokio::test(start_paused = true)]
async fn what_was_invalidated_meanwhile_is_not_brought_back() {
    let mut w = World::new();
    let p = pod(&mut w).await;
    loaded(&p).await;
    let (token, _) = granted(&p).await;
    p.e.invalidate(hard(&p, "k")).await.unwrap();
    let filled = fill(&p, token, "read before").await;
    let voided = FillOutcome::Voided(Voided::Invalidated);
    assert_eq!(filled, voided);
    assert_eq!(reads(&p).await, None);
}

#[tokio::test(start_paused = true)]
async fn with_the_tier_away_there_is_the_hit() {
    let mut w = World::new();
    let p = pod(&mut w).await;
    loaded(&p).await;
    p.tier.1.store(true, SeqCst);
    assert!(matches!(p.lease("k", 0).await, LeaseOutcome::Hit(_)));
    p.e.evict(&key("k"));
}

#[tokio::test(start_paused = true)]
async fn what_expires_while_the_tier_is_asked_is_not_fresh() {
    let mut w = World::new();
    let p = pod(&mut w).await;
    loaded(&p).await;
    tokio::time::sleep(Duration::from_millis(TTL - 50)).await;
    assert_eq!(reads(&p).await, fresh("old"));
    p.tier.1.store(true, SeqCst);
    p.tier.3.store(10_000, SeqCst);
    let asked = p.tier.4.load(SeqCst);
    let outcome = p.lease("k", 0).await;
    assert!(p.tier.4.load(SeqCst) > asked, "it was due");
    assert!(
        matches!(outcome, LeaseOutcome::Granted(_, _, None)),
        "{outcome:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_marker_whose_put_was_not_answered_in_time_keeps_nobody_waiting() {
    let mut w = World::new();
    let p = pod(&mut w).await;
    loaded(&p).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    p.tier.5.store(10_000, SeqCst);
    let asked = p.tier.4.load(SeqCst);
    while p.tier.4.load(SeqCst) == asked {
        assert!(matches!(p.lease("k", 0).await, LeaseOutcome::Hit(_)));
    }
    p.tier.5.store(0, SeqCst);
    tokio::time::sleep(Duration::from_millis(TTL)).await;
    // Somebody who sees it for the first time now.
    let q = w.pod().await;
    let next = q.lease("k", 0).await;
    assert!(matches!(next, LeaseOutcome::Granted(..)), "{next:?}");
}
