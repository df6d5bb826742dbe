//! "The origin has nothing": an entry of its own, with its own ttl, judged and
//! invalidated like any other.

use crate::fleet::Fleet;
use crate::words::{gone, lease, look, put};
use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;
use unstale::{
    Cache, Content, EntryOptions, Filled, Freshness, Invalidate, LeaseOptions, Leased, LoadOptions,
    Loaded, Lookup, Negative, NotStoredReason, SetOptions, SetOutcome, Voided,
};
use unstale_tests::{PATIENCE, eventually};

const SHORT: &str = "[namespace_defaults]\nnegative_ttl = \"1s\"\n";

async fn nothing(cache: &Cache, entry: EntryOptions) -> String {
    let set = cache.set_not_found("k", SetOptions::from(entry)).await;
    let set = set.expect("Set answers");
    assert!(matches!(set.result, SetOutcome::Stored { .. }), "{set:?}");
    set.position
}

async fn negative(cache: &Cache) -> Negative {
    match look(cache, "k").await {
        Lookup::Negative(negative) => negative,
        other => panic!("not negative: {other:?}"),
    }
}

#[tokio::test]
async fn nothing_is_cached_on_every_pod_for_the_namespaces_negative_ttl() {
    let fleet = Fleet::configured(2, SHORT).await;
    let pods = fleet.clients().await;
    let position = nothing(&pods[0], EntryOptions::default()).await;
    for pod in &pods {
        let ask = || async {
            match look(&pod.after(&position), "k").await {
                Lookup::Miss => Ok(()),
                Lookup::Negative(negative) => {
                    assert_eq!(negative.freshness, Freshness::Fresh);
                    assert!(negative.ttl_left <= Duration::from_secs(1), "{negative:?}");
                    Err(format!("{negative:?}"))
                }
                other => panic!("{other:?}"),
            }
        };
        eventually("the end of negative_ttl", PATIENCE, ask).await;
    }
    // A writer's own ttl wins.
    let own = EntryOptions::default().ttl(Duration::from_secs(60));
    let position = nothing(&pods[0], own).await;
    let negative = negative(&pods[1].after(position)).await;
    assert!(negative.ttl_left > Duration::from_secs(1), "{negative:?}");
}

#[tokio::test]
async fn nothing_is_invalidated_like_any_other_entry() {
    let fleet = Fleet::of(2).await;
    let pods = fleet.clients().await;
    let covers = [
        Invalidate::default().key("k"),
        Invalidate::default().tag("t"),
        Invalidate::default().prefix("k"),
        Invalidate::default().all(),
    ];
    for cover in covers {
        let position = nothing(&pods[0], EntryOptions::default().tag("t")).await;
        assert_eq!(negative(&pods[1].after(position)).await.tags, ["t"]);
        let position = gone(&pods[0], cover).await;
        for pod in &pods {
            let seen = look(&pod.after(&position), "k").await;
            assert_eq!(seen, Lookup::Miss);
        }
    }
}

#[tokio::test]
async fn what_is_created_where_nothing_was_is_seen_by_all() {
    let fleet = Fleet::of(2).await;
    let pods = fleet.clients().await;
    let position = nothing(&pods[0], EntryOptions::default()).await;
    negative(&pods[1].after(&position)).await;
    let create = |value| {
        let options = SetOptions::default().if_absent();
        pods[1].set_with("k", value, options)
    };
    let first = create("new").await.expect("Set answers");
    assert!(
        matches!(first.result, SetOutcome::Stored { .. }),
        "{first:?}"
    );
    let second = create("other").await.expect("Set answers").result;
    let present = NotStoredReason::Present;
    assert!(
        matches!(&second, SetOutcome::NotStored { reason, .. } if *reason == present),
        "{second:?}"
    );
    for pod in &pods {
        let seen = look(&pod.after(&first.position), "k").await;
        assert!(matches!(seen, Lookup::Hit(_)), "{seen:?}");
    }
}

#[tokio::test]
async fn that_there_is_nothing_is_loaded_once_for_all_pods() {
    let fleet = Fleet::of(2).await;
    let pods = fleet.clients().await;
    let loads = AtomicUsize::new(0);
    let load = |i: usize| {
        pods[i % 2].get_or_load("k", LoadOptions::default(), || async {
            loads.fetch_add(1, SeqCst);
            Ok::<_, Infallible>(None::<String>)
        })
    };
    let all = futures::future::join_all((0..32).map(load)).await;
    assert_eq!(loads.load(SeqCst), 1);
    for loaded in all {
        let loaded = loaded.expect("an answer").result;
        assert!(
            matches!(loaded, Loaded::Negative(_) | Loaded::Filled { .. }),
            "{loaded:?}"
        );
        assert_eq!(loaded.value(), None);
    }
}

#[tokio::test]
async fn a_load_that_found_nothing_is_voided_by_the_write_that_created_it() {
    let fleet = Fleet::of(2).await;
    let pods = fleet.clients().await;
    let Leased::Granted(grant) = lease(&pods[0], "k", LeaseOptions::default()).await else {
        panic!("not granted");
    };
    let position = put(&pods[1], "k", "created", EntryOptions::default()).await;
    let after = pods[0].after(&position);
    assert!(matches!(look(&after, "k").await, Lookup::Hit(_)));
    let filled = pods[0].fill(&grant.token, Content::NotFound, EntryOptions::default());
    let filled = filled.await.expect("Fill answers").result;
    assert_eq!(filled, Filled::Voided(Voided::Invalidated));
    for pod in &pods {
        let seen = look(&pod.after(&position), "k").await;
        assert!(matches!(seen, Lookup::Hit(_)), "{seen:?}");
    }
}

#[tokio::test]
async fn of_those_who_create_the_same_key_at_once_one_does() {
    let fleet = Fleet::of(2).await;
    let pods = fleet.clients().await;
    for round in 0..10 {
        nothing(&pods[0], EntryOptions::default()).await;
        let create = |i: usize| {
            let options = SetOptions::default().if_absent();
            pods[i % 2].set_with("k", format!("{round}-{i}"), options)
        };
        let all = futures::future::join_all((0..8).map(create)).await;
        let outcomes: Vec<_> = all
            .into_iter()
            .map(|set| set.expect("Set answers").result)
            .collect();
        let stored = |s: &&SetOutcome| matches!(s, SetOutcome::Stored { .. });
        assert_eq!(outcomes.iter().filter(stored).count(), 1, "{outcomes:#?}");
    }
}
