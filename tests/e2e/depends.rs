//! Entries that depend on others, over real pods: with what they fall, and that
//! loads which want each other's keys end.

use crate::fleet::Fleet;
use crate::sdk::client;
use crate::words::{any, gone, put, read, text};
use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};
use unstale::{
    Cache, Dependency, EntryOptions, Invalidate, LoadError, LoadOptions, Loaded, Lookup, NotFilled,
    NotStoredReason, SetOptions, SetOutcome, StaleReason, Voided,
};

fn on(key: &str) -> EntryOptions {
    EntryOptions::default().depends_on(key)
}

/// page → user → row (red).
async fn stock(cache: &Cache) -> String {
    put(cache, "row:7", "v", EntryOptions::default().tag("red")).await;
    put(cache, "user:7", "v", on("row:7")).await;
    put(cache, "page:7", "v", on("user:7")).await
}

#[tokio::test]
async fn an_entry_falls_with_what_it_depends_on_in_every_tier_of_every_pod() {
    let fleet = Fleet::of(2).await;
    let pods = fleet.clients().await;
    let covers = [
        Invalidate::default().key("user:7"),
        Invalidate::default().key("row:7"),
        Invalidate::default().tag("red"),
        Invalidate::default().prefix("row:"),
        Invalidate::default().prefix("ro"),
    ];
    for (i, what) in covers.into_iter().enumerate() {
        // The second pod has it in L1 in every other round only.
        let position = stock(&pods[0]).await;
        if i.is_multiple_of(2) {
            assert!(read(&pods[1].after(&position), "page:7").await.is_some());
        }
        let position = gone(&pods[0], what).await;
        for pod in &pods {
            assert_eq!(
                read(&pod.after(&position), "page:7").await,
                None,
                "cover {i}"
            );
        }
    }
}

#[tokio::test]
async fn a_pod_that_comes_later_knows_what_an_entry_depends_on() {
    let fleet = Fleet::of(1).await;
    let pod = client(&fleet.pods[0]).await;
    stock(&pod).await;
    let pod_that_is_late = fleet.late().await;
    let late = client(&pod_that_is_late).await;
    assert!(
        read(&late, "page:7").await.is_some(),
        "from the remote tier"
    );
    gone(&pod, Invalidate::default().tag("red")).await;
    drop(pod_that_is_late);
    let pod_that_is_later = fleet.late().await;
    let later = client(&pod_that_is_later).await;
    assert_eq!(read(&later, "page:7").await, None);
}

#[tokio::test]
async fn a_soft_invalidation_makes_what_depends_on_it_stale() {
    let fleet = Fleet::of(2).await;
    let pods = fleet.clients().await;
    stock(&pods[0]).await;
    let position = gone(&pods[0], Invalidate::default().key("row:7").soft()).await;
    let seen = any(&pods[1].after(&position), "page:7").await;
    let stale = Some(StaleReason::SoftInvalidated);
    assert_eq!(seen, Some(("v".to_owned(), stale)));
}

#[tokio::test]
async fn what_was_made_of_a_replaced_version_is_given_and_not_stored() {
    let fleet = Fleet::of(2).await;
    let pods = fleet.clients().await;
    put(&pods[0], "user:7", "old", EntryOptions::default()).await;
    let Lookup::Hit(old) = pods[0].get("user:7").await.expect("OK").result else {
        panic!("it is cached");
    };
    let position = put(&pods[1], "user:7", "new", EntryOptions::default()).await;
    let over = |entry| EntryOptions::default().depends_on(Dependency::from(("user:7", entry)));
    let options = SetOptions::from(over(&old));
    let set = pods[0]
        .after(&position)
        .set_with("page:7", "made of old", options)
        .await;
    let SetOutcome::NotStored { reason, .. } = set.expect("OK").result else {
        panic!("it is stored");
    };
    assert_eq!(reason, NotStoredReason::DependencyChanged);
    let load = || async { Ok::<_, Infallible>("made of old") };
    let loaded = pods[0].get_or_load("page:7", LoadOptions::from(over(&old)), load);
    let loaded = loaded.await.expect("OK").result;
    let why = match &loaded {
        Loaded::NotFilled { why, .. } => why,
        other => panic!("stored: {other:?}"),
    };
    let changed = matches!(why, NotFilled::Voided(Voided::DependencyChanged));
    assert!(changed, "{why:?}");
    assert_eq!(loaded.value().expect("a value").as_bytes(), b"made of old");
    let Lookup::Hit(new) = pods[0].get("user:7").await.expect("OK").result else {
        panic!("it is cached");
    };
    assert_eq!(text(&new), "new");
    put(&pods[0], "page:7", "made of new", over(&new)).await;
}

/// Two loaders, each of which wants the other's key: they wait as long as they
/// said, and no longer.
#[tokio::test]
async fn loads_that_want_each_other_end() {
    let fleet = Fleet::of(2).await;
    let (one, two) = (client(&fleet.pods[0]).await, client(&fleet.pods[1]).await);
    let both = tokio::sync::Barrier::new(2);
    let wait = Duration::from_secs(1);
    let options = |on: &str| LoadOptions {
        wait,
        ..LoadOptions::from(EntryOptions::default().depends_on(on))
    };
    let load = |cache: Cache, own: &'static str, other: &'static str| {
        let (both, options) = (&both, &options);
        async move {
            let loader = || async {
                both.wait().await;
                let loader = || async { Ok::<_, Infallible>("from the origin") };
                let inner = cache.get_or_load(other, options(own), loader);
                match inner.await {
                    Ok(inner) => Ok(inner.result.into_value().expect("a value")),
                    Err(error) => Err(error.to_string()),
                }
            };
            cache.get_or_load(own, options(other), loader).await
        }
    };
    let began = Instant::now();
    let (a, b) = tokio::join!(load(one.clone(), "a", "b"), load(two.clone(), "b", "a"));
    let took = began.elapsed();
    assert!(took < Duration::from_secs(8), "{took:?}");
    // One gave up at least; who is told busy may try again, or load by itself.
    let busy = |loaded: &Result<_, LoadError<String>>| matches!(loaded, Err(LoadError::Loader(_)));
    let errors = [busy(&a.map(drop)), busy(&b.map(drop))];
    assert!(errors.contains(&true), "{errors:?}");
    // Nobody hangs, and nothing is held.
    let loader = || async { Ok::<_, Infallible>("after") };
    for key in ["a", "b"] {
        let loaded = one.get_or_load(key, LoadOptions::default(), loader).await;
        assert!(loaded.is_ok(), "{loaded:?}");
    }
}

/// Many pages of one user, asked for by many at once after it changed.
#[tokio::test]
async fn each_of_many_dependents_is_loaded_once_after_one_invalidation() {
    const PAGES: usize = 64;
    const CALLERS: usize = 4;
    let fleet = Fleet::of(2).await;
    let pods = fleet.clients().await;
    let loads: Vec<_> = (0..PAGES).map(|_| AtomicUsize::new(0)).collect();
    let ask = async || {
        let all = (0..PAGES * CALLERS).map(|n| {
            let (page, cache) = (n % PAGES, &pods[(n / PAGES) % 2]);
            let loads = &loads;
            async move {
                let loader = || async {
                    loads[page].fetch_add(1, SeqCst);
                    Ok::<_, Infallible>("v")
                };
                let options = LoadOptions::from(on("user:7"));
                let loaded = cache.get_or_load(format!("page:{page}"), options, loader);
                loaded.await.expect("OK");
            }
        });
        futures::future::join_all(all).await;
    };
    ask().await;
    let position = gone(&pods[0], Invalidate::default().key("user:7")).await;
    for pod in &pods {
        assert_eq!(read(&pod.after(&position), "page:0").await, None);
    }
    ask().await;
    let counts: Vec<_> = loads.iter().map(|loads| loads.load(SeqCst)).collect();
    assert_eq!(counts, [2; PAGES]);
}
