//! Explain: what is held, what decides it, who asked; and that asking changes
//! nothing.

use super::world::*;
use crate::coherence::Freshness;
use crate::explain::*;
use crate::key::*;
use crate::request::*;
use std::sync::atomic::Ordering;
use std::time::Duration;

const TRACE: u128 = 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736;

async fn explain(pod: &Pod, name: &str) -> Explanation {
    let explain = Explain {
        key: key(name),
        deadline: pod.dl(),
    };
    pod.e.explain(explain).await.unwrap()
}

fn tag(text: &str) -> Tag {
    Tag::new(text).unwrap()
}

#[track_caller]
fn entry(told: &Explanation) -> &Held {
    match &told.remote {
        Ok(InTier::Entry(held)) => held,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn leased(told: &Explanation) -> &Leased {
    match &told.remote {
        Ok(InTier::Lease(leased)) => leased,
        other => panic!("{other:?}"),
    }
}

/// What decides how the entry in the remote tier is judged.
#[track_caller]
fn decided(told: &Explanation) -> (Freshness, Decider) {
    let Judgement { freshness, decider } = entry(told).judgement.clone();
    (freshness, decider)
}

fn floor(cover: Cover, hard: u64, soft: u64) -> Decider {
    Decider::Floor(Floor { cover, hard, soft })
}

async fn invalidate(pod: &Pod, what: Invalidate) -> u64 {
    let done = pod.e.invalidate(what).await.unwrap();
    done.position.unwrap().sequence
}

#[tokio::test(start_paused = true)]
async fn an_entry_is_where_it_is_and_its_life_has_its_reasons() {
    let mut w = World::new();
    let (a, b) = (w.pod().await, w.pod().await);
    let stored = NewEntry {
        ttl: None,
        stale_for: Some(Duration::from_secs(7)),
        tags: vec![tag("red")],
        source_version: Some(3),
        ..new("value", 0)
    };
    a.set("k", stored, Ack::Log).await;
    let told = explain(&a, "k").await;
    let held = told.l1.as_ref().expect("L1 holds what was written here");
    assert_eq!(held.judgement.freshness, Freshness::Fresh);
    assert_eq!(held.judgement.decider, Decider::Nothing);
    assert_eq!((held.value_bytes, held.source_version), (5, Some(3)));
    assert_eq!(&held.tags[..], [tag("red")]);
    let life = &held.life;
    let ttl = crate::limits::TTL_DEFAULT;
    assert_eq!((life.ttl, life.given), (ttl, Some(ttl)));
    assert_eq!(
        (life.ttl_by, life.stale_for_by),
        (Giver::Namespace, Giver::Writer)
    );
    assert_eq!(life.stale_for, Duration::from_secs(7));
    assert_eq!((life.jitter, life.valid_for), (Duration::ZERO, None));
    let there = entry(&told);
    assert_eq!((&there.version, &there.life), (&held.version, &held.life));
    // The other pod has it in the remote tier only.
    let told = explain(&b, "k").await;
    assert!(told.l1.is_none());
    assert_eq!(entry(&told).judgement.freshness, Freshness::Fresh);
}

#[tokio::test(start_paused = true)]
async fn asking_changes_nothing() {
    let mut w = World::new();
    let (a, b) = (w.pod().await, w.pod().await);
    a.set("k", new("v", 60_000), Ack::Log).await;
    let before = format!("{:?}", b.e.counters());
    let records = w.core.lock().unwrap().recs.len();
    for name in ["k", "never"] {
        for _ in 0..3 {
            let told = explain(&b, name).await;
            assert!(told.l1.is_none(), "L1 is not filled");
        }
    }
    assert_eq!(format!("{:?}", b.e.counters()), before);
    assert_eq!(w.core.lock().unwrap().recs.len(), records);
    // A term that nobody waits for yet begins with no explanation.
    let LeaseOutcome::Granted { .. } = a.lease("load", 0).await else {
        panic!("nobody else loads it")
    };
    for _ in 0..2 {
        let told = explain(&b, "load").await;
        let lease = leased(&told);
        assert_eq!((lease.own, lease.left), (false, Duration::from_secs(10)));
        assert_eq!(lease.judgement.freshness, Freshness::Fresh);
        w.clk.1.fetch_add(1_000, Ordering::SeqCst);
    }
    let told = explain(&a, "load").await;
    assert!(leased(&told).own, "it was granted there");
    assert!(leased(&told).left < Duration::from_secs(10));
}

#[tokio::test(start_paused = true)]
async fn a_key_that_was_never_there_has_nothing_and_no_floor_of_its_own() {
    let mut w = World::new();
    let a = w.pod().await;
    invalidate(&a, hard(&a, "other")).await;
    let told = explain(&a, "k:1").await;
    assert!(told.l1.is_none() && told.local_lease.is_none());
    assert!(matches!(told.remote, Ok(InTier::Nothing)));
    let mut named = told.floors.iter().filter(|floor| floor.cover.is_of_names());
    assert_eq!(named.next(), None);
    assert_eq!(told.changes, []);
    assert_eq!(told.state, SessionState::Fresh);
}

#[tokio::test(start_paused = true)]
async fn the_floor_that_decides_is_named_and_who_raised_it() {
    let mut w = World::new();
    let (a, b) = (w.pod().await, w.pod().await);
    let stored = NewEntry {
        tags: vec![tag("red"), tag("blue")],
        ..new("v", 60_000)
    };
    a.set("k:1", stored, Ack::Log).await;
    let soft = Invalidate {
        keys: vec![],
        prefixes: vec![Prefix::new("k:").unwrap()],
        mode: Mode::Soft,
        ..hard(&a, "k:1")
    };
    let softened = invalidate(&a, soft).await;
    let by_prefix = floor(Cover::Prefix("k:".into()), 0, softened);
    b.reached(softened).await;
    let told = explain(&b, "k:1").await;
    let stale = Freshness::Stale(StaleReason::SoftInvalidated);
    assert_eq!(decided(&told), (stale, by_prefix));
    let gone = Invalidate {
        keys: vec![],
        tags: vec![tag("red")],
        reason: Some("repainted".into()),
        trace_id: Some(TRACE),
        ..hard(&a, "k:1")
    };
    let gone = invalidate(&a, gone).await;
    b.reached(gone).await;
    let told = explain(&b, "k:1").await;
    let by_tag = floor(Cover::Tag(tag("red")), gone, 0);
    assert_eq!(decided(&told), (Freshness::Dead, by_tag));
    let [last, before, write] = &told.changes[..] else {
        panic!("{:?}", told.changes)
    };
    assert_eq!((last.sequence, last.mode), (gone, Mode::Hard));
    assert_eq!(last.touches, [Cover::Tag(tag("red"))]);
    assert_eq!(last.origin, a.e.status().session);
    assert_eq!(last.reason.as_deref(), Some("repainted"));
    assert_eq!(last.trace_id, Some(TRACE));
    assert_eq!((before.sequence, before.mode), (softened, Mode::Soft));
    assert!(write.write && write.origin == a.e.status().session);
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_came_later_knows_from_the_log_who_asked() {
    let mut w = World::new();
    let a = w.pod().await;
    a.set("k", new("v", 60_000), Ack::Log).await;
    let why = Invalidate {
        reason: Some("sold".into()),
        trace_id: Some(TRACE),
        ..hard(&a, "k")
    };
    let gone = invalidate(&a, why).await;
    let late = w.pod().await;
    let told = explain(&late, "k").await;
    let changes = told.changes.iter();
    let changes: Vec<_> = changes
        .map(|c| (c.sequence, c.reason.as_deref(), c.trace_id))
        .collect();
    let [last, write] = changes[..] else {
        panic!("{changes:?}")
    };
    assert_eq!(last, (gone, Some("sold"), Some(TRACE)));
    assert!(write.0 < gone && told.changes[1].write);
}

#[tokio::test(start_paused = true)]
async fn what_ended_by_itself_names_its_ttl_or_its_end() {
    let mut w = World::new();
    let a = w.pod().await;
    let stored = NewEntry {
        stale_for: Some(Duration::from_secs(60)),
        valid_for: Some(Duration::from_secs(3_600)),
        ..new("v", 1_000)
    };
    a.set("k", stored, Ack::Log).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let told = explain(&a, "k").await;
    let expired = Freshness::Stale(StaleReason::Expired);
    assert_eq!(decided(&told), (expired, Decider::Ttl));
    let life = &entry(&told).life;
    assert_eq!(
        (life.ttl_left, life.valid_for),
        (Duration::ZERO, Some(Duration::from_secs(3_600)))
    );
    assert!(life.stale_left > Duration::from_secs(50));
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(
        decided(&explain(&a, "k").await),
        (Freshness::Dead, Decider::End)
    );
}

#[tokio::test(start_paused = true)]
async fn what_this_pod_has_begun_is_under_way_until_the_log_has_it() {
    let mut w = World::new();
    let a = w.pod().await;
    a.set("k", new("v", 60_000), Ack::Log).await;
    a.log.down.store(true, Ordering::SeqCst);
    let here = Invalidate {
        ack: Ack::Local,
        ..hard(&a, "k")
    };
    a.e.invalidate(here).await.unwrap();
    let told = explain(&a, "k").await;
    assert_eq!(decided(&told), (Freshness::Pending, Decider::UnderWay));
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_not_fresh_and_a_tier_that_is_away_are_answers() {
    let mut w = World::new();
    let a = w.pod().await;
    a.set("k", new("v", 600_000), Ack::Log).await;
    a.log.down.store(true, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_secs(20)).await;
    let told = explain(&a, "k").await;
    assert_eq!(told.state, SessionState::Lapsed);
    let lapsed = Freshness::Stale(StaleReason::SessionNotFresh);
    assert_eq!(decided(&told), (lapsed, Decider::Session));
    a.tier.1.store(true, Ordering::SeqCst);
    let told = explain(&a, "k").await;
    assert!(told.remote.is_err(), "{:?}", told.remote);
    let held = told.l1.expect("L1 is here");
    assert_eq!(held.judgement.freshness, lapsed);
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_lags_is_told_by_its_source_version() {
    let mut w = World::new();
    let a = w.pod().await;
    let least = Invalidate {
        min_source_version: Some(7),
        ..hard(&a, "k")
    };
    let at = invalidate(&a, least).await;
    let told = explain(&a, "k").await;
    let wanted = Floor {
        cover: Cover::SourceVersion(7),
        hard: at,
        soft: 0,
    };
    assert!(told.floors.contains(&wanted), "{:?}", told.floors);
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_was_covered_is_dead_and_another_keys_record_is_unreadable() {
    let mut w = World::new();
    let a = w.pod().await;
    let LeaseOutcome::Granted { .. } = a.lease("k", 0).await else {
        panic!("nobody else loads it")
    };
    let all = Invalidate {
        keys: vec![],
        all: true,
        ..hard(&a, "k")
    };
    let at = invalidate(&a, all).await;
    let told = explain(&a, "k").await;
    let judged = leased(&told).judgement.clone();
    assert_eq!(judged.freshness, Freshness::Dead);
    assert_eq!(judged.decider, floor(Cover::Namespace, at, 0));
    a.set("one", new("v", 60_000), Ack::Log).await;
    w.mix_up("one", "two");
    let told = explain(&a, "two").await;
    assert!(matches!(told.remote, Ok(InTier::Unreadable)));
}

#[tokio::test(start_paused = true)]
async fn a_lease_without_the_tier_is_told_by_its_pod() {
    let mut w = World::new();
    let a = w.pod().await;
    a.tier.1.store(true, Ordering::SeqCst);
    let LeaseOutcome::Granted { .. } = a.lease("k", 0).await else {
        panic!("nobody else loads it")
    };
    let told = explain(&a, "k").await;
    let left = told.local_lease.expect("only this pod knows of it");
    assert!(left <= Duration::from_secs(10));
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_has_passed_is_refused() {
    let mut w = World::new();
    let p = w.pod().await;
    let explain = Explain {
        key: key("k"),
        deadline: p.e.now(),
    };
    let refused = p.e.explain(explain).await.map(|_| ());
    assert_eq!(refused.unwrap_err(), crate::Error::DeadlineExceeded);
}
