//! Source versions: the origin's own numbers decide what is older, on every
//! pod, also after the entry that taught them is gone.

use crate::fleet::Fleet;
use crate::sdk::client;
use crate::words::{gone, grant, put, read, text};
use unstale::{
    Ack, Answer, Cache, CasOutcome, EntryOptions, Expected, Filled, Invalidate, Lookup,
    NotStoredReason, SetOptions, SetOutcome, Voided,
};

fn version(number: u64) -> EntryOptions {
    EntryOptions::default().source_version(number)
}

async fn set(cache: &Cache, value: &str, number: u64) -> Answer<SetOutcome> {
    let options = SetOptions::from(version(number));
    let set = cache.set_with("k", value, options).await;
    set.expect("Set answers")
}

async fn is_stored(cache: &Cache, value: &str, number: u64) -> String {
    let set = set(cache, value, number).await;
    assert!(matches!(set.result, SetOutcome::Stored { .. }), "{set:?}");
    set.position
}

/// Refused, with the least version that is accepted.
async fn is_refused(cache: &Cache, number: u64, least: u64) {
    let set = set(cache, "older", number).await;
    let SetOutcome::NotStored { reason, .. } = set.result else {
        panic!("version {number} was stored: {set:?}");
    };
    let expected = NotStoredReason::OlderSourceVersion {
        min_source_version: least,
    };
    assert_eq!(reason, expected);
}

async fn fill(cache: &Cache, token: &str, number: u64) -> Filled {
    let filled = cache.fill(token, "filled", version(number)).await;
    filled.expect("Fill answers").result
}

fn lagging(least: u64) -> Filled {
    Filled::Voided(Voided::OlderSourceVersion {
        min_source_version: least,
    })
}

#[tokio::test]
async fn an_older_set_is_refused_on_every_pod_and_says_what_is_known() {
    let fleet = Fleet::of(2).await;
    let pods = fleet.clients().await;
    let position = is_stored(&pods[0], "five", 5).await;
    for pod in &pods {
        assert!(read(&pod.after(&position), "k").await.is_some());
        let set = set(pod, "four", 4).await;
        match set.result {
            SetOutcome::NotStored { reason, current } => {
                let least = NotStoredReason::OlderSourceVersion {
                    min_source_version: 5,
                };
                assert_eq!(reason, least);
                let current = current.expect("what is cached");
                assert_eq!(text(&current), "five");
                assert_eq!(current.source_version, Some(5));
            }
            stored => panic!("{stored:?}"),
        }
        assert_eq!(read(pod, "k").await.as_deref(), Some("five"));
    }
    let position = is_stored(&pods[1], "six", 6).await;
    let seen = read(&pods[0].after(position), "k").await;
    assert_eq!(seen.as_deref(), Some("six"));
}

#[tokio::test]
async fn an_older_set_is_refused_after_the_entry_was_invalidated() {
    let fleet = Fleet::of(2).await;
    let pods = fleet.clients().await;
    is_stored(&pods[0], "nine", 9).await;
    let position = gone(&pods[0], Invalidate::default().key("k")).await;
    for pod in &pods {
        assert_eq!(read(&pod.after(&position), "k").await, None);
        is_refused(pod, 8, 9).await;
    }
    let late = fleet.late().await;
    let late = client(&late).await;
    is_refused(&late, 8, 9).await;
    let lease = grant(&late, "k").await;
    assert_eq!(fill(&late, &lease.token, 8).await, lagging(9));
    is_stored(&late, "nine again", 9).await;
}

#[tokio::test]
async fn min_source_version_binds_every_pod_and_those_that_come_later() {
    let fleet = Fleet::of(2).await;
    let pods = fleet.clients().await;
    is_stored(&pods[0], "five", 5).await;
    let what = Invalidate::default().key("k").min_source_version(7);
    let position = gone(&pods[0], what).await;
    assert_eq!(read(&pods[1].after(&position), "k").await, None);
    is_refused(&pods[1], 6, 7).await;
    let lease = grant(&pods[1], "k").await;
    assert_eq!(fill(&pods[1], &lease.token, 6).await, lagging(7));
    let late = fleet.late().await;
    let late = client(&late).await;
    is_refused(&late, 6, 7).await;
    let lease = grant(&late, "k").await;
    assert_eq!(fill(&late, &lease.token, 6).await, lagging(7));
    let lease = grant(&late, "k").await;
    let stored = fill(&late, &lease.token, 7).await;
    assert!(matches!(stored, Filled::Stored { .. }), "{stored:?}");
}

#[tokio::test]
async fn a_fill_of_a_replica_that_lags_behind_the_stale_value_is_voided() {
    let fleet = Fleet::of(2).await;
    let pods = fleet.clients().await;
    let entry = || version(5).stale_for(std::time::Duration::from_secs(60));
    // Filled, not set: the log never told of version 5.
    let lease = grant(&pods[0], "k").await;
    let filled = pods[0].fill(&lease.token, "five", entry()).await;
    let filled = filled.expect("Fill answers").result;
    assert!(matches!(filled, Filled::Stored { .. }), "{filled:?}");
    let position = gone(&pods[0], Invalidate::default().key("k").soft()).await;
    let other = pods[1].after(position);
    let lease = grant(&other, "k").await;
    assert_eq!(fill(&other, &lease.token, 4).await, lagging(5));
    let lease = grant(&other, "k").await;
    let stored = fill(&other, &lease.token, 5).await;
    assert!(matches!(stored, Filled::Stored { .. }), "{stored:?}");
}

#[tokio::test]
async fn a_fill_that_a_newer_write_overtook_is_voided_or_outranked() {
    let fleet = Fleet::of(2).await;
    let pods = fleet.clients().await;
    let lease = grant(&pods[0], "k").await;
    let position = is_stored(&pods[1], "eight", 8).await;
    let after = pods[0].after(position);
    assert_eq!(read(&after, "k").await.as_deref(), Some("eight"));
    let late = fill(&pods[0], &lease.token, 9).await;
    assert!(matches!(late, Filled::Voided(_)), "{late:?}");
    for pod in &pods {
        assert_eq!(read(pod, "k").await.as_deref(), Some("eight"));
    }
}

#[tokio::test]
async fn compare_and_set_does_not_store_an_older_version() {
    let fleet = Fleet::of(2).await;
    let pods = fleet.clients().await;
    let position = is_stored(&pods[0], "five", 5).await;
    assert!(read(&pods[1].after(&position), "k").await.is_some());
    let gone_at = gone(&pods[0], Invalidate::default().key("k")).await;
    assert_eq!(read(&pods[1].after(gone_at), "k").await, None);
    let cas = |number| {
        let absent = Expected::Absent;
        pods[1].compare_and_set("k", absent, "new", version(number), Ack::Log)
    };
    let older = cas(4).await.expect("CompareAndSet answers").result;
    let least = NotStoredReason::OlderSourceVersion {
        min_source_version: 5,
    };
    let refused = CasOutcome::Conflict {
        reason: Some(least),
        current: Box::new(Lookup::Miss),
    };
    assert_eq!(older, refused);
    let newer = cas(6).await.expect("CompareAndSet answers").result;
    assert!(matches!(newer, CasOutcome::Stored { .. }), "{newer:?}");
}

#[tokio::test]
async fn of_two_pods_that_race_the_higher_version_stays() {
    let fleet = Fleet::of(2).await;
    let pods = fleet.clients().await;
    for round in 0..20 {
        let (low, high) = (round * 2 + 1, round * 2 + 2);
        let (older, newer) = tokio::join!(set(&pods[0], "low", low), set(&pods[1], "high", high));
        assert!(
            matches!(newer.result, SetOutcome::Stored { .. }),
            "{newer:?}"
        );
        let after = pods[0].after(older.position).after(newer.position);
        let seen = read(&after, "k").await;
        assert_ne!(seen.as_deref(), Some("low"), "round {round}");
    }
    let position = put(&pods[0], "k", "end", version(1_000)).await;
    let seen = read(&pods[1].after(position), "k").await;
    assert_eq!(seen.as_deref(), Some("end"));
}
