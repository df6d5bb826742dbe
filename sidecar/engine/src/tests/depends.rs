//! Entries that depend on others: with what they fall, and what is not stored.

use super::world::{Pod, World, hard, key, new};
use crate::explain::Explain;
use crate::key::{Prefix, Tag};
use crate::limits;
use crate::request::*;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

const TTL: u64 = 600_000;

fn named(on: &[(&str, Option<&str>)]) -> DependsOn {
    let each = on.iter().map(|(name, version)| Dependency {
        key: key(name),
        version: version.map(str::to_owned),
    });
    DependsOn::Named(each.collect())
}

fn on(names: &[&str]) -> NewEntry {
    let each: Vec<_> = names.iter().map(|name| (*name, None)).collect();
    NewEntry {
        depends_on: named(&each),
        ..new("v", TTL)
    }
}

fn tagged(tag: &str) -> NewEntry {
    NewEntry {
        tags: vec![Tag::new(tag).unwrap()],
        ..new("v", TTL)
    }
}

fn stored(outcome: SetOutcome) -> String {
    match outcome {
        SetOutcome::Stored(Some(version)) => version,
        other => panic!("not stored: {other:?}"),
    }
}

fn refused(outcome: SetOutcome) -> NotStored {
    match outcome {
        SetOutcome::NotStored(why, _) => why,
        other => panic!("stored: {other:?}"),
    }
}

async fn set(p: &Pod, name: &str, entry: NewEntry) -> SetOutcome {
    p.set(name, entry, Ack::Log).await.result
}

async fn is_there(p: &Pod, name: &str) -> bool {
    p.get(name, Level::Bounded).await.is_some()
}

async fn granted(p: &Pod, name: &str) -> LeaseToken {
    match p.lease(name, 0).await {
        LeaseOutcome::Granted(token, ..) => token,
        other => panic!("not granted: {other:?}"),
    }
}

async fn fill(p: &Pod, token: LeaseToken, entry: NewEntry) -> FillOutcome {
    let deadline = p.dl();
    let fill = Fill {
        token,
        entry,
        deadline,
    };
    p.e.fill(fill).await.unwrap().result
}

async fn gone(p: &Pod, what: Invalidate) {
    p.e.invalidate(what).await.unwrap();
}

/// Every cover of what is depended on, directly and through another.
#[tokio::test(start_paused = true)]
async fn an_entry_falls_with_whatever_its_dependencies_fall_with_on_every_pod() {
    let mut w = World::new();
    let (p, q) = (w.pod().await, w.pod().await);
    let none = |p: &Pod| Invalidate {
        keys: vec![],
        ..hard(p, "x")
    };
    let covers: [fn(&mut Invalidate); 6] = [
        |what| what.keys = vec![key("b")],
        |what| what.keys = vec![key("c:1")],
        |what| what.tags = vec![Tag::new("red").unwrap()],
        |what| what.prefixes = vec![Prefix::new("c:").unwrap()],
        |what| what.prefixes = vec![Prefix::new("c").unwrap()],
        |what| what.all = true,
    ];
    for cover in covers {
        stored(set(&p, "c:1", tagged("red")).await);
        stored(set(&p, "b", on(&["c:1"])).await);
        stored(set(&p, "a", on(&["b"])).await);
        let token = granted(&p, "loaded").await;
        assert!(matches!(
            fill(&p, token, on(&["b"])).await,
            FillOutcome::Stored(_)
        ));
        q.reached(p.e.status().position.sequence).await;
        assert!(is_there(&p, "a").await && is_there(&p, "loaded").await);
        assert!(is_there(&q, "a").await, "what only the tier has");
        let mut what = none(&p);
        cover(&mut what);
        let others = hard(&p, "other");
        gone(&p, others).await;
        assert!(is_there(&p, "a").await);
        gone(&p, what).await;
        q.reached(p.e.status().position.sequence).await;
        for pod in [&p, &q] {
            assert!(!is_there(pod, "a").await && !is_there(pod, "loaded").await);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_soft_cover_makes_what_depends_on_it_stale() {
    let mut w = World::new();
    let p = w.pod().await;
    stored(set(&p, "a", on(&["b"])).await);
    let soft = Invalidate {
        mode: Mode::Soft,
        ..hard(&p, "b")
    };
    gone(&p, soft).await;
    let (_, stale) = p.get("a", Level::StaleOk).await.unwrap();
    assert_eq!(stale, Some(StaleReason::SoftInvalidated));
}

#[tokio::test(start_paused = true)]
async fn with_a_version_an_entry_is_stored_only_over_exactly_that_and_fresh() {
    let mut w = World::new();
    let p = w.pod().await;
    let over = |version: &str| NewEntry {
        depends_on: named(&[("b", Some(version))]),
        ..new("v", TTL)
    };
    let old = stored(set(&p, "b", new("old", TTL)).await);
    stored(set(&p, "a", over(&old)).await);
    let new_one = stored(set(&p, "b", new("new", TTL)).await);
    assert_eq!(
        refused(set(&p, "a", over(&old)).await),
        NotStored::DependencyChanged
    );
    let token = granted(&p, "loaded").await;
    let voided = fill(&p, token, over(&old)).await;
    assert_eq!(voided, FillOutcome::Voided(Voided::DependencyChanged));
    // The lease went back: the next caller loads.
    let token = granted(&p, "loaded").await;
    assert!(matches!(
        fill(&p, token, over(&new_one)).await,
        FillOutcome::Stored(_)
    ));
    let soft = Invalidate {
        mode: Mode::Soft,
        ..hard(&p, "b")
    };
    gone(&p, soft).await;
    assert_eq!(
        refused(set(&p, "a", over(&new_one)).await),
        NotStored::DependencyChanged
    );
    let missing = set(
        &p,
        "a",
        NewEntry {
            depends_on: named(&[("never", Some("w1-5"))]),
            ..new("v", TTL)
        },
    );
    assert_eq!(refused(missing.await), NotStored::DependencyChanged);
}

/// Read through a pod that had processed less than the one that granted.
#[tokio::test(start_paused = true)]
async fn a_version_read_on_a_pod_that_lags_is_not_believed_by_one_that_does_not() {
    let mut w = World::new();
    let (p, q) = (w.pod().await, w.pod().await);
    let version = stored(set(&p, "b", new("old", TTL)).await);
    q.reached(p.e.status().position.sequence).await;
    assert!(is_there(&q, "b").await);
    q.log.deaf.store(true, SeqCst);
    let from = w.core.lock().unwrap().recs.len();
    gone(&p, hard(&p, "b")).await;
    let token = granted(&p, "a").await;
    assert!(is_there(&q, "b").await, "within D it may be served");
    let entry = NewEntry {
        depends_on: named(&[("b", Some(&version))]),
        ..new("made of it", TTL)
    };
    let filled = fill(&p, token, entry).await;
    assert_eq!(filled, FillOutcome::Voided(Voided::DependencyChanged));
    q.log.undeaf(from);
}

/// Between the look and the record of the write somebody covers what was seen.
#[tokio::test(start_paused = true)]
async fn a_set_is_refused_when_what_it_depends_on_is_covered_before_its_own_record() {
    let mut w = World::new();
    let (p, q) = (w.pod().await, w.pod().await);
    stored(set(&p, "b", new("v", TTL)).await);
    q.reached(p.e.status().position.sequence).await;
    p.log.deaf.store(true, SeqCst);
    let from = w.core.lock().unwrap().recs.len();
    gone(&q, hard(&q, "b")).await;
    let writer = Arc::clone(&p.e);
    let deadline = p.dl();
    let set = tokio::spawn(async move {
        let set = Set {
            key: key("a"),
            entry: on(&["b"]),
            position: None,
            if_absent: false,
            ack: Ack::Log,
            deadline,
        };
        writer.set(set).await.unwrap().result
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    p.log.undeaf(from);
    assert_eq!(refused(set.await.unwrap()), NotStored::DependencyChanged);
    assert!(!is_there(&p, "a").await);
}

/// Read after the grant and before the cover: only its entry tells what covers it.
#[tokio::test(start_paused = true)]
async fn what_was_covered_through_a_dependency_since_it_was_read_voids_the_fill() {
    let mut w = World::new();
    let p = w.pod().await;
    let covers: [fn(&mut Invalidate); 2] = [
        |what| what.keys = vec![key("c")],
        |what| what.tags = vec![Tag::new("red").unwrap()],
    ];
    for (at, cover) in covers.into_iter().enumerate() {
        stored(set(&p, "c", tagged("red")).await);
        stored(set(&p, "b", on(&["c"])).await);
        let name = format!("a{at}");
        let token = granted(&p, &name).await;
        assert!(is_there(&p, "b").await);
        let mut what = Invalidate {
            keys: vec![],
            ..hard(&p, "x")
        };
        cover(&mut what);
        gone(&p, what).await;
        let filled = fill(&p, token, on(&["b"])).await;
        assert_eq!(filled, FillOutcome::Voided(Voided::Invalidated));
        assert!(!is_there(&p, &name).await);
    }
}

/// A load of what is stale is not told of: what was made of it could not fall.
#[tokio::test(start_paused = true)]
async fn what_is_made_of_a_stale_value_is_not_stored_and_its_key_rests() {
    let mut w = World::new();
    let p = w.pod().await;
    stored(set(&p, "b", new("old", TTL)).await);
    let soft = Invalidate {
        mode: Mode::Soft,
        ..hard(&p, "b")
    };
    gone(&p, soft).await;
    assert_eq!(
        refused(set(&p, "a", on(&["b"])).await),
        NotStored::DependencyChanged
    );
    let token = granted(&p, "a").await;
    let filled = fill(&p, token, on(&["b"])).await;
    assert_eq!(filled, FillOutcome::Voided(Voided::DependencyChanged));
    // The next one would load in vain, too.
    assert!(matches!(p.lease("a", 0).await, LeaseOutcome::Busy(..)));
    tokio::time::sleep(limits::RETRY_AFTER_DEFAULT).await;
    granted(&p, "a").await;
}

/// A tier that does not answer is no refusal: the lease is kept.
#[tokio::test(start_paused = true)]
async fn while_the_tier_is_away_a_fill_can_be_repeated() {
    let mut w = World::new();
    let (p, q) = (w.pod().await, w.pod().await);
    stored(set(&p, "b", new("v", TTL)).await);
    q.reached(p.e.status().position.sequence).await;
    let token = granted(&q, "a").await;
    q.tier.1.store(true, SeqCst);
    let again = |token| Fill {
        token,
        entry: on(&["b"]),
        deadline: q.dl(),
    };
    let away = q.e.fill(again(token)).await.unwrap_err();
    assert!(matches!(away, crate::Error::RemoteUnavailable(_)), "{away}");
    q.tier.1.store(false, SeqCst);
    let filled = q.e.fill(again(token)).await.unwrap().result;
    assert!(matches!(filled, FillOutcome::Stored(_)), "{filled:?}");
}

#[tokio::test(start_paused = true)]
async fn without_the_tier_nothing_is_said_to_depend_on_what_only_it_knows() {
    let mut w = World::new();
    let (p, q) = (w.pod().await, w.pod().await);
    stored(set(&p, "b", new("v", TTL)).await);
    q.reached(p.e.status().position.sequence).await;
    for pod in [&p, &q] {
        pod.tier.1.store(true, SeqCst);
    }
    // This pod has it in its memory, the other one cannot look.
    let token = granted(&p, "a").await;
    assert!(matches!(
        fill(&p, token, on(&["b"])).await,
        FillOutcome::Stored(_)
    ));
    let token = granted(&q, "a").await;
    let voided = fill(&q, token, on(&["b"])).await;
    assert_eq!(voided, FillOutcome::Voided(Voided::DependencyChanged));
}

#[tokio::test(start_paused = true)]
async fn a_set_of_equal_content_that_depends_on_others_is_another() {
    let mut w = World::new();
    let p = w.pod().await;
    let first = stored(set(&p, "a", on(&["b"])).await);
    assert_eq!(
        stored(set(&p, "a", on(&["b"])).await),
        first,
        "only refreshed"
    );
    let second = stored(set(&p, "a", on(&["c"])).await);
    assert_ne!(second, first);
    gone(&p, hard(&p, "c")).await;
    assert!(!is_there(&p, "a").await);
}

/// Each is loaded again over what the others have, time after time.
#[tokio::test(start_paused = true)]
async fn a_cycle_is_a_set_and_does_not_grow() {
    const CYCLE: [(&str, &str); 3] = [("a", "b"), ("b", "c"), ("c", "a")];
    let mut w = World::new();
    let p = w.pod().await;
    for round in 0..50 {
        // One is the first, then those that are made of it.
        for _ in 0..2 * CYCLE.len() {
            for (name, dependency) in CYCLE {
                if let LeaseOutcome::Granted(token, ..) = p.lease(name, 0).await {
                    fill(&p, token, on(&[dependency])).await;
                }
            }
            tokio::time::sleep(limits::RETRY_AFTER_DEFAULT).await;
        }
        for (name, _) in CYCLE {
            assert!(is_there(&p, name).await, "{round}: {name}");
        }
        let soft = Invalidate {
            mode: Mode::Soft,
            ..hard(&p, CYCLE[round % 3].0)
        };
        gone(&p, soft).await;
    }
    for (name, dependency) in CYCLE {
        let (key, deadline) = (key(name), p.dl());
        let told = p.e.explain(Explain { key, deadline }).await.unwrap();
        let depends = told.l1.unwrap().depends;
        let levels: Vec<_> = depends.iter().map(|on| on.level).collect();
        assert_eq!(levels, [1, 2], "{name}");
        assert_eq!(depends[0].key.as_ref(), dependency);
    }
    gone(&p, hard(&p, "a")).await;
    for (name, _) in CYCLE {
        assert!(p.get(name, Level::StaleOk).await.is_none(), "{name}");
    }
}

/// Each depends on the one before: so far, and no further.
#[tokio::test(start_paused = true)]
async fn a_chain_of_ten_thousand_is_followed_as_far_as_the_limit() {
    let mut w = World::new();
    let p = w.pod().await;
    let mut level = 0;
    for n in 1..=10_000 {
        let (name, before) = (format!("k{n}"), format!("k{}", n - 1));
        let token = granted(&p, &name).await;
        let filled = fill(&p, token, on(&[&before])).await;
        level += 1;
        if level <= limits::DEPENDENCY_DEPTH {
            assert!(
                matches!(filled, FillOutcome::Stored(_)),
                "{name}: {filled:?}"
            );
            continue;
        }
        let beyond = FillOutcome::Voided(Voided::TooManyDependencies);
        assert_eq!(filled, beyond, "{name}");
        // The next one depends on what is not cached: a name.
        level = 0;
    }
    gone(&p, hard(&p, "k0")).await;
    assert!(!is_there(&p, "k16").await);
    assert!(is_there(&p, "k18").await);
}

/// By one record, however many they are; and each is loaded once.
#[tokio::test(start_paused = true)]
async fn ten_thousand_dependents_fall_by_one_record_and_are_loaded_once_each() {
    const MANY: usize = 10_000;
    let mut w = World::new();
    let p = w.pod().await;
    for n in 0..MANY {
        let token = granted(&p, &format!("d{n}")).await;
        let filled = fill(&p, token, on(&["b"])).await;
        assert!(matches!(filled, FillOutcome::Stored(_)));
    }
    let before = p.e.counters();
    let records = before.appended;
    gone(&p, hard(&p, "b")).await;
    assert_eq!(p.e.counters().appended, records + 1);
    for n in 0..MANY {
        let name = format!("d{n}");
        // Two callers each: one loads, the other one is told to wait.
        let token = granted(&p, &name).await;
        let other = p.lease(&name, 0).await;
        assert!(matches!(other, LeaseOutcome::Busy(..)), "{other:?}");
        let filled = fill(&p, token, on(&["b"])).await;
        assert!(matches!(filled, FillOutcome::Stored(_)));
        assert!(is_there(&p, &name).await);
    }
    let loaded = p.e.counters().leases_granted - before.leases_granted;
    assert_eq!(loaded, MANY as u64);
}
