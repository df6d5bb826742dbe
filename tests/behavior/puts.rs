//! Conditional puts and deletes.

use crate::key::{self, LONG, conflicts, put, reads, reads_nothing};
use crate::tier::World;
use bytes::Bytes;
use std::collections::HashSet;
use std::sync::Arc;
use unstale_engine::remote::{Expect, PutOutcome, Revision};

/// Puts at once.
const RIVALS: usize = 100;
/// States of one key in a row.
const STATES: usize = 100;

pub(crate) async fn what_is_absent_is_nothing(world: Arc<World>) {
    let pod = world.pod().await;
    assert_eq!(pod.remote.get(key::new()).await, Ok(None));
}

pub(crate) async fn a_put_if_absent_stores_once(world: Arc<World>) {
    let ([pod, other], key) = (world.pods().await, key::new());
    let revision = put(&*pod.remote, key, Expect::Absent, "first").await;
    conflicts(&*other.remote, key, Expect::Absent).await;
    reads(&world, &*other.remote, key, "first").await;
    let same = reads(&world, &*pod.remote, key, "first").await;
    assert_eq!(same, revision);
}

pub(crate) async fn a_put_on_a_revision_replaces_exactly_that_state(world: Arc<World>) {
    let ([pod, other], key) = (world.pods().await, key::new());
    let first = put(&*pod.remote, key, Expect::Absent, "first").await;
    let seen = reads(&world, &*other.remote, key, "first").await;
    put(&*other.remote, key, Expect::Revision(seen), "second").await;
    conflicts(&*pod.remote, key, Expect::Revision(first)).await;
    let second = reads(&world, &*pod.remote, key, "second").await;
    assert_ne!(first, second);
}

pub(crate) async fn a_put_on_a_revision_of_nothing_conflicts(world: Arc<World>) {
    let (pod, key) = (world.pod().await, key::new());
    let elsewhere = put(&*pod.remote, key::new(), Expect::Absent, "other").await;
    conflicts(&*pod.remote, key, Expect::Revision(elsewhere)).await;
    reads_nothing(&world, &*pod.remote, key).await;
}

pub(crate) async fn a_delete_removes_exactly_the_state_named(world: Arc<World>) {
    let ([pod, other], key) = (world.pods().await, key::new());
    let first = put(&*pod.remote, key, Expect::Absent, "first").await;
    let seen = reads(&world, &*other.remote, key, "first").await;
    other.remote.delete(key, seen).await.unwrap();
    reads_nothing(&world, &*pod.remote, key).await;
    let second = put(&*pod.remote, key, Expect::Absent, "second").await;
    assert_ne!(first, second);
}

pub(crate) async fn a_delete_of_another_state_does_nothing(world: Arc<World>) {
    let (pod, key) = (world.pod().await, key::new());
    let first = put(&*pod.remote, key, Expect::Absent, "first").await;
    let second = put(&*pod.remote, key, Expect::Revision(first), "second").await;
    pod.remote.delete(key, first).await.unwrap();
    let there = reads(&world, &*pod.remote, key, "second").await;
    assert_eq!(there, second);
    pod.remote.delete(key, second).await.unwrap();
    // Of nothing: no error either.
    pod.remote.delete(key, second).await.unwrap();
}

pub(crate) async fn a_revision_never_comes_back(world: Arc<World>) {
    let (pod, key) = (world.pod().await, key::new());
    let mut seen = HashSet::new();
    for state in 0..STATES {
        let revision = put(&*pod.remote, key, Expect::Absent, "the same").await;
        assert!(seen.insert(revision.0), "after {state} states");
        pod.remote.delete(key, revision).await.unwrap();
    }
    put(&*pod.remote, key, Expect::Absent, "the same").await;
    for old in seen {
        conflicts(&*pod.remote, key, Expect::Revision(Revision(old))).await;
    }
}

pub(crate) async fn of_100_puts_at_once_one_wins(world: Arc<World>) {
    let (pods, key) = (world.pods().await, key::new());
    let mut expect = [Expect::Absent; 2];
    for _ in 0..5 {
        let put = |rival: usize| {
            let record = Bytes::from(rival.to_string());
            let pod = rival % 2;
            pods[pod].remote.put(key, expect[pod], record, LONG)
        };
        let outcomes = futures::future::join_all((0..RIVALS).map(put)).await;
        let outcomes: Vec<_> = outcomes.into_iter().map(Result::unwrap).collect();
        let mut winner = None;
        for (rival, outcome) in outcomes.into_iter().enumerate() {
            if matches!(outcome, PutOutcome::Stored(_)) {
                assert_eq!(winner.replace(rival), None, "two winners");
            }
        }
        let record = winner.expect("a winner").to_string();
        for (pod, expect) in pods.iter().zip(&mut expect) {
            let seen = reads(&world, &*pod.remote, key, &record).await;
            *expect = Expect::Revision(seen);
        }
    }
}

pub(crate) async fn nothing_is_lost_between_puts_on_revisions(world: Arc<World>) {
    const TASKS: u64 = 8;
    const EACH: u64 = 20;
    let (pods, key) = (world.pods().await, key::new());
    put(&*pods[0].remote, key, Expect::Absent, "0").await;
    let count = |task: u64| {
        let remote = pods[task as usize % 2].remote.clone();
        tokio::spawn(async move {
            let mut done = 0;
            while done < EACH {
                let there = remote.get(key).await.unwrap().expect("it is there");
                let count: u64 = std::str::from_utf8(&there.record).unwrap().parse().unwrap();
                let (expect, next) = (Expect::Revision(there.revision), (count + 1).to_string());
                let put = remote.put(key, expect, next.into(), LONG).await.unwrap();
                done += u64::from(matches!(put, PutOutcome::Stored(_)));
            }
        })
    };
    let tasks: Vec<_> = (0..TASKS).map(count).collect();
    for task in tasks {
        task.await.unwrap();
    }
    let there = || async {
        let there = pods[1].remote.get(key).await.unwrap().expect("it is there");
        let all = there.record == (TASKS * EACH).to_string();
        all.then_some(()).ok_or(format!("{there:?}"))
    };
    unstale_tests::eventually("the last count", unstale_tests::PATIENCE, there).await;
}
