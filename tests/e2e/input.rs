//! Bad input: the code and reason of each mistake, and nothing stored is lost.

use crate::calls::{duration, get, patient, reason, set};
use crate::raw;
use prost::Message as _;
use std::time::Duration;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use unstale_proto::v1::{
    AbandonRequest, BatchGetRequest, CompareAndSetRequest, FillRequest, GetRequest,
    InvalidateRequest, LeaseRequest, RenewRequest, SetRequest, compare_and_set_request,
    fill_request, set_request,
};
use unstale_tests::Sidecar;

/// The largest value that is taken: 1 MiB less the envelope.
const VALUE_BYTES: usize = 1024 * 1024 - 8 * 1024;

fn good() -> SetRequest {
    SetRequest {
        key: "k".into(),
        value: Some(set_request::Value::Text("v".into())),
        ..SetRequest::default()
    }
}

fn fields(status: &Status) -> Vec<String> {
    let details = status.get_error_details();
    let bad = details.bad_request().expect("a BadRequest");
    let each = bad.field_violations.iter();
    each.map(|v| v.field.clone()).collect()
}

async fn refused(pod: &Sidecar, request: SetRequest) -> Status {
    let answer = pod.cache().set(patient(request)).await;
    answer.expect_err("it must be refused")
}

fn is_invalid(status: &Status, field: &str) {
    let expected = (Code::InvalidArgument, "INVALID_REQUEST".to_owned());
    assert_eq!(reason(status), expected, "{field}: {status:?}");
    assert_eq!(fields(status), [field]);
}

async fn local() -> Sidecar {
    Sidecar::builder().fresh().await
}

/// The field that is named, and what is done to a good request.
type Mistake = (&'static str, fn(&mut SetRequest));

const MISTAKES: [Mistake; 18] = [
    ("key", |r| r.key.clear()),
    ("key", |r| r.key = "k".repeat(513)),
    ("key", |r| r.key = "é".repeat(257)),
    ("ttl", |r| r.ttl = nanoseconds(0)),
    ("ttl", |r| r.ttl = nanoseconds(-1)),
    ("ttl", |r| r.ttl = nanoseconds(999_999)),
    ("ttl", |r| r.ttl = seconds(30 * 86_400 + 1)),
    ("ttl", |r| r.ttl = seconds(i64::MAX)),
    ("tags", |r| {
        r.tags = (0..17).map(|i| i.to_string()).collect()
    }),
    ("tags[0]", |r| r.tags = vec![String::new()]),
    ("tags[1]", |r| r.tags = vec!["t".into(), "t".repeat(129)]),
    ("namespace", |r| r.namespace = "Über".into()),
    ("namespace", |r| r.namespace = "a b".into()),
    ("namespace", |r| r.namespace = "n".repeat(64)),
    ("value", |r| r.value = None),
    ("content_type", |r| r.content_type = "c".repeat(129)),
    ("position", |r| r.position = "nonsense".into()),
    ("ack", |r| r.ack = 99),
];

fn seconds(seconds: i64) -> Option<prost_types::Duration> {
    Some(prost_types::Duration { seconds, nanos: 0 })
}

fn nanoseconds(nanos: i32) -> Option<prost_types::Duration> {
    Some(prost_types::Duration { seconds: 0, nanos })
}

#[tokio::test]
async fn every_field_of_a_set_is_judged() {
    let pod = local().await;
    set(&pod, "k", "kept").await;
    for (field, spoil) in MISTAKES {
        let mut request = good();
        spoil(&mut request);
        is_invalid(&refused(&pod, request).await, field);
    }
    assert_eq!(get(&pod, "k").await.as_deref(), Some("kept"));
}

#[tokio::test]
async fn everything_wrong_with_a_request_is_said_at_once() {
    let pod = local().await;
    let request = SetRequest {
        namespace: "A".into(),
        ttl: Some(prost_types::Duration::default()),
        tags: vec!["t".into(); 17],
        content_type: "c".repeat(129),
        position: "?".into(),
        ..SetRequest::default()
    };
    let status = refused(&pod, request).await;
    let mut named = fields(&status);
    named.sort_unstable();
    let expected = [
        "content_type",
        "key",
        "namespace",
        "position",
        "tags",
        "ttl",
        "value",
    ];
    assert_eq!(named, expected);
}

#[tokio::test]
async fn the_limits_themselves_are_allowed() {
    let pod = local().await;
    let request = SetRequest {
        namespace: "n".repeat(63),
        key: "k".repeat(512),
        value: Some(set_request::Value::Data(vec![7; VALUE_BYTES].into())),
        content_type: "c".repeat(128),
        tags: (10..26).map(|i| i.to_string().repeat(64)).collect(),
        ttl: Some(duration(Duration::from_secs(30 * 86_400))),
        ..SetRequest::default()
    };
    let answer = pod.cache().set(patient(request)).await;
    answer.expect("everything is within its limit");
}

#[tokio::test]
async fn a_value_over_the_limit_has_its_own_reason() {
    let pod = local().await;
    // One byte too long is judged by us, 8 MiB already by the decoder.
    for bytes in [VALUE_BYTES + 1, 8 << 20] {
        let value = Some(set_request::Value::Data(vec![0; bytes].into()));
        let status = refused(&pod, SetRequest { value, ..good() }).await;
        let expected = (Code::InvalidArgument, "VALUE_TOO_LARGE".to_owned());
        assert_eq!(reason(&status), expected, "{bytes}");
        let details = status.get_error_details();
        let limit = &details.error_info().expect("ErrorInfo").metadata["limit_bytes"];
        assert_eq!(*limit, VALUE_BYTES.to_string());
    }
    let value = Some(set_request::Value::Text("fits".into()));
    let answer = pod
        .cache()
        .set(patient(SetRequest { value, ..good() }))
        .await;
    answer.expect("the connection still works");
}

#[tokio::test]
async fn the_other_calls_judge_their_fields_too() {
    let pod = local().await;
    let mut cache = pod.cache();
    let get = cache.get(GetRequest::default()).await;
    is_invalid(&get.expect_err("no key"), "key");
    let keys = vec!["k".to_owned(); 257];
    let batch = BatchGetRequest {
        keys,
        ..BatchGetRequest::default()
    };
    is_invalid(&cache.batch_get(batch).await.expect_err("257"), "keys");
    let none = cache.invalidate(InvalidateRequest::default()).await;
    is_invalid(&none.expect_err("nothing to invalidate"), "keys");
    let lease = LeaseRequest {
        key: "k".into(),
        term: Some(duration(Duration::from_millis(99))),
        ..LeaseRequest::default()
    };
    is_invalid(&cache.lease(lease).await.expect_err("short"), "term");
    let cas = CompareAndSetRequest {
        key: "k".into(),
        value: Some(compare_and_set_request::Value::Text("v".into())),
        ..CompareAndSetRequest::default()
    };
    is_invalid(
        &cache.compare_and_set(cas).await.expect_err("bare"),
        "expected",
    );
}

#[tokio::test]
async fn a_token_nobody_granted_is_a_failed_precondition() {
    let pod = local().await;
    let mut cache = pod.cache();
    let expected = (Code::FailedPrecondition, "UNKNOWN_LEASE".to_owned());
    for token in ["", "nonsense", "00112233445566778899aabbccddeeff"] {
        let fill = FillRequest {
            lease_token: token.into(),
            value: Some(fill_request::Value::Text("v".into())),
            ..FillRequest::default()
        };
        let fill = cache.fill(fill).await.expect_err("unknown");
        assert_eq!(reason(&fill), expected, "{token}");
        let lease_token = token.to_owned();
        let renew = cache.renew(RenewRequest { lease_token }).await;
        assert_eq!(reason(&renew.expect_err("unknown")), expected, "{token}");
        let lease_token = token.to_owned();
        let abandon = cache
            .abandon(AbandonRequest {
                lease_token,
                ..AbandonRequest::default()
            })
            .await;
        assert_eq!(reason(&abandon.expect_err("unknown")), expected, "{token}");
    }
}

#[tokio::test]
async fn a_call_whose_deadline_has_passed_does_nothing() {
    let pod = local().await;
    let message = good().encode_to_vec();
    let status = raw::call(&pod, "Set", Some("0n"), &message).await;
    let expected = (Code::DeadlineExceeded, "DEADLINE_EXCEEDED".to_owned());
    assert_eq!(reason(&status), expected);
    assert_eq!(get(&pod, "k").await, None);
}

#[tokio::test]
async fn a_key_that_is_not_utf8_is_invalid() {
    let pod = local().await;
    // Field 2, two bytes that no UTF-8 text has.
    let status = raw::call(&pod, "Get", None, &[0x12, 2, 0xff, 0xfe]).await;
    let expected = (Code::InvalidArgument, "INVALID_REQUEST".to_owned());
    assert_eq!(reason(&status), expected);
}

/// A later position of the same log: the part after the dash counts records.
fn ahead(position: &str) -> String {
    let (epoch, sequence) = position.split_once('-').expect("two parts");
    let sequence: u64 = sequence.parse().expect("a number");
    format!("{epoch}-{}", sequence + 1000)
}

#[tokio::test]
async fn a_position_that_is_not_reached_in_time_is_an_error_of_its_own() {
    let pod = local().await;
    set(&pod, "k", "v").await;
    let position = ahead(&pod.status().await.position);
    let mut request = patient(GetRequest {
        key: "k".into(),
        min_position: position,
        ..GetRequest::default()
    });
    request.set_timeout(Duration::from_millis(500));
    let late = pod.cache().get(request).await.expect_err("never reached");
    let expected = (Code::DeadlineExceeded, "POSITION_NOT_REACHED".to_owned());
    assert_eq!(reason(&late), expected);
}
