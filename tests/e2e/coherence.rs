//! What an acknowledged invalidation or write promises, on three pods.

use crate::calls::{
    found, get, get_after, invalidate, patient, pods, set, set_tagged, stored, try_set, warm,
};
use crate::fleet::Fleet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;
use unstale_proto::v1::{Ack, All, InvalidateRequest};
use unstale_tests::{Sidecar, eventually};

const ALL: [&str; 3] = ["pod-0", "pod-1", "pod-2"];

async fn misses_within(pod: &Sidecar, key: &str, within: Duration) {
    let ask = || async {
        let seen = get(pod, key).await;
        seen.map_or(Ok(()), |old| Err(format!("{old} is still served")))
    };
    eventually("the invalidation", within, ask).await;
}

/// Reads for ever; a value of a round whose invalidation was acknowledged
/// before the read began must not come back.
async fn watch_rounds(pod: &Sidecar, dead: &AtomicU64, stop: &AtomicBool) -> u64 {
    let mut reads = 0;
    while !stop.load(SeqCst) {
        let floor = dead.load(SeqCst);
        if let Some(old) = get(pod, "k").await {
            let round: u64 = old.parse().expect("a round");
            assert!(round > floor, "round {round} was served after {floor} died");
        }
        reads += 1;
    }
    reads
}

#[tokio::test]
async fn after_fleet_no_pod_returns_the_old_value() {
    let fleet = Fleet::of(3).await;
    let (dead, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let rounds = async {
        for round in 1..=30_u64 {
            let writer = &fleet.pods[round as usize % 3];
            let position = set(writer, "k", &round.to_string()).await;
            warm(&fleet.pods, "k", &round.to_string(), &position).await;
            let caller = &fleet.pods[(round as usize + 1) % 3];
            let done = invalidate(caller, "k", Ack::Fleet).await.expect("OK");
            dead.store(round, SeqCst);
            assert_eq!(pods(&done.acked), ALL);
            assert!(done.lapsed.is_empty(), "{:?}", done.lapsed);
            for pod in &fleet.pods {
                assert_eq!(get(pod, "k").await, None);
            }
        }
        stop.store(true, SeqCst);
    };
    let watch = |i: usize| watch_rounds(&fleet.pods[i], &dead, &stop);
    let (_, a, b, c) = tokio::join!(rounds, watch(0), watch(1), watch(2));
    assert!(a > 0 && b > 0 && c > 0);
}

#[tokio::test]
async fn after_a_fleet_write_no_pod_returns_what_was_before() {
    let fleet = Fleet::of(3).await;
    let position = set(&fleet.pods[0], "k", "old").await;
    warm(&fleet.pods, "k", "old", &position).await;
    let answer = try_set(&fleet.pods[1], "k", "new", Ack::Fleet).await;
    stored(&answer.expect("OK"));
    for pod in &fleet.pods {
        let seen = get(pod, "k").await;
        assert_ne!(seen.as_deref(), Some("old"));
    }
    let position = fleet.pods[1].status().await.position;
    warm(&fleet.pods, "k", "new", &position).await;
}

#[tokio::test]
async fn after_log_the_caller_misses_and_the_others_follow() {
    let fleet = Fleet::of(3).await;
    let bound = fleet.pods[0].bound().await;
    let position = set(&fleet.pods[0], "k", "old").await;
    warm(&fleet.pods, "k", "old", &position).await;
    let done = invalidate(&fleet.pods[0], "k", Ack::Log).await.expect("OK");
    assert_eq!(get(&fleet.pods[0], "k").await, None);
    // A reader that hands the position on sees the invalidation at once.
    let after = get_after(&fleet.pods[1], ("", "k"), &done.position).await;
    assert_eq!(found(&after.expect("reached")), None);
    misses_within(&fleet.pods[2], "k", bound).await;
}

#[tokio::test]
async fn after_local_the_caller_misses_and_the_others_follow() {
    let fleet = Fleet::of(3).await;
    let bound = fleet.pods[0].bound().await;
    let position = set(&fleet.pods[0], "k", "old").await;
    warm(&fleet.pods, "k", "old", &position).await;
    let done = invalidate(&fleet.pods[0], "k", Ack::Local)
        .await
        .expect("OK");
    assert_eq!(done.position, "", "the log has not decided yet");
    assert_eq!(get(&fleet.pods[0], "k").await, None);
    for pod in &fleet.pods[1..] {
        misses_within(pod, "k", bound).await;
    }
}

async fn present(pod: &Sidecar, namespace: &str, key: &str, position: &str) -> bool {
    let answer = get_after(pod, (namespace, key), position).await;
    found(&answer.expect("Get answers")).is_some()
}

async fn invalidated(pod: &Sidecar, request: InvalidateRequest) -> String {
    let done = pod.cache().invalidate(patient(request)).await;
    done.expect("OK").into_inner().position
}

#[tokio::test]
async fn a_tag_takes_its_entries_on_every_pod_and_no_others() {
    let fleet = Fleet::of(3).await;
    set_tagged(&fleet.pods[0], "", "red", &["colour", "r"]).await;
    set_tagged(&fleet.pods[1], "", "round", &["shape"]).await;
    // The same tag in another namespace is another tag.
    let position = set_tagged(&fleet.pods[2], "other", "red", &["colour"]).await;
    for pod in &fleet.pods {
        assert!(present(pod, "", "red", &position).await);
        assert!(present(pod, "", "round", &position).await);
        assert!(present(pod, "other", "red", &position).await);
    }
    let request = InvalidateRequest {
        tags: vec!["colour".into()],
        ack: Ack::Fleet.into(),
        ..InvalidateRequest::default()
    };
    let position = invalidated(&fleet.pods[1], request).await;
    for pod in &fleet.pods {
        assert!(!present(pod, "", "red", "").await);
        assert!(present(pod, "", "round", &position).await);
        assert!(present(pod, "other", "red", &position).await);
    }
}

#[tokio::test]
async fn a_namespace_goes_on_every_pod_and_no_other_does() {
    let fleet = Fleet::of(3).await;
    set_tagged(&fleet.pods[0], "gone", "a", &[]).await;
    set_tagged(&fleet.pods[1], "gone", "b", &["t"]).await;
    let position = set_tagged(&fleet.pods[2], "stays", "a", &[]).await;
    for pod in &fleet.pods {
        assert!(present(pod, "gone", "a", &position).await);
        assert!(present(pod, "gone", "b", &position).await);
    }
    let request = InvalidateRequest {
        namespace: "gone".into(),
        all: Some(All {}),
        ack: Ack::Fleet.into(),
        ..InvalidateRequest::default()
    };
    let position = invalidated(&fleet.pods[2], request).await;
    for pod in &fleet.pods {
        assert!(!present(pod, "gone", "a", "").await);
        assert!(!present(pod, "gone", "b", "").await);
        assert!(present(pod, "stays", "a", &position).await);
    }
}
