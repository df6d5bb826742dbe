//! What a client that misbehaves on a stream costs: itself, and nobody else.

use super::answers::{fill, granted};
use super::{Line, call, calls};
use crate::calls::{duration, get, reason, set};
use std::time::Duration;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;
use unstale_proto::v1::session_answer::Result as Outcome;
use unstale_proto::v1::session_call::Request as Called;
use unstale_proto::v1::{
    GetRequest, LeaseRequest, SessionCall, SessionRequest, SessionResponse, get_response,
};
use unstale_tests::{PATIENCE, Sidecar, eventually};

fn read(key: &str) -> Called {
    Called::Get(GetRequest {
        key: key.into(),
        ..GetRequest::default()
    })
}

fn parked(key: &str) -> Called {
    Called::Lease(LeaseRequest {
        key: key.into(),
        wait: Some(duration(Duration::from_secs(2))),
        ..LeaseRequest::default()
    })
}

/// Someone holds the lease of `k`, so that others wait; its token.
async fn held(line: &mut Line) -> String {
    granted(line.call(1, parked("k")).await)
}

#[tokio::test]
async fn an_id_that_could_be_taken_for_another_ends_its_stream_only() {
    let pod = Sidecar::builder().fresh().await;
    let mut other = Line::to(&pod).await;
    held(&mut other).await;
    let under_way = [call(2, parked("k")), call(2, read("k"))];
    let smaller = [call(2, read("k")), call(1, read("k"))];
    for bad in [
        calls([call(0, read("k"))]),
        calls(under_way),
        calls(smaller),
    ] {
        let mut line = Line::to(&pod).await;
        line.send(bad).await;
        let refused = line.end().await.expect_err("it is refused");
        let expected = (Code::InvalidArgument, "INVALID_REQUEST".to_owned());
        assert_eq!(reason(&refused), expected);
        assert!(refused.message().starts_with("calls.id"), "{refused:?}");
    }
    assert!(matches!(other.call(9, read("k")).await, Outcome::Get(_)));
}

#[tokio::test]
async fn a_message_with_nothing_in_it_does_nothing() {
    let pod = Sidecar::builder().fresh().await;
    let mut line = Line::to(&pod).await;
    line.send(SessionRequest::default()).await;
    assert!(matches!(line.call(1, read("k")).await, Outcome::Get(_)));
}

/// A SessionRequest whose calls are no messages.
#[derive(Clone, PartialEq, prost::Message)]
struct Garbage {
    #[prost(bytes = "vec", repeated, tag = "1")]
    calls: Vec<Vec<u8>>,
}

#[tokio::test]
async fn a_message_that_cannot_be_read_ends_its_stream_with_the_contracts_words() {
    let pod = Sidecar::builder().fresh().await;
    let garbage = Garbage {
        calls: vec![vec![0xff; 5]],
    };
    let refused = said_to(&pod, garbage).await.expect_err("it is refused");
    let expected = (Code::InvalidArgument, "INVALID_REQUEST".to_owned());
    assert_eq!(reason(&refused), expected);
    let long = Garbage {
        calls: vec![vec![0; 6 << 20]],
    };
    let refused = said_to(&pod, long).await.expect_err("it is refused");
    assert_eq!(reason(&refused), expected);
    assert!(refused.message().contains("too long"), "{refused:?}");
    assert_eq!(get(&pod, "k").await, None);
}

async fn said_to(pod: &Sidecar, message: Garbage) -> Result<(), Status> {
    let endpoint = format!("http://127.0.0.1:{}", pod.port());
    let channel = tonic::transport::Endpoint::from_shared(endpoint);
    let channel = channel.expect("an endpoint").connect().await;
    let mut grpc = Grpc::new(channel.expect("it is there"));
    grpc.ready().await.expect("ready");
    let codec: ProstCodec<Garbage, SessionResponse> = ProstCodec::default();
    let path = PathAndQuery::from_static("/unstale.v1.SessionService/Session");
    let messages = Request::new(tokio_stream::once(message));
    let mut answers = grpc.streaming(messages, path, codec).await?.into_inner();
    while answers.message().await?.is_some() {}
    Ok(())
}

#[tokio::test]
async fn an_id_is_used_once_though_its_call_was_cancelled() {
    let pod = Sidecar::builder().fresh().await;
    let mut line = Line::to(&pod).await;
    held(&mut line).await;
    line.begin(2, parked("k")).await;
    line.cancel([2]).await;
    line.begin(2, read("k")).await;
    let refused = line.end().await.expect_err("it is refused");
    assert!(refused.message().starts_with("calls.id"), "{refused:?}");
}

fn is_refused(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Error(error) => error.code == i32::from(Code::ResourceExhausted),
        _ => false,
    }
}

#[tokio::test]
async fn a_call_more_than_may_be_under_way_is_refused_and_cancellations_make_room() {
    let pod = Sidecar::builder().fresh().await;
    let mut line = Line::to(&pod).await;
    held(&mut line).await;
    let last = 1 + u64::from(line.max_calls);
    line.send(calls((2..=last).map(|id| call(id, parked("k")))))
        .await;
    let one_more = line.call(last + 1, read("k")).await;
    assert!(is_refused(&one_more), "{one_more:?}");
    let mut both = calls([call(last + 2, read("k"))]);
    both.cancelled = vec![2];
    line.send(both).await;
    assert!(matches!(line.answer(last + 2).await, Outcome::Get(_)));
}

/// Calls of two bytes, and more bytes in memory than the test allows.
const EMPTY_CALLS: u64 = 700_000;

#[tokio::test]
async fn a_message_of_many_calls_costs_what_it_is_long() {
    let pod = Sidecar::builder().fresh().await;
    let line = Line::with_little_room(&pod).await;
    let empty = (1..=EMPTY_CALLS).map(|id| SessionCall {
        id,
        ..SessionCall::default()
    });
    line.send(calls(empty)).await;
    let ask = || async {
        match pod.metric("unstale_session_calls_total").await {
            0 => Err("not read yet".to_owned()),
            _ => Ok(()),
        }
    };
    eventually("answers that are not read", PATIENCE, ask).await;
    let peak = pod.memory_peak();
    assert!(peak < MEMORY, "{peak} bytes");
}

/// The value that is read, and how often.
const VALUE: usize = 64 * 1024;
const READS: u64 = 8192;
/// Less than a fifth of all answers.
const MEMORY: u64 = 96 << 20;

#[tokio::test]
async fn a_client_that_does_not_read_is_not_read_from_and_costs_others_nothing() {
    let pod = Sidecar::builder().fresh().await;
    set(&pod, "k", &"v".repeat(VALUE)).await;
    let mut line = Line::to(&pod).await;
    let requests = line.requests.clone();
    let sending = tokio::spawn(async move {
        for id in 1..=READS {
            let sent = requests.send(calls([call(id, read("k"))])).await;
            sent.expect("the stream is there");
        }
    });
    for i in 0..200 {
        set(&pod, &format!("other-{i}"), "v").await;
    }
    let mut answered = 0;
    while answered < READS {
        for answer in line.message().await.expect("no error").expect("no end") {
            match answer.result.expect("a result") {
                Outcome::Get(answer) => {
                    let found = answer.result.expect("a result");
                    assert!(matches!(found, get_response::Result::Found(_)));
                }
                other => panic!("{other:?}"),
            }
            answered += 1;
        }
    }
    sending.await.expect("all are sent");
    let peak = pod.memory_peak();
    assert!(peak < MEMORY, "{peak} bytes");
}

/// What is nearly as long as may be, and how many wait for it.
const LARGE: usize = 1000 * 1024;
const WAITING: u64 = 256;

#[tokio::test]
async fn values_that_nobody_reads_are_bounded_in_bytes_and_the_rest_is_refused() {
    let pod = Sidecar::builder().fresh().await;
    let mut holder = Line::to(&pod).await;
    let token = held(&mut holder).await;
    let mut line = Line::with_little_room(&pod).await;
    let wait = Some(duration(PATIENCE / 2));
    let waiting = (1..=WAITING).map(|id| {
        let request = LeaseRequest {
            key: "k".into(),
            wait,
            ..LeaseRequest::default()
        };
        call(id, Called::Lease(request))
    });
    line.send(calls(waiting)).await;
    // What is read is behind those that wait.
    assert!(matches!(
        line.call(WAITING + 1, read("other")).await,
        Outcome::Get(_)
    ));
    // A Set would end the lease before it stores, and one of them might be granted.
    let filled = holder.call(2, fill(token, &"v".repeat(LARGE))).await;
    assert!(matches!(filled, Outcome::Fill(_)), "{filled:?}");
    let ask = || async {
        let (l1, remote) = ("unstale_hits_l1_total", "unstale_hits_remote_total");
        let hits = pod.metric(l1).await + pod.metric(remote).await;
        (hits >= WAITING).then_some(()).ok_or(format!("{hits}"))
    };
    eventually("a value for each that waited", PATIENCE, ask).await;
    let mut refused = 0;
    for id in 1..=WAITING {
        let outcome = line.answer(id).await;
        match is_refused(&outcome) {
            true => refused += 1,
            false => assert!(matches!(outcome, Outcome::Lease(_)), "{outcome:?}"),
        }
    }
    assert!((1..WAITING).contains(&refused), "{refused}");
    let peak = pod.memory_peak();
    assert!(peak < MEMORY, "{peak} bytes");
}

/// Calls in a message, and messages.
const CHURNED: u64 = 1000;
const MESSAGES: u64 = 200;

#[tokio::test]
async fn calls_begun_and_cancelled_without_a_pause_are_bounded_and_cost_others_little() {
    let pod = Sidecar::builder().fresh().await;
    let mut line = Line::to(&pod).await;
    held(&mut line).await;
    let requests = line.requests.clone();
    let sending = tokio::spawn(async move {
        for first in (0..MESSAGES).map(|i| 2 + i * CHURNED) {
            let mut message = calls((first..first + CHURNED).map(|id| call(id, parked("k"))));
            message.cancelled = (first.saturating_sub(CHURNED)..first).collect();
            requests.send(message).await.expect("the stream is there");
        }
    });
    for i in 0..20 {
        set(&pod, &format!("other-{i}"), "v").await;
    }
    sending.await.expect("all are sent");
    let last = 2 + MESSAGES * CHURNED;
    line.cancel(last - CHURNED..last).await;
    assert!(matches!(
        line.call(last, read("other")).await,
        Outcome::Get(_)
    ));
    let peak = pod.memory_peak();
    assert!(peak < MEMORY, "{peak} bytes");
}
