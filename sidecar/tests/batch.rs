//! Batches against a real sidecar: one result per key, and limits that do not
//! fail the whole.

#![allow(clippy::unwrap_used, reason = "a test may panic")]
mod serving;

use serving::Serving;
use std::time::Duration;
use tonic::transport::Channel;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use unstale_proto::v1::batch_lease_result::Result as Leased;
use unstale_proto::v1::cache_service_client::CacheServiceClient;
use unstale_proto::v1::{
    self, batch_get_result::Result as Got, batch_set_item::Value, batch_set_result::Result as Wrote,
};

const MIB: usize = 1 << 20;

struct Sidecar(Serving);

impl Sidecar {
    async fn start() -> Self {
        Self(Serving::start::<&str>([]).await)
    }

    async fn set(&mut self, items: Vec<v1::BatchSetItem>) -> Result<v1::BatchSetResponse, Status> {
        let request = v1::BatchSetRequest {
            items,
            ..v1::BatchSetRequest::default()
        };
        let answer = self.0.cache.batch_set(request).await;
        answer.map(tonic::Response::into_inner)
    }

    async fn get(&mut self, keys: &[&str]) -> v1::BatchGetResponse {
        let request = v1::BatchGetRequest {
            keys: keys.iter().map(|key| (*key).into()).collect(),
            ..v1::BatchGetRequest::default()
        };
        self.0.cache.batch_get(request).await.unwrap().into_inner()
    }
}

async fn lease(
    mut cache: CacheServiceClient<Channel>,
    keys: &[&str],
    wait: u64,
) -> v1::BatchLeaseResponse {
    let request = v1::BatchLeaseRequest {
        keys: keys.iter().map(|key| (*key).into()).collect(),
        wait: Some(Duration::from_secs(wait).try_into().unwrap()),
        ..v1::BatchLeaseRequest::default()
    };
    cache.batch_lease(request).await.unwrap().into_inner()
}

fn item(key: &str, bytes: usize) -> v1::BatchSetItem {
    v1::BatchSetItem {
        key: key.into(),
        value: Some(Value::Data(vec![7; bytes].into())),
        ..v1::BatchSetItem::default()
    }
}

fn left_out(degraded: Option<v1::Degraded>) -> bool {
    let reason = i32::from(v1::DegradedReason::AnswerTooLarge);
    degraded.is_some_and(|degraded| degraded.reasons.contains(&reason))
}

fn token(answer: &v1::BatchLeaseResponse, i: usize) -> String {
    match answer.results[i].result.as_ref().unwrap() {
        Leased::Granted(granted) => granted.lease_token.clone(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn each_write_of_a_batch_is_decided_by_itself() {
    let mut sidecar = Sidecar::start().await;
    sidecar.set(vec![item("b", 1)]).await.unwrap();
    let absent = v1::BatchSetItem {
        if_absent: Some(v1::IfAbsent {}),
        ..item("b", 2)
    };
    let nothing = v1::BatchSetItem {
        value: Some(Value::NotFound(v1::NotFound {})),
        ..item("c", 0)
    };
    let answer = sidecar
        .set(vec![item("a", 3), absent, nothing])
        .await
        .unwrap();
    let keys: Vec<_> = answer
        .results
        .iter()
        .map(|result| result.key.as_str())
        .collect();
    assert_eq!(keys, ["a", "b", "c"]);
    let [a, b, c] = [0, 1, 2].map(|i: usize| answer.results[i].result.clone().unwrap());
    assert!(matches!(a, Wrote::Stored(_)), "{a:?}");
    assert!(matches!(c, Wrote::Stored(_)), "{c:?}");
    let Wrote::NotStored(b) = b else {
        panic!("{b:?}")
    };
    assert_eq!(b.reason(), v1::NotStoredReason::Present);
    let found = sidecar.get(&["a", "b", "c", "d"]).await;
    let [a, b, c, d] = [0, 1, 2, 3].map(|i: usize| found.results[i].result.clone().unwrap());
    assert!(matches!(a, Got::Found(_)) && matches!(b, Got::Found(_)));
    assert!(matches!(c, Got::Negative(_)), "{c:?}");
    assert!(matches!(d, Got::Missing(_)), "{d:?}");
}

#[tokio::test]
async fn a_bad_batch_is_refused_whole_with_every_violation() {
    let mut sidecar = Sidecar::start().await;
    let status = sidecar
        .set(vec![item("a", 1), item("", 1), item("a", 2)])
        .await
        .unwrap_err();
    let details = status.get_error_details();
    let named = &details.bad_request().unwrap().field_violations;
    let fields: Vec<_> = named
        .iter()
        .map(|violation| violation.field.as_str())
        .collect();
    assert_eq!(fields, ["items[2].key", "items[1].key"]);
    let found = sidecar.get(&["a"]).await;
    assert!(matches!(found.results[0].result, Some(Got::Missing(_))));
    let large = (0..6).map(|i| item(&i.to_string(), MIB - 8192)).collect();
    let status = sidecar.set(large).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    let details = status.get_error_details();
    assert_eq!(details.error_info().unwrap().reason, "BATCH_TOO_LARGE");
}

#[tokio::test]
async fn values_without_room_are_left_out_and_found_when_asked_again() {
    let mut sidecar = Sidecar::start().await;
    let keys = ["0", "1", "2", "3", "4", "5"];
    for key in keys {
        sidecar.set(vec![item(key, MIB - 8192)]).await.unwrap();
    }
    let answer = sidecar.get(&keys).await;
    let missing = |result: &v1::BatchGetResult| matches!(result.result, Some(Got::Missing(_)));
    let were: Vec<_> = answer.results.iter().map(missing).collect();
    assert_eq!(were, [false, false, false, false, true, true]);
    assert!(left_out(answer.degraded));
    let answer = sidecar.get(&keys[4..]).await;
    assert!(!answer.results.iter().any(missing));
    assert!(!left_out(answer.degraded));
    // With leases: never granted, what is there is not to be loaded.
    let answer = lease(sidecar.0.cache.clone(), &keys, 0).await;
    let results = answer
        .results
        .into_iter()
        .map(|result| result.result.unwrap());
    let (hits, others): (Vec<_>, Vec<_>) =
        results.partition(|result| matches!(result, Leased::Hit(_)));
    assert_eq!((hits.len(), others.len()), (4, 2));
    assert!(
        others
            .iter()
            .all(|result| matches!(result, Leased::Busy(_)))
    );
    assert!(left_out(answer.degraded));
}

#[tokio::test]
async fn two_batches_that_want_each_others_keys_do_not_wait_for_each_other() {
    let sidecar = Sidecar::start().await;
    let cache = || sidecar.0.cache.clone();
    let first = lease(cache(), &["a", "b"], 30).await;
    assert_ne!(token(&first, 0), token(&first, 1), "a token per key");
    // Holds c, and does not wait for a and b.
    let second = lease(cache(), &["a", "c", "b"], 30).await;
    token(&second, 1);
    assert!(matches!(second.results[0].result, Some(Leased::Busy(_))));
    // Holds nothing: waits, and gets the value as soon as it is there.
    let third = lease(cache(), &["a"], 30);
    let fill = async {
        let request = v1::FillRequest {
            lease_token: token(&first, 0),
            value: Some(v1::fill_request::Value::NotFound(v1::NotFound {})),
            ..v1::FillRequest::default()
        };
        cache().fill(request).await.unwrap();
    };
    let (third, ()) = tokio::join!(third, fill);
    let result = third.results[0].result.as_ref();
    assert!(matches!(result, Some(Leased::Negative(_))), "{result:?}");
}

#[tokio::test]
async fn a_key_that_is_leased_twice_in_a_batch_is_refused() {
    let mut sidecar = Sidecar::start().await;
    let request = v1::BatchLeaseRequest {
        keys: vec!["a".into(), "a".into()],
        ..v1::BatchLeaseRequest::default()
    };
    let status = sidecar.0.cache.batch_lease(request).await.unwrap_err();
    assert!(
        status.message().starts_with("keys[1] "),
        "{}",
        status.message()
    );
}
