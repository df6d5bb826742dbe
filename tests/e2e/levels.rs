//! How current an answer is: STRONG, min_position, max_staleness, and
//! positions that nobody can reach.

use crate::fleet::Fleet;
use crate::words::{gone, put, read, text};
use std::time::{Duration, Instant};
use unstale::{Cache, EntryOptions, Error, Invalidate, Lookup, ReadLevel, ReadOptions};
use unstale_tests::Sidecar;

const ROUNDS: u32 = 200;
/// A call that waits for its deadline takes this long; a quick answer does not.
const DEADLINE: Duration = Duration::from_secs(20);

async fn with(cache: &Cache, options: ReadOptions) -> Option<String> {
    let answer = cache.get_with("k", options).await;
    match answer.expect("Get answers").result {
        Lookup::Hit(entry) => Some(text(&entry).to_owned()),
        Lookup::Miss => None,
        other => panic!("{other:?}"),
    }
}

/// Fills the L1 of the second pod with each round's value, then invalidates it
/// on the first: `then` says how it reads after that.
async fn rounds(then: impl Fn(&str) -> ReadOptions) {
    let fleet = Fleet::of(2).await;
    let pods = fleet.clients().await;
    for round in 0..ROUNDS {
        let old = round.to_string();
        let position = put(&pods[0], "k", &old, EntryOptions::default()).await;
        let seen = read(&pods[1].after(position), "k").await;
        assert_eq!(seen.as_ref(), Some(&old), "in the other pod's L1");
        let position = gone(&pods[0], Invalidate::default().key("k")).await;
        assert_eq!(with(&pods[1], then(&position)).await, None, "round {round}");
    }
}

#[tokio::test]
async fn after_log_on_one_pod_a_strong_read_on_another_never_returns_the_old_value() {
    rounds(|_| ReadOptions::default().level(ReadLevel::Strong)).await;
}

#[tokio::test]
async fn a_read_with_the_invalidations_position_never_returns_the_old_value() {
    rounds(|position| ReadOptions::default().min_position(position)).await;
}

#[tokio::test]
async fn after_a_write_on_one_pod_a_strong_read_on_another_returns_it() {
    let fleet = Fleet::of(2).await;
    let pods = fleet.clients().await;
    for round in 0..ROUNDS {
        let (writer, reader) = match round % 2 {
            0 => (&pods[0], &pods[1]),
            _ => (&pods[1], &pods[0]),
        };
        let new = round.to_string();
        put(writer, "k", &new, EntryOptions::default()).await;
        let strong = ReadOptions::default().level(ReadLevel::Strong);
        assert_eq!(with(reader, strong).await, Some(new), "round {round}");
    }
}

async fn is_not_reached(pod: &Sidecar, position: String) {
    let endpoint = format!("http://127.0.0.1:{}", pod.port());
    let builder = Cache::builder()
        .strict()
        .endpoint(endpoint)
        .timeout(DEADLINE);
    let cache = builder.connect().await.expect("it is there");
    let began = Instant::now();
    let after = cache.after(position.as_str());
    let (one, many, lease) = tokio::join!(after.get("k"), after.get_many(["k"]), after.lease("k"));
    for error in [one.err(), many.err(), lease.err()] {
        match error {
            Some(Error::DeadlineExceeded { reason, .. }) => {
                assert_eq!(reason, "POSITION_NOT_REACHED");
            }
            other => panic!("{position}: {other:?}"),
        }
    }
    assert!(began.elapsed() < DEADLINE / 2, "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_position_of_another_epoch_or_of_the_future_is_refused_without_waiting() {
    let fleet = Fleet::of(1).await;
    let position = fleet.pods[0].status().await.position;
    let (epoch, _) = position.split_once('-').expect("a position");
    for position in [
        "00000000deadbeef-1".to_owned(),
        format!("{epoch}-1000000"),
        format!("{epoch}-{}", u64::MAX),
    ] {
        is_not_reached(&fleet.pods[0], position).await;
    }
    let alone = Sidecar::builder().fresh().await;
    is_not_reached(&alone, position).await;
}
