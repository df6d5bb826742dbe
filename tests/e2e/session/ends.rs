//! How a stream ends: its caller's side, a drain, a lost connection.

use super::{Line, call, calls};
use crate::calls::{duration, set};
use crate::fleet::Fleet;
use std::time::Duration;
use unstale_proto::v1::session_answer::Result as Outcome;
use unstale_proto::v1::session_call::Request as Called;
use unstale_proto::v1::{AbandonRequest, GetRequest, LeaseRequest, lease_response};
use unstale_tests::{PATIENCE, Sidecar, Signal, eventually};

/// What a drain may take: the sidecar's default of 10 s, and a busy machine.
const DRAIN: Duration = Duration::from_secs(12);

fn lease(wait: Duration) -> Called {
    lease_of("k", wait)
}

fn lease_of(key: &str, wait: Duration) -> Called {
    Called::Lease(LeaseRequest {
        key: key.into(),
        wait: Some(duration(wait)),
        term: Some(duration(Duration::from_secs(60))),
        ..LeaseRequest::default()
    })
}

fn read() -> Called {
    read_of("k")
}

fn read_of(key: &str) -> Called {
    Called::Get(GetRequest {
        key: key.into(),
        ..GetRequest::default()
    })
}

fn abandon(lease_token: String) -> Called {
    Called::Abandon(AbandonRequest {
        lease_token,
        ..AbandonRequest::default()
    })
}

/// The token of a grant.
fn granted(outcome: Outcome) -> Option<String> {
    let Outcome::Lease(answer) = outcome else {
        panic!("no lease: {outcome:?}");
    };
    match answer.result {
        Some(lease_response::Result::Granted(granted)) => Some(granted.lease_token),
        _ => None,
    }
}

fn token(outcome: Outcome) -> String {
    granted(outcome).expect("nobody else has it")
}

fn is_granted(outcome: &Outcome) -> bool {
    let Outcome::Lease(answer) = outcome else {
        return false;
    };
    matches!(answer.result, Some(lease_response::Result::Granted(_)))
}

#[tokio::test]
async fn a_stream_whose_caller_has_no_more_calls_ends_with_the_last_answer() {
    let pod = Sidecar::builder().fresh().await;
    let mut line = Line::to(&pod).await;
    assert!(is_granted(&line.call(1, lease(Duration::ZERO)).await));
    let wait = Duration::from_millis(300);
    line.send(calls([call(2, lease(wait)), call(3, read())]))
        .await;
    let (requests, _) = tokio::sync::mpsc::channel(1);
    line.requests = requests;
    assert!(matches!(line.answer(3).await, Outcome::Get(_)));
    assert!(matches!(line.answer(2).await, Outcome::Lease(_)));
    assert!(matches!(line.message().await, Ok(None)));
}

#[tokio::test]
async fn a_stream_is_drained_what_is_under_way_and_on_its_way_is_answered() {
    let mut fleet = Fleet::of(2).await;
    let mut holder = Line::to(&fleet.pods[0]).await;
    assert!(is_granted(&holder.call(1, lease(Duration::ZERO)).await));
    let mut drained = fleet.pods.pop().expect("two pods");
    let mut line = Line::to(&drained).await;
    line.begin(1, lease(Duration::from_secs(40))).await;
    // It is parked when this, which came later, is answered.
    assert!(matches!(line.call(2, read()).await, Outcome::Get(_)));
    drained.signal(Signal::TERM);
    let parked = line.answer(1).await;
    assert!(!is_granted(&parked), "{parked:?}");
    while !line.is_closing {
        let answers = line.message().await.expect("no error");
        assert_eq!(answers, Some(Vec::new()), "it says that it closes");
    }
    // It was on its way, for all that the sidecar knows.
    assert!(matches!(line.call(3, read()).await, Outcome::Get(_)));
    line.end().await.expect("no error");
    let status = drained.ended(DRAIN).await;
    assert_eq!(status.code(), Some(0), "{}", drained.log());
    assert!(drained.log().contains("clean=true"), "{}", drained.log());
}

#[tokio::test]
async fn a_drain_does_not_wait_for_streams_on_which_nothing_happens() {
    let mut pod = Sidecar::builder().fresh().await;
    let mut lines = Vec::new();
    for _ in 0..10 {
        lines.push(Line::to(&pod).await);
    }
    pod.signal(Signal::TERM);
    let status = pod.ended(DRAIN).await;
    assert_eq!(status.code(), Some(0), "{}", pod.log());
    assert!(pod.log().contains("clean=true"), "{}", pod.log());
    for mut line in lines {
        line.end().await.expect("no error");
        assert!(line.is_closing);
    }
}

/// More than there is room for on the stream below.
const LARGE: usize = 512 * 1024;

#[tokio::test]
async fn a_lease_whose_answer_was_not_taken_when_its_stream_ended_is_free_again() {
    let pod = Sidecar::builder().fresh().await;
    set(&pod, "large", &"v".repeat(LARGE)).await;
    let mut line = Line::to(&pod).await;
    let held = token(line.call(1, lease(Duration::ZERO)).await);
    let stuck = Line::with_little_room(&pod).await;
    let parked = call(1, lease(Duration::from_secs(40)));
    stuck.send(calls([parked, call(2, read_of("large"))])).await;
    // The large answer is made and fills the room; what is parked came before it.
    let ask = || async {
        let answered = pod.metric("unstale_session_calls_total").await;
        (answered == 2).then_some(()).ok_or(format!("{answered}"))
    };
    eventually("a stream without room", PATIENCE, ask).await;
    let mut held = Some(held);
    for id in (2..).step_by(2) {
        // Busy when the one who was parked holds it.
        let Some(token) = held else { break };
        let back = line.call(id, abandon(token)).await;
        assert!(matches!(back, Outcome::Abandon(_)), "{back:?}");
        held = granted(line.call(id + 1, lease(Duration::ZERO)).await);
    }
    drop(stuck);
    let next = line.call(u64::MAX, lease(PATIENCE / 2)).await;
    assert!(is_granted(&next), "{next:?}");
}
