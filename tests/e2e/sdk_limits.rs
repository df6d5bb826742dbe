//! How long the Rust client waits at most: as long as it was told, for ever
//! included.

use crate::sdk::client;
use std::convert::Infallible;
use std::future::pending;
use std::time::Duration;
use tokio::sync::oneshot;
use unstale::{Builder, Cache, Error, LeaseOptions, LoadError, LoadOptions, Loaded};
use unstale_tests::{PATIENCE, Sidecar, free_port};

fn at(port: u16) -> Builder {
    Cache::builder().endpoint(format!("http://127.0.0.1:{port}"))
}

#[tokio::test]
async fn durations_may_be_without_end() {
    let pod = Sidecar::builder().fresh().await;
    let builder = at(pod.port()).strict().timeout(Duration::MAX);
    let builder = builder.keep_alive(Duration::MAX);
    let cache = builder.connect().await.expect("it is there");
    cache.get("k").await.expect("Get answers");
    let patient = LeaseOptions::default().wait(Duration::from_secs(1));
    cache.lease_with("k", patient).await.expect("Lease answers");
    let away = at(free_port()).lazy().expect("an endpoint");
    let options = || LoadOptions {
        wait: Duration::MAX,
        hard_timeout: Some(Duration::MAX),
        ..LoadOptions::default()
    };
    for cache in [cache, away] {
        let load = || async { Ok::<_, Infallible>("v") };
        let loaded = cache.get_or_load("l", options(), load).await;
        loaded.expect("a value");
    }
}

#[tokio::test]
async fn without_a_sidecar_nobody_waits_for_anothers_loader_longer_than_for_its_own() {
    let cache = at(free_port()).lazy().expect("an endpoint");
    let (loading, begun) = oneshot::channel();
    let hangs = cache.get_or_load("k", LoadOptions::default(), || async {
        loading.send(()).expect("the test waits");
        pending::<Result<String, Infallible>>().await
    });
    let other = async {
        begun.await.expect("it began");
        let options = LoadOptions {
            wait: PATIENCE * 10,
            hard_timeout: Some(Duration::from_millis(100)),
            ..LoadOptions::default()
        };
        let never = || async { Ok::<_, Infallible>("a second load") };
        cache.get_or_load("k", options, never).await
    };
    let ended = async {
        tokio::select! {
            _ = hangs => panic!("it hangs"),
            other = other => other,
        }
    };
    let other = tokio::time::timeout(PATIENCE, ended)
        .await
        .expect("it ends");
    let busy = matches!(other, Err(LoadError::Cache(Error::Busy { .. })));
    assert!(busy, "{other:?}");
}

#[tokio::test]
async fn a_wait_without_end_is_one_for_the_lease_too() {
    let pod = Sidecar::builder().fresh().await;
    let cache = client(&pod).await;
    let options = || LoadOptions {
        wait: Duration::MAX,
        ..LoadOptions::default()
    };
    let (loading, begun) = oneshot::channel();
    let first = cache.get_or_load("k", options(), || async {
        loading.send(()).expect("the test waits");
        cache.status().await.expect("Status answers");
        Ok::<_, Infallible>("first")
    });
    let other = async {
        begun.await.expect("it began");
        let never = || async { Ok::<_, Infallible>("a second load") };
        cache.get_or_load("k", options(), never).await
    };
    let (first, other) = tokio::join!(first, other);
    let (first, other) = (first.expect("a value"), other.expect("a value"));
    assert!(matches!(first.result, Loaded::Filled { .. }), "{first:?}");
    assert!(matches!(other.result, Loaded::Hit(_)), "{other:?}");
}
