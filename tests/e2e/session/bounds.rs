//! What a client that misbehaves on a stream costs: itself, and nobody else.

use super::{Line, call, calls};
use crate::calls::{duration, get, reason, set};
use std::time::Duration;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;
use unstale_proto::v1::session_answer::Result as Outcome;
use unstale_proto::v1::session_call::Request as Called;
use unstale_proto::v1::{GetRequest, LeaseRequest, SessionRequest, SessionResponse, get_response};
use unstale_tests::Sidecar;

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

/// Someone holds the lease of `k`, so that others wait.
async fn held(line: &mut Line) {
    let first = line.call(1, parked("k")).await;
    assert!(matches!(first, Outcome::Lease(_)), "{first:?}");
}

#[tokio::test]
async fn an_id_that_could_be_taken_for_another_ends_its_stream_only() {
    let pod = Sidecar::builder().fresh().await;
    let mut other = Line::to(&pod).await;
    held(&mut other).await;
    let reused = [call(2, parked("k")), call(2, read("k"))];
    for bad in [calls([call(0, read("k"))]), calls(reused)] {
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
async fn more_calls_than_may_be_under_way_wait_for_their_turn() {
    let pod = Sidecar::builder().fresh().await;
    let mut line = Line::to(&pod).await;
    held(&mut line).await;
    let all = u64::from(line.max_calls) + 100;
    let mut waiting = (2..2 + all).map(|id| call(id, parked("k")));
    let full: Vec<_> = waiting.by_ref().take(line.max_calls as usize).collect();
    line.send(calls(full)).await;
    line.send(calls(waiting)).await;
    line.begin(2 + all, read("k")).await;
    // The holder's term ends, somebody else loads, and so on: each is answered
    // within what it waits at most, and the read behind them, too.
    for id in 2..=2 + all {
        line.answer(id).await;
    }
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
