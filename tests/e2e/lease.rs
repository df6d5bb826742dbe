//! One loader per key in the whole fleet, and one winner per version.

use crate::calls::{
    duration, found, get, get_after, invalidate, patient, reason, set, stored, text, try_set, warm,
};
use crate::fleet::Fleet;
use crate::raw;
use prost::Message as _;
use std::time::Duration;
use tonic::{Code, Status};
use unstale_proto::v1::{
    Ack, BatchLeaseRequest, CompareAndSetRequest, FillRequest, LeaseRequest, VoidedReason,
    compare_and_set_request, compare_and_set_response, fill_request, fill_response, lease_response,
};
use unstale_tests::{PATIENCE, Sidecar};

/// Lease of the key `k`.
pub(crate) async fn lease(pod: &Sidecar, wait: Duration) -> lease_response::Result {
    let request = LeaseRequest {
        key: "k".into(),
        wait: Some(duration(wait)),
        ..LeaseRequest::default()
    };
    let answer = pod.cache().lease(patient(request)).await;
    answer
        .expect("Lease answers")
        .into_inner()
        .result
        .expect("a result")
}

/// The token of a grant.
pub(crate) fn granted(result: lease_response::Result) -> String {
    match result {
        lease_response::Result::Granted(granted) => granted.lease_token,
        other => panic!("not granted: {other:?}"),
    }
}

/// Completes a lease with a text.
pub(crate) async fn fill(
    pod: &Sidecar,
    token: &str,
    value: &str,
) -> Result<fill_response::Result, Status> {
    let request = FillRequest {
        lease_token: token.into(),
        value: Some(fill_request::Value::Text(value.into())),
        ..FillRequest::default()
    };
    let answer = pod.cache().fill(patient(request)).await?.into_inner();
    Ok(answer.result.expect("a result"))
}

#[tokio::test]
async fn of_two_callers_on_two_pods_one_loads_and_the_other_gets_its_value() {
    let fleet = Fleet::of(2).await;
    let none = Duration::ZERO;
    let (a, b) = tokio::join!(lease(&fleet.pods[0], none), lease(&fleet.pods[1], none));
    let (winner, loser, token) = match (a, b) {
        (lease_response::Result::Granted(granted), lease_response::Result::Busy(_)) => {
            (&fleet.pods[0], &fleet.pods[1], granted.lease_token)
        }
        (lease_response::Result::Busy(_), lease_response::Result::Granted(granted)) => {
            (&fleet.pods[1], &fleet.pods[0], granted.lease_token)
        }
        both => panic!("not one granted and one busy: {both:?}"),
    };
    let waiting = lease(loser, Duration::from_secs(10));
    let loading = fill(winner, &token, "loaded");
    let (hit, filled) = tokio::join!(waiting, loading);
    let filled = filled.expect("Fill answers");
    assert!(
        matches!(filled, fill_response::Result::Stored(_)),
        "{filled:?}"
    );
    match hit {
        lease_response::Result::Hit(entry) => assert_eq!(text(&entry), "loaded"),
        other => panic!("the waiting caller got no hit: {other:?}"),
    }
}

#[tokio::test]
async fn a_fill_after_an_invalidation_is_voided() {
    let fleet = Fleet::of(2).await;
    let token = granted(lease(&fleet.pods[0], Duration::ZERO).await);
    let done = invalidate(&fleet.pods[1], "k", Ack::Fleet).await;
    done.expect("OK");
    match fill(&fleet.pods[0], &token, "stale")
        .await
        .expect("an answer")
    {
        fill_response::Result::Voided(voided) => {
            assert_eq!(voided.reason(), VoidedReason::Invalidated);
        }
        other => panic!("not voided: {other:?}"),
    }
    for pod in &fleet.pods {
        assert_eq!(get(pod, "k").await, None);
    }
}

#[tokio::test]
async fn a_token_fills_once() {
    let fleet = Fleet::of(1).await;
    let pod = &fleet.pods[0];
    let token = granted(lease(pod, Duration::ZERO).await);
    let first = fill(pod, &token, "first").await.expect("an answer");
    assert!(
        matches!(first, fill_response::Result::Stored(_)),
        "{first:?}"
    );
    let again = fill(pod, &token, "second").await.expect_err("used");
    let expected = (Code::FailedPrecondition, "UNKNOWN_LEASE".to_owned());
    assert_eq!(reason(&again), expected);
    assert_eq!(get(pod, "k").await.as_deref(), Some("first"));
}

/// The new version, or none after a conflict.
async fn cas(pod: &Sidecar, version: &str, value: &str) -> Option<String> {
    let request = CompareAndSetRequest {
        key: "k".into(),
        expected: Some(compare_and_set_request::Expected::Version(version.into())),
        value: Some(compare_and_set_request::Value::Text(value.into())),
        ..CompareAndSetRequest::default()
    };
    let answer = pod.cache().compare_and_set(patient(request)).await;
    match answer.expect("CompareAndSet answers").into_inner().result {
        Some(compare_and_set_response::Result::Stored(stored)) => Some(stored.version),
        Some(compare_and_set_response::Result::Conflict(_)) => None,
        None => panic!("no result"),
    }
}

#[tokio::test]
async fn exactly_one_compare_and_set_wins_per_version() {
    let fleet = Fleet::of(3).await;
    let first = try_set(&fleet.pods[0], "k", "0", Ack::Log).await;
    let mut version = stored(&first.expect("OK"));
    for round in 1..=20 {
        let value = |pod: u32| format!("{round}-{pod}");
        let (own, others) = ([value(0), value(1), value(2)], version.clone());
        let (a, b, c) = tokio::join!(
            cas(&fleet.pods[0], &others, &own[0]),
            cas(&fleet.pods[1], &others, &own[1]),
            cas(&fleet.pods[2], &others, &own[2]),
        );
        let results = [a, b, c];
        let won: Vec<_> = (0..3).filter(|&pod| results[pod].is_some()).collect();
        assert_eq!(won.len(), 1, "round {round}: {results:?}");
        version = results[won[0]].clone().expect("it won");
        let position = fleet.pods[won[0]].status().await.position;
        for pod in &fleet.pods {
            let seen = get_after(pod, ("", "k"), &position).await.expect("OK");
            assert_eq!(found(&seen).as_deref(), Some(&*own[won[0]]));
        }
    }
}

#[tokio::test]
async fn a_value_that_is_cached_is_a_hit_without_a_loader() {
    let fleet = Fleet::of(2).await;
    let position = set(&fleet.pods[0], "k", "v").await;
    warm(&fleet.pods, "k", "v", &position).await;
    match lease(&fleet.pods[1], Duration::ZERO).await {
        lease_response::Result::Hit(entry) => assert_eq!(text(&entry), "v"),
        other => panic!("no hit: {other:?}"),
    }
}

/// Its caller hangs up before the connection has taken the answer, for which it
/// had no room.
#[tokio::test]
async fn a_lease_that_was_granted_to_who_had_left_is_free_again() {
    let pod = Sidecar::builder().fresh().await;
    let term = Some(duration(Duration::from_secs(120)));
    let one = LeaseRequest {
        key: "k".to_owned(),
        term,
        ..LeaseRequest::default()
    };
    let batched = ["b0", "b1"].map(str::to_owned);
    let batch = BatchLeaseRequest {
        keys: batched.to_vec(),
        term,
        ..BatchLeaseRequest::default()
    };
    raw::hang_up(&pod, "Lease", &one.encode_to_vec()).await;
    raw::hang_up(&pod, "BatchLease", &batch.encode_to_vec()).await;
    for key in [one.key].into_iter().chain(batched) {
        let request = LeaseRequest {
            wait: Some(duration(PATIENCE / 4)),
            key,
            ..LeaseRequest::default()
        };
        let answer = pod.cache().lease(patient(request)).await;
        let result = answer.expect("Lease answers").into_inner().result;
        granted(result.expect("a result"));
    }
}
