//! What the settings of a slow remote tier do: reads that are asked a second
//! time, within 1 in 20, and callers who are told at once when too many wait.

use crate::calls::{found, get_after, set};
use futures::StreamExt as _;
use futures::future::join_all;
use futures::stream::FuturesUnordered;
use std::time::Duration;
use unstale_proto::v1::{DegradedReason, GetResponse};
use unstale_tests::{Flow, Nats, PATIENCE, Redis, Sidecar, Wire, eventually};

/// Reads, and how many at the same time.
const READS: usize = 400;
const AT_ONCE: usize = 20;
/// One second read for so many.
const SHARE: u64 = 20;
const SLOW: Duration = Duration::from_millis(60);
const HEDGE: Duration = Duration::from_millis(20);

/// Under way at the same time, and four times as many wait.
const CONCURRENCY: usize = 2;
const PLACES: usize = CONCURRENCY * 5;
const CALLERS: usize = 100;
/// Longer than the callers of one wave take to come.
const TIMEOUT: Duration = Duration::from_secs(2);

/// A pod that reaches Redis over the wire.
async fn pod(nats: &Nats, wire: &Wire, flags: &[(&str, String)]) -> Sidecar {
    let pod = Sidecar::builder().nats(&nats.url());
    let remote = format!("redis://127.0.0.1:{}", wire.port());
    let pod = pod.flag("--remote", remote);
    let flags = flags.iter();
    let pod = flags.fold(pod, |pod, (name, value)| pod.flag(name, value));
    pod.fresh().await
}

fn millis(time: Duration) -> String {
    format!("{}ms", time.as_millis())
}

async fn read(pod: &Sidecar, key: &str) -> GetResponse {
    let answer = get_after(pod, ("", key), "").await;
    answer.expect("Get answers")
}

/// Reads of keys that were there.
fn hits(redis: &Redis) -> u64 {
    let hits = redis.info("stats", "keyspace_hits");
    hits.trim().parse().expect("a number")
}

#[tokio::test]
async fn slow_reads_are_asked_again_at_most_once_in_twenty_and_answered_right() {
    let (nats, redis) = (Nats::start(), Redis::start());
    let wire = Wire::start(redis.port()).await;
    let writer = pod(&nats, &wire, &[]).await;
    let keys: Vec<_> = (0..READS).map(|n| format!("key-{n}")).collect();
    join_all(keys.iter().map(|key| set(&writer, key, key))).await;
    let reader = pod(&nats, &wire, &[("--remote-hedge", millis(HEDGE))]).await;
    let before = hits(&redis);
    wire.set(Flow::Slow(SLOW));
    let ask = |key: String| {
        let reader = &reader;
        async move { (read(reader, &key).await, key) }
    };
    let reads = futures::stream::iter(keys).map(ask);
    let answers: Vec<_> = reads.buffer_unordered(AT_ONCE).collect().await;
    for (answer, key) in &answers {
        assert_eq!(found(answer).as_ref(), Some(key), "{answer:?}");
        assert!(answer.degraded.is_none(), "{answer:?}");
    }
    let again = reader.metric("unstale_remote_hedges_total").await;
    assert!((1..=READS as u64 / SHARE).contains(&again), "{again}");
    // The server saw as many as the metric says. The last ones may be on their way.
    let ask = || async {
        let seen = hits(&redis) - before;
        let all = READS as u64 + again;
        (seen == all)
            .then_some(())
            .ok_or(format!("{seen} of {all}"))
    };
    eventually("every read at the server", PATIENCE, ask).await;
    assert_eq!(reader.metric("unstale_remote_timeouts_total").await, 0);
}

/// Whether it says that the tier was not available.
fn is_degraded(answer: &GetResponse) -> bool {
    let reasons = answer
        .degraded
        .iter()
        .flat_map(|degraded| degraded.reasons());
    found(answer).is_none() && reasons.eq([DegradedReason::RemoteUnavailable])
}

async fn shed(pod: &Sidecar) -> u64 {
    pod.metric("unstale_remote_shed_total").await
}

#[tokio::test]
async fn callers_beyond_the_places_are_told_at_once_that_the_tier_is_busy() {
    let (nats, redis) = (Nats::start(), Redis::start());
    let wire = Wire::start(redis.port()).await;
    let flags = [
        ("--remote-concurrency", CONCURRENCY.to_string()),
        ("--remote-timeout", millis(TIMEOUT)),
    ];
    let pod = pod(&nats, &wire, &flags).await;
    set(&pod, "held", "held").await;
    let before = shed(&pod).await;
    wire.set(Flow::Stalled);
    let wave = |name: &'static str| {
        let pod = &pod;
        (0..CALLERS).map(move |n| async move { read(pod, &format!("{name}-{n}")).await })
    };
    let mut first: FuturesUnordered<_> = wave("first").collect();
    // Nobody who has a place is answered before these.
    for _ in PLACES..CALLERS {
        let answer = first.next().await.expect("a call");
        assert!(is_degraded(&answer), "{answer:?}");
    }
    assert_eq!(shed(&pod).await - before, (CALLERS - PLACES) as u64);
    // What waits does not grow: now nobody has a place.
    let second = join_all(wave("second")).await;
    assert!(second.iter().all(is_degraded), "{second:?}");
    assert_eq!(shed(&pod).await - before, (2 * CALLERS - PLACES) as u64);
    assert_eq!(found(&read(&pod, "held").await).as_deref(), Some("held"));
    assert_eq!(first.len(), PLACES, "they still wait");
    wire.set(Flow::Free);
    while let Some(answer) = first.next().await {
        assert_eq!(found(&answer), None, "{answer:?}");
    }
    let ask = || async {
        let answer = read(&pod, "absent").await;
        let whole = answer.degraded.is_none();
        whole.then_some(()).ok_or(format!("{answer:?}"))
    };
    eventually("a tier that is used again", PATIENCE, ask).await;
    let open = "unstale_remote_breaker_transitions_total{to=\"open\"}";
    assert_eq!(pod.metric(open).await, 0, "too much is no outage");
}
