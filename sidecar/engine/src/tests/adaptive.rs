//! Learned ttls in the engine: who is observed, what they get, and what survives.

use super::world::{Pod, World, hard, key, new};
use crate::explain::{Explain, Family, Giver};
use crate::key::NameHash;
use crate::policy::adaptive_ttl::AdaptiveTtl;
use crate::policy::{Policies, Policy};
use crate::request::*;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

fn policies(config: Option<AdaptiveTtl>) -> Policies {
    let policy = Policy {
        default_ttl: 100 * SECOND,
        adaptive_ttl: config.map(Arc::new),
        ..Policy::default()
    };
    Policies {
        default: policy.into(),
        ..Policies::default()
    }
}

fn config() -> Option<AdaptiveTtl> {
    Some(AdaptiveTtl {
        min: 2 * SECOND,
        max: 1000 * SECOND,
        stale_budget: 0.05,
        families: Vec::new(),
    })
}

async fn pod(w: &mut World) -> Pod {
    let p = w.pod().await;
    p.e.set_policies(policies(config()));
    p
}

/// Without a ttl.
fn silent(value: &str) -> NewEntry {
    NewEntry {
        ttl: None,
        ..new(value, 1)
    }
}

async fn set(p: &Pod, name: &str, value: &str) {
    p.set(name, silent(value), Ack::Log).await;
}

async fn family(p: &Pod, name: &str) -> Option<Family> {
    let (key, deadline) = (key(name), p.dl());
    p.e.explain(Explain { key, deadline }).await.unwrap().family
}

async fn life(p: &Pod, name: &str) -> (Duration, Giver) {
    let (key, deadline) = (key(name), p.dl());
    let told = p.e.explain(Explain { key, deadline }).await.unwrap();
    let life = told.l1.expect("it is in L1").life;
    (life.ttl, life.ttl_by)
}

async fn pass(seconds: u32) {
    tokio::time::sleep(seconds * SECOND).await;
}

/// Fast keys have another content every 10 s, slow ones the same.
async fn teach(p: &Pod, rounds: usize) {
    for round in 0..rounds {
        for n in 0..10 {
            set(p, &format!("fast:{n}"), &round.to_string()).await;
            set(p, &format!("slow:{n}"), "same").await;
        }
        pass(10).await;
    }
}

#[tokio::test(start_paused = true)]
async fn where_nothing_is_to_be_learned_nothing_is() {
    let mut w = World::new();
    let p = w.pod().await;
    teach(&p, 3).await;
    assert_eq!(family(&p, "fast:1").await, None);
    set(&p, "fast:1", "v").await;
    let default = crate::limits::TTL_DEFAULT;
    assert_eq!(life(&p, "fast:1").await, (default, Giver::Namespace));
    let counters = p.e.counters();
    assert_eq!((counters.seen_changed, counters.seen_unchanged), (0, 0));
    assert!(p.e.families().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_changes_often_lives_shorter_than_what_does_not() {
    let mut w = World::new();
    let p = pod(&mut w).await;
    set(&p, "fast:1", "first").await;
    assert_eq!(life(&p, "fast:1").await, (100 * SECOND, Giver::Adaptive));
    teach(&p, 20).await;
    set(&p, "fast:11", "v").await;
    set(&p, "slow:11", "v").await;
    let ((fast, by), (slow, _)) = (life(&p, "fast:11").await, life(&p, "slow:11").await);
    assert_eq!(by, Giver::Adaptive);
    assert!(
        fast < 10 * SECOND && slow > 60 * SECOND,
        "{fast:?} {slow:?}"
    );
    let told = family(&p, "fast:12").await.expect("it is learned");
    assert_eq!((&*told.template, told.configured), ("fast:*", false));
    let rate = told.changes_per_second;
    assert!((0.05..0.2).contains(&rate), "{told:?}");
    // What a writer says stands, and what is not found has its own.
    p.set("fast:1", new("v", 77_000), Ack::Log).await;
    assert_eq!(life(&p, "fast:1").await, (77 * SECOND, Giver::Writer));
    let payload = Payload::NotFound;
    p.set(
        "fast:1",
        NewEntry {
            payload,
            ..silent("")
        },
        Ack::Log,
    )
    .await;
    assert_eq!(life(&p, "fast:1").await.1, Giver::NegativeTtl);
}

#[tokio::test(start_paused = true)]
async fn an_invalidation_tells_when_a_load_brings_something_else() {
    let mut w = World::new();
    let p = pod(&mut w).await;
    for round in 0..30 {
        set(&p, "k:1", &round.to_string()).await;
        set(&p, "same:1", "same").await;
        pass(2).await;
        p.e.invalidate(hard(&p, "k:1")).await.unwrap();
        p.e.invalidate(hard(&p, "same:1")).await.unwrap();
        pass(98).await;
    }
    let k = family(&p, "k:2").await.expect("it is learned");
    // Each time after 2 s of 100.
    assert!((0.3..0.6).contains(&k.changes_per_second), "{k:?}");
    let same = family(&p, "same:2").await.expect("it is learned");
    assert!(
        same.changes_per_second < 0.001,
        "nothing had changed: {same:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn reads_are_counted_by_a_sample_of_the_hits() {
    let mut w = World::new();
    let p = pod(&mut w).await;
    for _ in 0..40 {
        set(&p, "k:1", "same").await;
        for _ in 0..100 {
            assert!(p.get("k:1", Level::Bounded).await.is_some());
        }
        pass(10).await;
    }
    let told = family(&p, "k:1").await.expect("it is learned");
    let reads = told.reads_per_second;
    assert!((9.0..11.5).contains(&reads), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_starts_knows_what_another_had_learned() {
    let mut w = World::new();
    let p = pod(&mut w).await;
    teach(&p, 20).await;
    let before = family(&p, "fast:1").await.expect("it is learned");
    p.e.leave(p.dl()).await;
    assert!(p.e.counters().learned_kept >= 1);
    let q = pod(&mut w).await;
    set(&q, "fast:99", "v").await;
    pass(10).await;
    let after = family(&q, "fast:1").await.expect("it is learned");
    assert!(
        (after.observations - before.observations).abs() < 12.0,
        "{after:?}"
    );
    assert_eq!(q.e.counters().learned_read, 1);
    set(&q, "fast:98", "v").await;
    assert!(life(&q, "fast:98").await.0 < 10 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn it_is_kept_once_a_minute_and_only_if_there_is_more() {
    let mut w = World::new();
    let p = pod(&mut w).await;
    teach(&p, 30).await;
    let kept = p.e.counters().learned_kept;
    assert!((3..=6).contains(&kept), "{kept} in five minutes");
    pass(300).await;
    let then = p.e.counters().learned_kept;
    assert!(then <= kept + 1);
    pass(300).await;
    assert_eq!(p.e.counters().learned_kept, then);
}

#[tokio::test(start_paused = true)]
async fn a_record_that_is_none_is_counted_and_replaced() {
    let mut w = World::new();
    let name = NameHash::of_learned(key("k").namespace());
    let p = w.pod().await;
    set(&p, "k", "v").await;
    w.mix_up_hash("k", name);
    p.e.set_policies(policies(config()));
    teach(&p, 10).await;
    let counters = p.e.counters();
    assert_eq!((counters.learned_unreadable, counters.learned_read), (1, 0));
    assert!(counters.learned_kept >= 1);
    assert!(family(&p, "fast:1").await.expect("it is learned").ttl < 10 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_tier_that_is_away_keeps_nobody_from_learning() {
    let mut w = World::new();
    let p = pod(&mut w).await;
    p.tier.1.store(true, SeqCst);
    teach(&p, 20).await;
    let told = family(&p, "fast:1").await.expect("it is learned");
    assert!(told.ttl < 10 * SECOND, "{told:?}");
    assert_eq!(p.e.counters().learned_kept, 0);
    p.tier.1.store(false, SeqCst);
    // It is not written over before it was read.
    teach(&p, 10).await;
    assert!(p.e.counters().learned_kept >= 1);
}

#[tokio::test(start_paused = true)]
async fn other_bounds_come_into_force_and_off_is_off() {
    let mut w = World::new();
    let p = pod(&mut w).await;
    teach(&p, 20).await;
    let longer = config().map(|config| AdaptiveTtl {
        min: 50 * SECOND,
        ..config
    });
    p.e.set_policies(policies(longer));
    pass(10).await;
    set(&p, "fast:1", "v").await;
    let (ttl, by) = life(&p, "fast:1").await;
    assert_eq!(by, Giver::Adaptive);
    assert!((50 * SECOND..60 * SECOND).contains(&ttl), "{ttl:?}");
    p.e.set_policies(policies(None));
    set(&p, "fast:1", "w").await;
    assert_eq!(life(&p, "fast:1").await, (100 * SECOND, Giver::Namespace));
    assert_eq!(family(&p, "fast:1").await, None);
}
