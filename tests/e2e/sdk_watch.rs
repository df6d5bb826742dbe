//! Watch through the Rust client.

use crate::fleet::Fleet;
use crate::sdk::client;
use futures::StreamExt as _;
use std::time::Duration;
use unstale::{Cache, Error, Invalidate, Watch, WatchEvent, WatchOptions};
use unstale_tests::{PATIENCE, Sidecar, Signal};

/// The next event that is no heartbeat.
async fn next(watch: &mut Watch) -> Result<WatchEvent, Error> {
    let event = async {
        loop {
            match watch.next().await.expect("the stream goes on") {
                Ok(WatchEvent::Heartbeat { .. }) => {}
                other => return other,
            }
        }
    };
    let event = tokio::time::timeout(PATIENCE, event).await;
    event.expect("an event in time")
}

async fn started(cache: &Cache, position: Option<&str>) -> (Watch, String) {
    let options = WatchOptions {
        position: position.map(str::to_owned),
        ..WatchOptions::default()
    };
    let mut watch = cache.watch(options).await.expect("Watch answers");
    match next(&mut watch).await.expect("an event") {
        WatchEvent::Started { position } => (watch, position),
        other => panic!("{other:?}"),
    }
}

async fn key(watch: &mut Watch) -> (String, String) {
    match next(watch).await.expect("an event") {
        WatchEvent::Invalidation { what, position } => (what.keys.concat(), position),
        other => panic!("{other:?}"),
    }
}

async fn invalidate(cache: &Cache, key: &str) -> (String, String) {
    let done = cache.invalidate(Invalidate::default().key(key)).await;
    let position = done.expect("OK").position.expect("a position");
    (key.to_owned(), position)
}

#[tokio::test]
async fn a_watch_tells_in_order_and_goes_on_from_the_last_position() {
    let fleet = Fleet::of(2).await;
    let (writer, cache) = (client(&fleet.pods[0]).await, client(&fleet.pods[1]).await);
    let (mut watch, _) = started(&cache, None).await;
    let first = invalidate(&writer, "a").await;
    assert_eq!(key(&mut watch).await, first);
    drop(watch);
    let missed = invalidate(&writer, "b").await;
    let (mut watch, from) = started(&cache, Some(&first.1)).await;
    assert_eq!(from, first.1);
    let later = invalidate(&writer, "c").await;
    assert_eq!(key(&mut watch).await, missed);
    assert_eq!(key(&mut watch).await, later);
}

#[tokio::test]
async fn a_position_of_another_log_is_lagged_and_one_that_is_none_is_refused() {
    let pod = Sidecar::builder().fresh().await;
    let cache = client(&pod).await;
    let (mut watch, _) = started(&cache, Some("00000000deadbeef-1")).await;
    let lagged = next(&mut watch).await.expect("an event");
    assert!(matches!(lagged, WatchEvent::Lagged { .. }), "{lagged:?}");
    let done = invalidate(&cache, "k").await;
    assert_eq!(key(&mut watch).await, done);
    let refused = cache
        .watch(WatchOptions::default().position("yesterday"))
        .await;
    assert!(matches!(refused, Err(Error::Invalid { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_watch_ends_when_its_sidecar_drains() {
    let draining = Sidecar::builder().fresh().await;
    let cache = client(&draining).await;
    let (mut watch, _) = started(&cache, None).await;
    draining.signal(Signal::TERM);
    let rest = async { while watch.next().await.is_some() {} };
    let ended = tokio::time::timeout(PATIENCE, rest).await;
    ended.expect("the stream ends");
}

#[tokio::test]
async fn a_watch_fails_when_its_sidecar_falls_silent_or_dies() {
    let mut silent = Sidecar::builder().fresh().await;
    let endpoint = format!("http://127.0.0.1:{}", silent.port());
    let builder = Cache::builder().strict().endpoint(endpoint);
    let quick = builder.keep_alive(Duration::from_millis(500));
    let cache = quick.connect().await.expect("it is there");
    let (mut watch, _) = started(&cache, None).await;
    silent.stop();
    let failed = next(&mut watch).await;
    assert!(matches!(failed, Err(Error::Unreachable(_))), "{failed:?}");
    silent.signal(Signal::CONT);
    let (mut watch, _) = started(&cache, None).await;
    silent.kill();
    let failed = next(&mut watch).await;
    assert!(matches!(failed, Err(Error::Unreachable(_))), "{failed:?}");
}
