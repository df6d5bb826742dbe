//! get_or_load of the Rust client when there is something stale, or nothing.

use crate::fleet::Fleet;
use crate::sdk::client;
use std::convert::Infallible;
use std::future::pending;
use std::time::Duration;
use tokio::sync::oneshot;
use unstale::{
    AbandonOptions, Because, Cache, Content, EntryOptions, Invalidate, Leased, Load, LoadError,
    LoadOptions, Loaded, Lookup, SetOptions,
};

const LONG: Duration = Duration::from_secs(60);

/// A value that may be served stale, and is.
async fn stale(cache: &Cache) {
    let entry = EntryOptions::default().ttl(LONG).stale_for(LONG);
    let set = cache.set_with("k", "old", SetOptions::from(entry)).await;
    set.expect("stored");
    let done = cache
        .invalidate(Invalidate::default().key("k").soft())
        .await;
    done.expect("OK");
}

fn text<E>(loaded: &Loaded<E>) -> Option<&[u8]> {
    loaded.value().map(unstale::Value::as_bytes)
}

async fn loads(cache: &Cache, value: &'static str) -> Loaded<Infallible> {
    let loader = || async move { Ok(value) };
    let loaded = cache.get_or_load("k", LoadOptions::default(), loader).await;
    loaded.expect("a value").result
}

#[tokio::test]
async fn while_one_pod_refreshes_the_others_get_the_stale_value_flagged() {
    let fleet = Fleet::of(2).await;
    let (one, two) = (client(&fleet.pods[0]).await, client(&fleet.pods[1]).await);
    stale(&one).await;
    let loader = || async {
        // On the other pod, while this one holds the lease.
        let two = two.after(one.status().await.expect("Status answers").position);
        match loads(&two, "never").await {
            Loaded::Stale { entry, because } if entry.stale_reason.is_some() => {
                assert!(matches!(because, Because::Busy { .. }), "{because:?}");
                assert_eq!(entry.value.as_bytes(), b"old");
                Ok("new")
            }
            other => Err(format!("{other:?}")),
        }
    };
    let loaded = one.get_or_load("k", LoadOptions::default(), loader).await;
    let loaded = loaded.expect("a value");
    assert_eq!(text(&loaded.result), Some(&b"new"[..]));
    // The fresh one is there for all who come after.
    let found = two
        .after(loaded.position)
        .get("k")
        .await
        .expect("Get answers");
    assert!(matches!(found.result, Lookup::Hit(_)), "{found:?}");
}

#[tokio::test]
async fn a_failing_origin_is_asked_once_and_the_stale_value_serves_all() {
    let fleet = Fleet::of(2).await;
    let (one, two) = (client(&fleet.pods[0]).await, client(&fleet.pods[1]).await);
    stale(&one).await;
    let rest = AbandonOptions::default()
        .serve_stale_for(LONG)
        .retry_after(LONG);
    let options = LoadOptions {
        fail_safe: Some(rest),
        ..LoadOptions::default()
    };
    let loader = || async { Err::<String, _>("the origin is away") };
    let loaded = one
        .get_or_load("k", options, loader)
        .await
        .expect("a value");
    let Loaded::Stale { entry, because } = loaded.result else {
        panic!("{loaded:?}");
    };
    assert_eq!(entry.value.as_bytes(), b"old");
    assert!(matches!(because, Because::Failed("the origin is away")));
    let other = loads(&two.after(loaded.position), "never").await;
    assert!(matches!(other, Loaded::Stale { .. }), "{other:?}");
}

#[tokio::test]
async fn what_was_invalidated_during_a_failing_load_is_not_served() {
    let fleet = Fleet::of(1).await;
    let cache = client(&fleet.pods[0]).await;
    stale(&cache).await;
    let options = LoadOptions {
        fail_safe: Some(AbandonOptions::default().serve_stale_for(LONG)),
        ..LoadOptions::default()
    };
    let loader = || async {
        let done = cache.invalidate(Invalidate::default().key("k")).await;
        done.expect("OK");
        Err::<String, _>("the origin is away")
    };
    let failed = cache.get_or_load("k", options, loader).await;
    assert!(matches!(failed, Err(LoadError::Loader(_))), "{failed:?}");
}

#[tokio::test]
async fn nothing_in_the_origin_is_loaded_once_and_ends_with_its_invalidation() {
    let fleet = Fleet::of(2).await;
    let (one, two) = (client(&fleet.pods[0]).await, client(&fleet.pods[1]).await);
    let loader = || async { Ok::<_, Infallible>(None::<String>) };
    let loaded = one.get_or_load("k", LoadOptions::default(), loader).await;
    let loaded = loaded.expect("an answer");
    let nothing = Content::NotFound;
    assert!(
        matches!(&loaded.result, Loaded::Filled { content, .. } if *content == nothing),
        "{loaded:?}"
    );
    let cached = loads(&two.after(loaded.position), "never").await;
    assert!(matches!(cached, Loaded::Negative(_)), "{cached:?}");
    let gone = two.invalidate(Invalidate::default().key("k")).await;
    let position = gone.expect("OK").position.expect("a position");
    let found = loads(&one.after(position), "there").await;
    assert_eq!(text(&found), Some(&b"there"[..]));
}

#[tokio::test]
async fn a_loader_names_the_version_that_it_read() {
    let fleet = Fleet::of(1).await;
    let cache = client(&fleet.pods[0]).await;
    let what = Invalidate::default().key("k").min_source_version(7);
    cache.invalidate(what).await.expect("OK");
    let read = |version| {
        let entry = EntryOptions::default().source_version(version);
        let load = Load::With(format!("at {version}").as_str().into(), entry);
        cache.get_or_load("k", LoadOptions::default(), move || async move {
            Ok::<_, Infallible>(load)
        })
    };
    let lagging = read(6).await.expect("a value").result;
    assert!(matches!(lagging, Loaded::NotFilled { .. }), "{lagging:?}");
    let current = read(7).await.expect("a value").result;
    assert!(matches!(current, Loaded::Filled { .. }), "{current:?}");
}

#[tokio::test]
async fn a_dropped_refresh_leaves_the_stale_value_and_a_free_lease() {
    let fleet = Fleet::of(1).await;
    let cache = client(&fleet.pods[0]).await;
    stale(&cache).await;
    let (loading, begun) = oneshot::channel();
    let loader = || async {
        loading.send(()).expect("the test waits");
        pending::<Result<String, Infallible>>().await
    };
    tokio::select! {
        _ = cache.get_or_load("k", LoadOptions::default(), loader) => panic!("it never ends"),
        begun = begun => begun.expect("it began"),
    }
    // Given back in the background: until then it is busy, with the old value.
    loop {
        match cache.lease("k").await.expect("Lease answers").result {
            Leased::Granted(grant) => break assert!(grant.stale.is_some()),
            Leased::Busy { stale, .. } => assert!(stale.is_some()),
            other => panic!("{other:?}"),
        }
    }
}
