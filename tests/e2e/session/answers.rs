//! A call on a stream is answered as by itself, errors with all their details,
//! in whatever order calls are done.

use super::{Line, call, calls};
use crate::calls::{duration, set};
use std::time::Duration;
use tonic::{Code, Request, Status};
use unstale_proto::v1::session_answer::Result as Outcome;
use unstale_proto::v1::session_call::Request as Called;
use unstale_proto::v1::{self, SessionCall};
use unstale_tests::Sidecar;

fn get(key: &str) -> Called {
    Called::Get(v1::GetRequest {
        key: key.into(),
        ..v1::GetRequest::default()
    })
}

fn lease(key: &str, wait: Duration) -> Called {
    Called::Lease(v1::LeaseRequest {
        key: key.into(),
        wait: Some(duration(wait)),
        ..v1::LeaseRequest::default()
    })
}

pub(super) fn fill(token: String, value: &str) -> Called {
    Called::Fill(v1::FillRequest {
        lease_token: token,
        value: Some(v1::fill_request::Value::Text(value.into())),
        ..v1::FillRequest::default()
    })
}

pub(super) fn granted(outcome: Outcome) -> String {
    match outcome {
        Outcome::Lease(v1::LeaseResponse {
            result: Some(v1::lease_response::Result::Granted(granted)),
            ..
        }) => granted.lease_token,
        other => panic!("not granted: {other:?}"),
    }
}

/// What the bad request of a kind is told by itself.
macro_rules! by_itself {
    ($pod:ident, $($kind:ident, $request:ident, $method:ident;)*) => {
        [$((
            Called::$kind(v1::$request::default()),
            $pod.cache().$method(v1::$request::default()).await.err(),
        )),*]
    };
}

#[tokio::test]
async fn every_kind_of_call_fails_as_by_itself() {
    let pod = Sidecar::builder().fresh().await;
    let mut line = Line::to(&pod).await;
    let refused = by_itself! { pod,
        Get, GetRequest, get;
        BatchGet, BatchGetRequest, batch_get;
        Set, SetRequest, set;
        BatchSet, BatchSetRequest, batch_set;
        CompareAndSet, CompareAndSetRequest, compare_and_set;
        Lease, LeaseRequest, lease;
        BatchLease, BatchLeaseRequest, batch_lease;
        Renew, RenewRequest, renew;
        Fill, FillRequest, fill;
        Abandon, AbandonRequest, abandon;
        Invalidate, InvalidateRequest, invalidate;
    };
    for (id, (request, status)) in (1..).zip(refused) {
        let status: Option<Status> = status;
        match (line.call(id, request).await, status) {
            // A batch of nothing is a good one.
            (Outcome::BatchGet(_) | Outcome::BatchSet(_) | Outcome::BatchLease(_), None) => {}
            (Outcome::Error(error), Some(status)) => {
                assert_eq!(error.code, i32::from(status.code()));
                assert_eq!(error.message, status.message());
                let details = prost::Message::encode_to_vec(&error);
                assert_eq!(details, status.details(), "{status:?}");
                assert!(!error.details.is_empty());
            }
            (other, status) => panic!("{other:?}, by itself {status:?}"),
        }
    }
}

#[tokio::test]
async fn a_write_on_a_stream_is_read_by_itself_and_the_other_way_round() {
    let pod = Sidecar::builder().fresh().await;
    let mut line = Line::to(&pod).await;
    let request = v1::SetRequest {
        key: "k".into(),
        value: Some(v1::set_request::Value::Text("v".into())),
        ..v1::SetRequest::default()
    };
    match line.call(1, Called::Set(request)).await {
        Outcome::Set(answer) => crate::calls::stored(&answer),
        other => panic!("{other:?}"),
    };
    assert_eq!(crate::calls::get(&pod, "k").await.as_deref(), Some("v"));
    set(&pod, "k", "w").await;
    match line.call(2, get("k")).await {
        Outcome::Get(answer) => {
            assert_eq!(crate::calls::found(&answer).as_deref(), Some("w"));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_call_that_waits_holds_up_none_that_came_later() {
    let pod = Sidecar::builder().fresh().await;
    let mut line = Line::to(&pod).await;
    let token = granted(line.call(1, lease("k", Duration::ZERO)).await);
    line.begin(2, lease("k", Duration::from_secs(10))).await;
    // Answered while the lease is parked, which only the fill below ends.
    assert!(matches!(line.call(3, get("other")).await, Outcome::Get(_)));
    assert!(line.early.is_empty(), "{:?}", line.early);
    assert!(matches!(
        line.call(4, fill(token, "v")).await,
        Outcome::Fill(_)
    ));
    match line.answer(2).await {
        Outcome::Lease(answer) => {
            let hit = matches!(answer.result, Some(v1::lease_response::Result::Hit(_)));
            assert!(hit, "{answer:?}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn calls_that_were_cancelled_have_no_answer_and_do_nothing_more() {
    let pod = Sidecar::builder().fresh().await;
    let mut line = Line::to(&pod).await;
    let token = granted(line.call(1, lease("k", Duration::ZERO)).await);
    let wait = Duration::from_secs(10);
    line.send(calls((2..60).map(|id| call(id, lease("k", wait)))))
        .await;
    line.cancel(2..59).await;
    // Read after the cancellations, as all is read in order.
    assert!(matches!(line.call(60, get("other")).await, Outcome::Get(_)));
    let fill = fill(token, "v");
    assert!(matches!(line.call(61, fill).await, Outcome::Fill(_)));
    // The one that was left; with it all others would have been answered.
    assert!(matches!(line.answer(59).await, Outcome::Lease(_)));
    assert!(line.early.is_empty(), "{:?}", line.early);
    let leases = r#"unstale_requests_total{rpc="Lease",code="Ok"}"#;
    assert_eq!(pod.metric(leases).await, 2);
    // Not under way any more: nothing happens.
    line.cancel([2, 99]).await;
    assert!(matches!(line.call(62, get("other")).await, Outcome::Get(_)));
}

#[tokio::test]
async fn a_call_without_time_is_not_begun() {
    let pod = Sidecar::builder().fresh().await;
    let mut line = Line::to(&pod).await;
    let none = [(0, 0), (-1, 0), (0, -1), (i64::MIN, 0), (0, i32::MIN)];
    for (id, (seconds, nanos)) in (1..).zip(none) {
        let mut late = call(id, get("k"));
        late.timeout = Some(prost_types::Duration { seconds, nanos });
        line.send(calls([late])).await;
        match line.answer(id).await {
            Outcome::Error(error) => {
                assert_eq!(error.code, i32::from(Code::DeadlineExceeded));
                assert!(error.message.contains("nothing was done"), "{error:?}");
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_kind_that_is_not_known_fails_by_itself() {
    let pod = Sidecar::builder().fresh().await;
    let mut line = Line::to(&pod).await;
    let unknown = SessionCall {
        request: None,
        ..call(1, get("k"))
    };
    line.send(calls([unknown, call(2, get("k"))])).await;
    match line.answer(1).await {
        Outcome::Error(error) => assert_eq!(error.code, i32::from(Code::Unimplemented)),
        other => panic!("{other:?}"),
    }
    assert!(matches!(line.answer(2).await, Outcome::Get(_)));
}

#[tokio::test]
async fn calls_are_counted_as_those_by_themselves() {
    let pod = Sidecar::builder().fresh().await;
    let mut line = Line::to(&pod).await;
    line.send(calls((1..=7).map(|id| call(id, get("k"))))).await;
    for id in 1..=7 {
        assert!(matches!(line.answer(id).await, Outcome::Get(_)));
    }
    let request = Request::new(v1::GetRequest::default());
    pod.cache().get(request).await.expect_err("no key");
    let ok = r#"unstale_requests_total{rpc="Get",code="Ok"}"#;
    assert_eq!(pod.metric(ok).await, 7);
    assert_eq!(pod.metric("unstale_session_calls_total").await, 7);
    let opened = r#"unstale_requests_total{rpc="Session",code="Ok"}"#;
    assert_eq!(pod.metric(opened).await, 1);
}
