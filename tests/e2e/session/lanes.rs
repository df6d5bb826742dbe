//! By which lane the Rust client's calls go, and that it makes no difference.

use super::forward::Forward;
use std::time::Duration;
use unstale::{
    Ack, Builder, Cache, EntryOptions, Error, Expected, Invalidate, LeaseOptions, Leased, Lookup,
    SetItem, SetOptions, SetOutcome,
};
use unstale_tests::Sidecar;

fn at(endpoint: &str) -> Builder {
    Cache::builder().endpoint(endpoint).strict()
}

fn direct(pod: &Sidecar) -> Builder {
    at(&format!("http://127.0.0.1:{}", pod.port()))
}

fn granted(leased: &Leased) -> &str {
    match leased {
        Leased::Granted(grant) => &grant.token,
        other => panic!("not granted: {other:?}"),
    }
}

/// One call of each kind.
async fn each(cache: &Cache) -> Result<(), Error> {
    let stored = cache.set_with("k", "v", SetOptions::default()).await?;
    assert!(matches!(stored.result, SetOutcome::Stored { .. }));
    assert!(matches!(cache.get("k").await?.result, Lookup::Hit(_)));
    assert_eq!(cache.get_many(["k", "n"]).await?.result[1], Lookup::Miss);
    cache.set_many([SetItem::new("m", "v")], Ack::Log).await?;
    let entry = EntryOptions::default();
    let absent = Expected::Absent;
    cache
        .compare_and_set("c", absent, "v", entry, Ack::Log)
        .await?;
    cache.invalidate(Invalidate::default().key("k")).await?;
    let leased = cache.lease_with("l", LeaseOptions::default()).await?;
    let token = granted(&leased.result);
    cache.renew(token).await?;
    cache.fill(token, "v", EntryOptions::default()).await?;
    let many = cache.lease_many(["x"], LeaseOptions::default()).await?;
    cache.abandon(granted(&many.result[0])).await
}

/// How many calls [`each`] makes.
const EACH: u64 = 11;

#[tokio::test]
async fn every_call_shares_the_stream_when_there_is_one() {
    let pod = Sidecar::builder().fresh().await;
    let without = Forward::to(&pod, "CacheService").await;
    let cache = at(&without.endpoint).connect().await.expect("it is there");
    each(&cache).await.expect("nothing needs the other lane");
    assert_eq!(without.passed(), 1, "the stream");
    assert_eq!(pod.metric("unstale_session_calls_total").await, EACH);
}

#[tokio::test]
async fn a_sidecar_without_streams_gets_every_call_by_itself() {
    let pod = Sidecar::builder().fresh().await;
    let old = Forward::to(&pod, "SessionService").await;
    let cache = at(&old.endpoint).connect().await.expect("it is there");
    each(&cache).await.expect("nothing needs the stream");
    assert_eq!(old.passed() as u64, EACH);
    assert_eq!(pod.metric("unstale_session_calls_total").await, 0);
}

#[tokio::test]
async fn a_client_that_wants_none_opens_no_stream() {
    let pod = Sidecar::builder().fresh().await;
    let cache = direct(&pod).unary().connect().await.expect("it is there");
    each(&cache).await.expect("OK");
    assert_eq!(pod.metric("unstale_session_calls_total").await, 0);
}

#[tokio::test]
async fn a_large_value_goes_by_itself_and_comes_back_on_the_stream() {
    let pod = Sidecar::builder().fresh().await;
    let cache = direct(&pod).connect().await.expect("it is there");
    let large = "v".repeat(512 * 1024);
    cache.set("k", large.as_str()).await.expect("OK");
    assert_eq!(pod.metric("unstale_session_calls_total").await, 0);
    match cache.get("k").await.expect("OK").result {
        Lookup::Hit(entry) => assert_eq!(entry.value.as_bytes(), large.as_bytes()),
        other => panic!("{other:?}"),
    }
    assert_eq!(pod.metric("unstale_session_calls_total").await, 1);
}

#[tokio::test]
async fn an_error_is_the_same_by_both_lanes() {
    let pod = Sidecar::builder().fresh().await;
    let fast = direct(&pod).connect().await.expect("it is there");
    let alone = direct(&pod).unary().connect().await.expect("it is there");
    let position = fast.get("k").await.expect("OK").position;
    let (epoch, _) = position.split_once('-').expect("a position");
    let far = format!("{epoch}-1000000");
    for (fast, alone) in [
        (fast.get("").await.err(), alone.get("").await.err()),
        (
            fast.after(far.as_str()).get("k").await.err(),
            alone.after(far.as_str()).get("k").await.err(),
        ),
        (
            fast.renew(&"0".repeat(32)).await.err(),
            alone.renew(&"0".repeat(32)).await.err(),
        ),
    ] {
        let (fast, alone) = (fast.expect("it fails"), alone.expect("it fails"));
        assert_eq!(format!("{fast:?}"), format!("{alone:?}"));
    }
    let short = |builder: Builder| builder.timeout(Duration::from_millis(100));
    let fast = short(direct(&pod)).connect().await.expect("it is there");
    let alone = short(direct(&pod).unary()).connect().await.expect("it");
    pod.stop();
    let (fast, alone) = tokio::join!(fast.get("k"), alone.get("k"));
    let (fast, alone) = (fast.expect_err("it is late"), alone.expect_err("too"));
    assert_eq!(format!("{fast:?}"), format!("{alone:?}"));
}
