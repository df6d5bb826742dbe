//! Own records whose proposal a log of replicas lost while it goes on calling
//! them under way: what they cover does not stay out of the cache for that.

use super::world::{World, hard, new};
use crate::coherence::record::{Body, Record};
use crate::request::*;
use std::time::Duration;

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

#[tokio::test(start_paused = true)]
async fn an_invalidation_that_the_log_lost_is_answered_all_the_same() {
    let mut w = World::new();
    let (a, b) = (w.pod().await, w.pod().await);
    a.set("k", new("old", 60_000), Ack::Log).await;
    assert!(b.get("k", Level::Bounded).await.is_some());
    w.core.lock().unwrap().loses = 1;
    let done = a.e.invalidate(hard(&a, "k")).await.unwrap();
    b.reached(done.position.unwrap().sequence).await;
    assert_eq!(b.get("k", Level::Bounded).await, None);
    assert_eq!(logged(&w), (1, 1));
    // Nothing of the first is left.
    a.set("k", new("new", 60_000), Ack::Log).await;
    assert_eq!(a.get("k", Level::Bounded).await.unwrap().0, "new");
    assert_eq!(b.get("k", Level::Strong).await.unwrap().0, "new");
}

#[tokio::test(start_paused = true)]
async fn an_invalidation_that_the_log_lost_twice_is_answered_when_it_is_in() {
    let mut w = World::new();
    let p = w.pod().await;
    w.core.lock().unwrap().loses = 2;
    let what = Invalidate {
        ack: Ack::Local,
        ..hard(&p, "k")
    };
    p.e.invalidate(what).await.unwrap();
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(logged(&w), (1, 0));
    p.set("k", new("new", 60_000), Ack::Log).await;
    assert_eq!(p.get("k", Level::Bounded).await.unwrap().0, "new");
}

#[tokio::test(start_paused = true)]
async fn a_write_that_the_log_lost_leaves_neither_the_old_value_nor_a_hole() {
    let mut w = World::new();
    let (a, b) = (w.pod().await, w.pod().await);
    a.set("k", new("old", 60_000), Ack::Log).await;
    assert!(b.get("k", Level::Bounded).await.is_some());
    w.core.lock().unwrap().loses = 1;
    a.set("k", new("lost", 60_000), Ack::Local).await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    // It may come after what took its place: that goes behind it.
    assert_eq!(logged(&w), (1, 1));
    for pod in [&a, &b] {
        assert_eq!(pod.get("k", Level::Strong).await, None);
    }
    b.set("k", new("new", 60_000), Ack::Log).await;
    assert_eq!(a.get("k", Level::Strong).await.unwrap().0, "new");
}
