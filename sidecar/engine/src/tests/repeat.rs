//! Own records whose proposal a log of replicas lost while it goes on calling
//! them under way: what they cover does not stay out of the cache for that,
//! whether or not the first comes through later.

use super::world::{Pod, World, hard, key, new};
use crate::coherence::record::{Body, Record};
use crate::error::Error;
use crate::request::*;
use std::time::Duration;
use tokio::time::sleep;

/// How many invalidations and how many writes the log has.
fn logged(w: &World) -> (usize, usize) {
    let core = w.core.lock().unwrap();
    let bodies = core.recs.iter();
    let bodies = bodies.map(|record| Record::decode(&record.payload).unwrap().body);
    bodies.fold((0, 0), |(invalidations, writes), body| match body {
        Body::Invalidate(_) => (invalidations + 1, writes),
        Body::Write(_) => (invalidations, writes + 1),
        _ => (invalidations, writes),
    })
}

/// Two pods that have the value; the log loses so many of what comes next.
async fn losing(loses: u64) -> (World, [Pod; 2]) {
    let mut w = World::new();
    let (a, b) = (w.pod().await, w.pod().await);
    a.set("k", new("old", 60_000), Ack::Log).await;
    assert!(b.get("k", Level::Bounded).await.is_some());
    w.core.lock().unwrap().loses = loses;
    (w, [a, b])
}

async fn is(pods: &[Pod], value: &str) {
    for pod in pods {
        let got = pod.get("k", Level::Strong).await;
        assert_eq!(got.map(|got| got.0).as_deref(), Some(value));
    }
}

#[tokio::test(start_paused = true)]
async fn an_invalidation_that_the_log_lost_is_answered_all_the_same() {
    for ack in [Ack::Log, Ack::Fleet] {
        let (w, [a, b]) = losing(1).await;
        let what = Invalidate {
            ack,
            ..hard(&a, "k")
        };
        let done = a.e.invalidate(what).await.unwrap();
        b.reached(done.position.unwrap().sequence).await;
        assert_eq!(b.get("k", Level::Bounded).await, None);
        assert_eq!(logged(&w), (1, 1));
        // Nothing of the first is left.
        a.set("k", new("new", 60_000), Ack::Log).await;
        is(&[a, b], "new").await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_may_come_through_before_or_after_what_took_its_place() {
    for after in [1_000, 6_000] {
        let (w, [a, b]) = losing(1).await;
        let what = Invalidate {
            ack: Ack::Local,
            ..hard(&a, "k")
        };
        a.e.invalidate(what).await.unwrap();
        sleep(Duration::from_millis(after)).await;
        a.log.comes_through();
        sleep(Duration::from_secs(6)).await;
        assert_eq!(logged(&w).0, 1 + usize::from(after > 2_000));
        b.set("k", new("new", 60_000), Ack::Log).await;
        is(&[a, b], "new").await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_decides_if_it_comes_through_while_another_is_lost_too() {
    let (w, [a, _b]) = losing(2).await;
    let call = a.e.invalidate(hard(&a, "k"));
    let through = async {
        sleep(Duration::from_millis(3_500)).await;
        assert_eq!(w.core.lock().unwrap().held.len(), 2, "both are under way");
        // Only the first.
        w.core.lock().unwrap().held.truncate(1);
        a.log.comes_through();
    };
    let (done, ()) = tokio::join!(call, through);
    done.unwrap();
    assert_eq!(logged(&w), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_repeat_of_the_caller_with_the_same_id_is_answered() {
    let (w, [a, b]) = losing(1).await;
    let what = |deadline| Invalidate {
        id: Some("mine".to_owned()),
        deadline,
        ..hard(&a, "k")
    };
    let hurried = what(a.e.now().plus(Duration::from_millis(300)));
    let outcome = a.e.invalidate(hurried).await;
    assert!(
        matches!(outcome, Err(Error::DeadlineExceeded)),
        "{outcome:?}"
    );
    a.e.invalidate(what(a.dl())).await.unwrap();
    sleep(Duration::from_secs(6)).await;
    a.e.invalidate(what(a.dl())).await.unwrap();
    assert!((1..=3).contains(&logged(&w).0));
    b.set("k", new("new", 60_000), Ack::Log).await;
    is(&[a, b], "new").await;
}

#[tokio::test(start_paused = true)]
async fn a_write_that_the_log_lost_leaves_neither_the_old_value_nor_a_hole() {
    let (w, [a, b]) = losing(1).await;
    a.set("k", new("lost", 60_000), Ack::Local).await;
    sleep(Duration::from_secs(4)).await;
    assert_eq!(logged(&w), (1, 1));
    assert_eq!(a.e.meter.read().locals_dropped, 1);
    for pod in [&a, &b] {
        assert_eq!(pod.get("k", Level::Strong).await, None);
    }
    b.set("k", new("new", 60_000), Ack::Log).await;
    is(&[a, b], "new").await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_write_that_comes_through_covers_and_stores_nothing() {
    let (w, [a, b]) = losing(1).await;
    a.set("k", new("lost", 60_000), Ack::Local).await;
    sleep(Duration::from_secs(4)).await;
    b.set("k", new("new", 60_000), Ack::Log).await;
    a.log.comes_through();
    sleep(Duration::from_secs(1)).await;
    assert_eq!(logged(&w), (1, 3));
    for pod in [&a, &b] {
        let got = pod.get("k", Level::Strong).await;
        assert_ne!(got.map(|got| got.0).as_deref(), Some("lost"));
    }
    b.set("k", new("newest", 60_000), Ack::Log).await;
    is(&[a, b], "newest").await;
}

#[tokio::test(start_paused = true)]
async fn what_takes_a_writes_place_knows_its_source_version() {
    let (_w, [a, b]) = losing(1).await;
    let seventh = NewEntry {
        source_version: Some(7),
        ..new("7", 60_000)
    };
    a.set("k", seventh, Ack::Local).await;
    sleep(Duration::from_secs(4)).await;
    // A loader whose origin lags.
    let LeaseOutcome::Granted(token, ..) = b.lease("k", 0).await else {
        panic!("nothing is cached");
    };
    let fifth = NewEntry {
        source_version: Some(5),
        ..new("5", 60_000)
    };
    let fill = Fill {
        token,
        entry: fifth,
        deadline: b.dl(),
    };
    let filled = b.e.fill(fill).await.unwrap().result;
    let voided = FillOutcome::Voided(Voided::OlderSourceVersion(7));
    assert_eq!(filled, voided, "{}", key("k").name());
}
