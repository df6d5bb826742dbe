//! The Rust client's stream under load and when it breaks.

use futures::future::join_all;
use std::time::Duration;
use unstale::{Cache, Error, LeaseOptions, Leased, Lookup};
use unstale_tests::{PATIENCE, Sidecar, Signal, eventually};

async fn client(pod: &Sidecar) -> Cache {
    let builder = Cache::builder().endpoint(format!("unix:{}", pod.uds().display()));
    let cache = builder.strict().connect().await;
    cache.expect("it is there")
}

fn waiting(cache: &Cache) -> impl Future<Output = Result<Leased, Error>> + use<> {
    let cache = cache.clone();
    let options = LeaseOptions::default().wait(Duration::from_secs(40));
    async move { Ok(cache.lease_with("k", options).await?.result) }
}

fn text(found: Lookup) -> String {
    match found {
        Lookup::Hit(entry) => String::from_utf8_lossy(entry.value.as_bytes()).into_owned(),
        other => panic!("{other:?}"),
    }
}

/// More than fit on the stream, and by themselves, at a time.
const CALLS: usize = 10_000;
const KEYS: usize = 500;

#[tokio::test]
async fn ten_thousand_calls_at_a_time_each_get_their_own_answer() {
    let pod = Sidecar::builder().fresh().await;
    let cache = client(&pod).await.namespace("n");
    let key = |i: usize| format!("k{}", i % KEYS);
    join_all((0..KEYS).map(|i| cache.set(key(i), key(i))))
        .await
        .into_iter()
        .for_each(|set| drop(set.expect("OK")));
    // Nobody's answer is another's: each value is its key.
    let patient = Cache::builder().endpoint(format!("unix:{}", pod.uds().display()));
    let patient = patient.strict().timeout(PATIENCE).connect().await;
    let patient = patient.expect("it is there").namespace("n");
    let reads = (0..CALLS).map(|i| patient.get(key(i)));
    for (i, read) in join_all(reads).await.into_iter().enumerate() {
        assert_eq!(text(read.expect("OK").result), key(i));
    }
    assert!(pod.metric("unstale_session_calls_total").await > 1024);
}

#[tokio::test]
async fn calls_under_way_fail_when_the_sidecar_dies_and_the_next_sidecar_is_used() {
    let dir = tempfile::tempdir().expect("a directory");
    let socket = dir.path().join("grpc.sock");
    let mut pod = Sidecar::builder().uds(&socket).fresh().await;
    let cache = client(&pod).await;
    cache
        .lease_with("k", LeaseOptions::default())
        .await
        .expect("OK");
    let calls = [tokio::spawn(waiting(&cache)), tokio::spawn(waiting(&cache))];
    tokio::task::yield_now().await;
    cache.get("other").await.expect("OK");
    pod.kill();
    for call in calls {
        let ended = tokio::time::timeout(PATIENCE, call).await;
        let ended = ended
            .expect("it ends with its connection")
            .expect("it ends");
        assert!(matches!(ended, Err(Error::Unreachable(_))), "{ended:?}");
    }
    let away = cache.get("other").await;
    assert!(matches!(away, Err(Error::Unreachable(_))), "{away:?}");
    let pod = Sidecar::builder().uds(&socket).fresh().await;
    let ask = || async {
        cache.get("other").await.expect("it is there again");
        match pod.metric("unstale_session_calls_total").await {
            0 => Err("by itself".to_owned()),
            _ => Ok(()),
        }
    };
    eventually("a call on a new stream", PATIENCE, ask).await;
}

#[tokio::test]
async fn a_paused_sidecar_costs_a_call_its_deadline_and_the_stream_goes_on() {
    let pod = Sidecar::builder().fresh().await;
    let cache = client(&pod).await;
    cache.set("k", "v").await.expect("OK");
    pod.stop();
    let reads = join_all((0..100).map(|_| cache.get("k"))).await;
    for read in reads {
        assert!(matches!(read, Err(Error::Unreachable(_))), "{read:?}");
    }
    pod.signal(Signal::CONT);
    pod.is_fresh().await;
    let before = pod.metric("unstale_session_calls_total").await;
    assert_eq!(text(cache.get("k").await.expect("OK").result), "v");
    let after = pod.metric("unstale_session_calls_total").await;
    assert!(after > before, "on the stream");
}

#[tokio::test]
async fn a_drained_sidecar_ends_though_its_client_stays() {
    let mut pod = Sidecar::builder().fresh().await;
    let cache = client(&pod).await;
    cache.get("k").await.expect("OK");
    pod.signal(Signal::TERM);
    let status = pod.ended(Duration::from_secs(12)).await;
    assert_eq!(status.code(), Some(0), "{}", pod.log());
    assert!(pod.log().contains("clean=true"), "{}", pod.log());
    let away = cache.get("k").await.expect_err("it is gone");
    assert!(away.is_outage(), "{away:?}");
}

#[tokio::test]
async fn the_stream_ends_with_the_last_clone_of_its_client() {
    let mut pod = Sidecar::builder().fresh().await;
    let cache = client(&pod).await;
    let clone = cache.clone();
    drop(cache);
    clone.get("k").await.expect("OK");
    drop(clone);
    pod.signal(Signal::TERM);
    let status = pod.ended(Duration::from_secs(12)).await;
    assert_eq!(status.code(), Some(0), "{}", pod.log());
}
