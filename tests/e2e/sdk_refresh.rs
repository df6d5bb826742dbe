//! get_or_refresh of the Rust client: a stale entry in place of a slow loader,
//! which goes on.

use crate::sdk::client;
use std::convert::Infallible;
use std::future::pending;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use unstale::{
    Because, Cache, Codec, EntryOptions, Invalidate, LoadOptions, Loaded, Lookup, SetOptions,
};
use unstale_tests::{PATIENCE, Sidecar, eventually};

const LONG: Duration = Duration::from_secs(60);
/// Shorter than any loader here that does not end at once.
const SOON: Duration = Duration::from_millis(50);

/// A lease that outlasts the test unless it is given back.
fn long() -> LoadOptions {
    LoadOptions {
        term: Some(Duration::from_secs(120)),
        ..LoadOptions::default()
    }
}

/// A value that may be served stale, and is.
async fn stale(cache: &Cache) {
    let entry = EntryOptions::default().ttl(LONG).stale_for(LONG);
    let entry = entry.content_type(Codec::Json.content_type());
    let set = cache
        .set_with("k", "\"old\"", SetOptions::from(entry))
        .await;
    set.expect("stored");
    let what = Invalidate::default().key("k").soft();
    cache.invalidate(what).await.expect("OK");
}

fn is_slow<E>(loaded: &Loaded<E>) -> bool {
    let Loaded::Stale { entry, because } = loaded else {
        return false;
    };
    entry.value.as_bytes() == b"\"old\"" && matches!(because, Because::Slow(SOON))
}

/// What is cached becomes this.
async fn becomes(cache: &Cache, value: &str) {
    let ask = || async {
        match cache.get("k").await.expect("Get answers").result {
            Lookup::Hit(entry) if entry.value.as_bytes() == value.as_bytes() => Ok(()),
            other => Err(format!("{other:?}")),
        }
    };
    eventually("the loaded value", PATIENCE, ask).await;
}

#[tokio::test]
async fn a_slow_loader_goes_on_behind_the_stale_value() {
    let pod = Sidecar::builder().fresh().await;
    let cache = client(&pod).await;
    stale(&cache).await;
    let (go, going) = oneshot::channel::<()>();
    let load = || async {
        going.await.expect("the test tells");
        Ok::<_, Infallible>("new")
    };
    let loaded = cache.get_or_refresh("k", SOON, long(), load).await;
    let loaded = loaded.expect("a value").result;
    assert!(is_slow(&loaded), "{loaded:?}");
    go.send(()).expect("it goes on");
    becomes(&cache, "new").await;
}

#[tokio::test]
async fn a_loader_that_is_fast_enough_is_waited_for() {
    let pod = Sidecar::builder().fresh().await;
    let cache = client(&pod).await;
    stale(&cache).await;
    let load = || async { Ok::<_, Infallible>("new") };
    let loaded = cache.get_or_refresh("k", LONG, long(), load).await;
    let loaded = loaded.expect("a value").result;
    assert!(matches!(loaded, Loaded::Filled { .. }), "{loaded:?}");
}

#[tokio::test]
async fn where_nothing_is_stale_the_loader_is_waited_for() {
    let pod = Sidecar::builder().fresh().await;
    let cache = client(&pod).await;
    let load = || async {
        tokio::task::yield_now().await;
        Ok::<_, Infallible>("new")
    };
    let loaded = cache
        .get_or_refresh("k", Duration::ZERO, long(), load)
        .await;
    let loaded = loaded.expect("a value").result;
    assert!(matches!(loaded, Loaded::Filled { .. }), "{loaded:?}");
}

#[tokio::test]
async fn what_was_invalidated_while_the_loader_runs_is_not_given() {
    let pod = Sidecar::builder().fresh().await;
    let cache = client(&pod).await;
    stale(&cache).await;
    let soft_timeout = SOON * 10;
    let (invalidating, began) = (cache.clone(), Instant::now());
    let (told, in_time) = oneshot::channel();
    let load = || async move {
        invalidating.delete("k").await.expect("OK");
        let in_time = began.elapsed() < soft_timeout;
        told.send(in_time).expect("the test asks");
        // Past the soft timeout, which is what this is about.
        tokio::time::sleep(soft_timeout * 2).await;
        Ok::<_, Infallible>("read before or after")
    };
    let loaded = cache.get_or_refresh("k", soft_timeout, long(), load).await;
    let loaded = loaded.expect("a value").result;
    // On a machine so slow that it was not invalidated yet, it may be given.
    let in_time = in_time.await.expect("it is told");
    let given = matches!(loaded, Loaded::Stale { .. });
    assert!(!(in_time && given), "{loaded:?}");
}

#[tokio::test]
async fn a_refresh_goes_on_when_its_call_is_dropped() {
    let pod = Sidecar::builder().fresh().await;
    let cache = client(&pod).await;
    stale(&cache).await;
    let (loading, begun) = oneshot::channel();
    let (go, going) = oneshot::channel::<()>();
    let load = || async {
        loading.send(()).expect("the test waits");
        going.await.expect("the test tells");
        Ok::<_, Infallible>("new")
    };
    tokio::select! {
        _ = cache.get_or_refresh("k", LONG, long(), load) => panic!("it waits"),
        begun = begun => begun.expect("it began"),
    }
    go.send(()).expect("it goes on");
    becomes(&cache, "new").await;
}

#[tokio::test]
async fn a_refresh_that_hangs_ends_with_its_hard_timeout() {
    let pod = Sidecar::builder().fresh().await;
    let cache = client(&pod).await;
    stale(&cache).await;
    let options = LoadOptions {
        hard_timeout: Some(SOON * 2),
        ..long()
    };
    let hangs = || pending::<Result<&str, Infallible>>();
    let loaded = cache.get_or_refresh("k", SOON, options, hangs).await;
    let loaded = loaded.expect("a value").result;
    assert!(is_slow(&loaded), "{loaded:?}");
    let ask = || async {
        let load = || async { Ok::<_, Infallible>("new") };
        let loaded = cache.get_or_load("k", long(), load).await;
        let loaded = loaded.expect("a value").result;
        let mine = matches!(loaded, Loaded::Filled { .. });
        mine.then_some(()).ok_or(format!("{loaded:?}"))
    };
    eventually("a free key", PATIENCE, ask).await;
}

fn bug() -> Result<&'static str, Infallible> {
    panic!("a bug in the loader")
}

#[tokio::test]
async fn a_loader_that_panics_in_time_panics_its_caller() {
    let pod = Sidecar::builder().fresh().await;
    let cache = client(&pod).await;
    stale(&cache).await;
    let load = || async { bug() };
    let loading = async move { cache.get_or_refresh("k", LONG, long(), load).await.is_ok() };
    let ended = tokio::spawn(loading).await;
    assert!(ended.expect_err("it panicked").is_panic());
}

#[tokio::test]
async fn values_of_a_type_are_refreshed_behind_the_stale_one_too() {
    let pod = Sidecar::builder().fresh().await;
    let cache = client(&pod).await;
    let names = cache.typed::<String>(Codec::Json);
    stale(&cache).await;
    let (go, going) = oneshot::channel::<()>();
    let load = || async {
        going.await.expect("the test tells");
        Ok::<_, Infallible>("new".to_owned())
    };
    let loaded = names.get_or_refresh("k", SOON, long(), load).await;
    let loaded = loaded.expect("a value").result;
    assert_eq!(loaded.value.as_deref(), Some("old"));
    assert!(is_slow(&loaded.from), "{loaded:?}");
    go.send(()).expect("it goes on");
    becomes(&cache, "\"new\"").await;
    let load = || async { Ok::<_, Infallible>("never".to_owned()) };
    let hit = names.get_or_refresh("k", SOON, long(), load).await;
    assert_eq!(hit.expect("a value").result.value.as_deref(), Some("new"));
}
