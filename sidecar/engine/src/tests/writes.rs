//! What writes that answered OK may suffer; each was broken once.

use super::world::{Pod, World, hard, key, new};
use crate::key::Namespace;
use crate::log::Sink as _;
use crate::request::*;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::Instant;

#[tokio::test(start_paused = true)]
async fn a_local_set_does_not_undo_a_later_set_of_the_same_client() {
    let mut w = World::new();
    let p = w.pod().await;
    p.set("k", new("old", 60_000), Ack::Local).await;
    p.set("k", new("new", 60_000), Ack::Log).await;
    assert_eq!(
        p.get("k", Level::Strong).await.unwrap().0,
        "new",
        "right after"
    );
    tokio::time::sleep(Duration::from_millis(100)).await;
    let later = p.get("k", Level::Strong).await;
    assert_ne!(later.map(|l| l.0).as_deref(), Some("old"));
}

#[tokio::test(start_paused = true)]
async fn local_sets_keep_their_order_through_an_outage() {
    let mut w = World::new();
    let p = w.pod().await;
    let mut wrong = 0;
    for i in 0..40 {
        let k = format!("k{i}");
        p.log.down.store(true, Ordering::SeqCst);
        p.set(&k, new("old", 60_000), Ack::Local).await;
        tokio::time::sleep(Duration::from_millis(3)).await;
        p.set(&k, new("new", 60_000), Ack::Local).await;
        tokio::time::sleep(Duration::from_millis(30)).await;
        p.log.down.store(false, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(250)).await;
        if p.get(&k, Level::Strong).await.is_some_and(|f| f.0 == "old") {
            wrong += 1;
        }
    }
    assert_eq!(
        wrong, 0,
        "of 40 keys hold the older of two LOCAL Sets that answered OK"
    );
}

#[tokio::test(start_paused = true)]
async fn a_local_set_that_answered_ok_is_not_undone_by_what_was_there_after_a_long_outage() {
    let mut w = World::new();
    let p = w.pod().await;
    p.set("k", new("old", 3_600_000), Ack::Log).await;
    p.log.down.store(true, Ordering::SeqCst);
    p.set("k", new("new", 3_600_000), Ack::Local).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    w.clk.1.fetch_add(95_000, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(300)).await;
    p.log.down.store(false, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(1500)).await;
    p.fresh().await;
    let got = p.get("k", Level::Strong).await;
    assert_ne!(got.map(|g| g.0).as_deref(), Some("old"));
}

#[tokio::test(start_paused = true)]
async fn a_refresh_that_shortens_the_life_reaches_other_pods() {
    let mut w = World::new();
    let (a, b) = (w.pod().await, w.pod().await);
    a.set("k", new("v", 3_600_000), Ack::Log).await;
    assert!(b.get("k", Level::Bounded).await.is_some());
    a.set(
        "k",
        NewEntry {
            valid_for: Some(Duration::from_millis(200)),
            ..new("v", 200)
        },
        Ack::Log,
    )
    .await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(a.get("k", Level::Bounded).await, None);
    assert_eq!(
        b.get("k", Level::Strong).await,
        None,
        "fresh on another pod after its valid_for"
    );
}

#[tokio::test(start_paused = true)]
async fn a_refresh_is_not_undone_by_a_write_or_cover_that_its_caller_had_seen() {
    let mut w = World::new();
    let (a, b) = (w.pod().await, w.pod().await);
    a.set("k", new("v", 3_600_000), Ack::Log).await;
    assert!(b.get("k", Level::Bounded).await.is_some());
    let mark = w.core.lock().unwrap().recs.len();
    b.log.deaf.store(true, Ordering::SeqCst); // b reads a little late
    let inv = Invalidate {
        namespace: Namespace::new("").unwrap(),
        keys: vec![],
        tags: vec![],
        prefixes: vec![],
        all: true,
        mode: Mode::Hard,
        min_source_version: None,
        ack: Ack::Log,
        id: None,
        reason: None,
        trace_id: None,
        deadline: a.dl(),
    };
    let at = a.e.invalidate(inv).await.unwrap().position.unwrap();
    let s = Set {
        key: key("k"),
        entry: new("v", 3_600_000),
        position: Some(at),
        if_absent: false,
        ack: Ack::Log,
        deadline: b.e.now().plus(Duration::from_millis(400)),
    };
    let t = {
        let e = b.e.clone();
        tokio::spawn(async move { e.set(s).await })
    };
    tokio::time::sleep(Duration::from_millis(100)).await;
    b.log.undeaf(mark);
    let out = t.await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    if let Ok(out) = &out
        && matches!(out.result, SetOutcome::Stored(_))
    {
        assert!(
            b.get("k", Level::Strong).await.is_some(),
            "stored {:?} with position {at}, and nowhere",
            out.result
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_refresh_after_a_degraded_set_is_linearizable() {
    let mut w = World::new();
    let (a, b) = (w.pod().await, w.pod().await);
    a.set("k", new("A", 3_600_000), Ack::Log).await;
    b.log.deaf.store(true, Ordering::SeqCst);
    let mark = w.core.lock().unwrap().recs.len();
    a.tier.1.store(true, Ordering::SeqCst);
    a.set("k", new("B", 3_600_000), Ack::Log).await; // OK, degraded
    a.tier.1.store(false, Ordering::SeqCst);
    let r = b.set("k", new("A", 3_600_000), Ack::Log).await; // begins after B was answered
    b.log.undeaf(mark);
    tokio::time::sleep(Duration::from_millis(50)).await;
    let got = a.get("k", Level::Strong).await;
    assert_ne!(
        got.map(|g| g.0).as_deref(),
        Some("B"),
        "{r:?} was answered after B"
    );
}

#[tokio::test(start_paused = true)]
async fn compare_and_set_absent_does_not_succeed_over_an_entry_that_cannot_be_judged_yet() {
    let mut w = World::new();
    let a = w.pod().await;
    let cas = |p: &Pod| {
        let c = CompareAndSet {
            key: key("lock"),
            expected: Expected::Absent,
            entry: new("mine", 3_600_000),
            ack: Ack::Log,
            deadline: p.dl(),
        };
        let e = p.e.clone();
        async move { e.compare_and_set(c).await }
    };
    assert!(matches!(
        cas(&a).await.unwrap().result,
        CasOutcome::Stored(_)
    ));
    w.core.lock().unwrap().holds_backfill = true;
    let b = w.pod().await; // still replaying
    let second = cas(&b).await;
    w.core.lock().unwrap().holds_backfill = false;
    assert!(
        !matches!(&second, Ok(a) if matches!(a.result, CasOutcome::Stored(_))),
        "{second:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_fleet_call_under_way_when_the_pod_leaves_is_answered() {
    let mut w = World::new();
    let p = w.pod().await;
    w.core.lock().unwrap().delay_ms = 200;
    let inv = Invalidate {
        ack: Ack::Fleet,
        deadline: p.e.now().plus(Duration::from_secs(20)),
        ..hard(&p, "k")
    };
    let e = p.e.clone();
    let t = tokio::spawn(async move { e.invalidate(inv).await });
    tokio::time::sleep(Duration::from_millis(50)).await;
    let began = Instant::now();
    p.e.leave(p.e.now().plus(Duration::from_secs(8))).await;
    let left = began.elapsed();
    let out = tokio::time::timeout(Duration::from_secs(22), t).await;
    assert!(left < Duration::from_secs(8), "left after {left:?}");
    let out = out.expect("it is answered long before its deadline");
    assert!(
        out.expect("no panic").is_ok(),
        "nobody else has to be waited for"
    );
}

#[tokio::test(start_paused = true)]
async fn an_invalidation_does_not_overtake_a_local_set_that_answered_ok() {
    let mut w = World::new();
    let p = w.pod().await;
    for all in [false, true] {
        p.set("k", new("old", 60_000), Ack::Local).await;
        let keys = if all { vec![] } else { vec![key("k")] };
        let invalidate = Invalidate {
            namespace: Namespace::new("").unwrap(),
            keys,
            tags: vec![],
            prefixes: vec![],
            all,
            mode: Mode::Hard,
            min_source_version: None,
            ack: Ack::Log,
            id: None,
            reason: None,
            trace_id: None,
            deadline: p.dl(),
        };
        p.e.invalidate(invalidate).await.unwrap();
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(p.get("k", Level::Strong).await, None, "all: {all}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_set_is_refused_if_a_cover_was_discarded_before_this_pod_read_it() {
    let mut w = World::new();
    let (p, q) = (w.pod().await, w.pod().await);
    let loading = q.e.get(Get::plain(key("k"), q.dl())).await.unwrap();
    q.log.deaf.store(true, Ordering::SeqCst);
    p.e.invalidate(hard(&p, "k")).await.unwrap();
    let discarded = {
        let mut log = w.core.lock().unwrap();
        log.discarded = log.recs.len() as u64;
        log.discarded
    };
    // Reading goes on behind the gap.
    q.log.undeaf(discarded as usize);
    let set = Set {
        key: key("k"),
        entry: new("from before", 60_000),
        position: Some(loading.position),
        if_absent: false,
        ack: Ack::Log,
        deadline: q.dl(),
    };
    let outcome = q.e.set(set).await.map(|answer| answer.result);
    let stored = matches!(outcome, Ok(SetOutcome::Stored(_)));
    assert!(!stored, "{outcome:?}");
    assert_eq!(p.get("k", Level::Bounded).await, None);
}

/// Found by a schedule of batches: the value had been answered at a position
/// above a gap that was not known yet, and set again at that position.
#[tokio::test(start_paused = true)]
async fn a_value_that_was_answered_over_a_gap_is_not_set_again() {
    let mut w = World::new();
    let (p, q) = (w.pod().await, w.pod().await);
    p.set("k", new("old", 60_000), Ack::Log).await;
    q.get("k", Level::Strong).await;
    q.log.deaf.store(true, Ordering::SeqCst);
    p.e.invalidate(hard(&p, "k")).await.unwrap();
    let discarded = {
        let mut log = w.core.lock().unwrap();
        log.discarded = log.recs.len() as u64;
        log.discarded
    };
    p.e.invalidate(hard(&p, "other")).await.unwrap();
    // Reading goes on behind the gap.
    q.log.undeaf(discarded as usize);
    tokio::task::yield_now().await;
    let answer = q.e.get(Get::plain(key("k"), q.dl())).await.unwrap();
    assert!(answer.result.found().is_some(), "nobody has asked yet");
    assert!(answer.position.sequence > discarded, "read on");
    // Somebody asks for that position, and so finds the gap.
    let asks = Get {
        min_position: Some(answer.position),
        ..Get::plain(key("other"), q.dl())
    };
    q.e.get(asks).await.ok();
    q.get("other", Level::Strong).await;
    let set = Set {
        key: key("k"),
        entry: new("of old", 60_000),
        position: Some(answer.position),
        if_absent: false,
        ack: Ack::Log,
        deadline: q.dl(),
    };
    let outcome = q.e.set(set).await.map(|answer| answer.result);
    let too_old = matches!(
        outcome,
        Ok(SetOutcome::NotStored(NotStored::PositionTooOld, _))
    );
    assert!(too_old, "{outcome:?}");
    assert_eq!(p.get("k", Level::Bounded).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_record_of_another_key_is_a_miss_and_the_tier_is_told() {
    let mut w = World::new();
    let writer = w.pod().await;
    writer.set("mine", new("mine", 60_000), Ack::Log).await;
    writer.set("other", new("other", 60_000), Ack::Log).await;
    w.mix_up("other", "mine");
    let reader = w.pod().await;
    assert_eq!(reader.get("mine", Level::Strong).await, None);
    assert_eq!(reader.tier.2.load(Ordering::SeqCst), 1);
    let counters = reader.e.counters();
    assert_eq!((counters.wrong_keys, counters.bad_records), (1, 1));
}

/// Two writes at once, after another pod's beats: the second must not wait for
/// the pod's own next beat.
#[tokio::test(start_paused = true)]
async fn two_sets_at_once_do_not_wait_for_a_beat() {
    let mut w = World::new();
    let (p, _q) = (w.pod().await, w.pod().await);
    let mut worst = Duration::ZERO;
    for round in 0..20u32 {
        tokio::time::sleep(Duration::from_millis(1700)).await;
        let read = p.e.get(Get::plain(key("a"), p.dl())).await.unwrap();
        let set = |k: &str, position| Set {
            key: key(k),
            entry: new(&format!("v{round}"), 60_000),
            position: Some(position),
            if_absent: false,
            ack: Ack::Log,
            deadline: p.dl(),
        };
        let begin = tokio::time::Instant::now();
        let (x, y) = tokio::join!(
            p.e.set(set("a", read.position)),
            p.e.set(set("b", read.position))
        );
        let took = begin.elapsed();
        assert!(x.is_ok() && y.is_ok(), "round {round}: {x:?} {y:?}");
        worst = worst.max(took);
    }
    assert!(worst < Duration::from_millis(200), "worst {worst:?}");
}

#[tokio::test(start_paused = true)]
async fn a_set_over_a_discarded_cover_is_refused_when_the_log_is_opened_again_first() {
    let mut w = World::new();
    let (p, q) = (w.pod().await, w.pod().await);
    let loading = q.e.get(Get::plain(key("k"), q.dl())).await.unwrap();
    q.log.deaf.store(true, Ordering::SeqCst);
    p.get("k", Level::Strong).await;
    p.e.invalidate(hard(&p, "k")).await.unwrap();
    let discarded = {
        let mut log = w.core.lock().unwrap();
        log.discarded = log.recs.len() as u64;
        log.holds_first = true;
        log.discarded
    };
    // Reading goes on behind the gap; nobody has answered yet that it is one.
    q.log.undeaf(discarded as usize);
    let set = Set {
        key: key("k"),
        entry: new("from before", 60_000),
        position: Some(loading.position),
        if_absent: false,
        ack: Ack::Log,
        deadline: q.dl(),
    };
    let engine = q.e.clone();
    let call = tokio::spawn(async move { engine.set(set).await.map(|answer| answer.result) });
    tokio::time::sleep(Duration::from_millis(50)).await;
    // The connection breaks; when it is back the log has gone on past the anchor.
    let sink = q.log.sink.lock().unwrap().clone().unwrap();
    q.log.deaf.store(true, Ordering::SeqCst);
    sink.event(crate::log::Event::Lost("away".into()));
    for _ in 0..3 {
        p.e.invalidate(hard(&p, "other")).await.unwrap();
    }
    {
        let mut log = w.core.lock().unwrap();
        log.discarded = log.recs.len() as u64 - 1;
        log.holds_first = false;
    }
    q.log.deaf.store(false, Ordering::SeqCst);
    let opened = q.log.opened();
    sink.event(opened);
    let outcome = call.await.unwrap();
    let seen = p.get("k", Level::Strong).await;
    assert_eq!(seen, None, "{outcome:?}");
}
