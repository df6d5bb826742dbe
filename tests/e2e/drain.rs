//! SIGTERM while calls are in flight: each ends with an answer of the
//! contract, the process ends with 0, and nobody waits for it afterwards.

use crate::calls::{duration, get, invalidate, patient, pods, reason, set, warm};
use crate::fleet::Fleet;
use crate::lease::{fill, granted};
use std::time::{Duration, Instant};
use tonic::{Code, Request, Response, Status};
use unstale_proto::v1::{
    Ack, InvalidateResponse, LeaseRequest, LeaseResponse, WatchRequest, fill_response,
    lease_response,
};
use unstale_tests::{PATIENCE, Sidecar, Signal, eventually};

/// What a drain may take: the sidecar's default of 10 s, and a busy machine.
const DRAIN: Duration = Duration::from_secs(12);

/// Sends SIGTERM once every call that was begun before has arrived: a later
/// one on the same connection is answered.
async fn terminate(pod: &Sidecar) {
    pod.status().await;
    pod.signal(Signal::TERM);
}

async fn ended_well(pod: &mut Sidecar) {
    let status = pod.ended(DRAIN).await;
    assert_eq!(status.code(), Some(0), "{}", pod.log());
    assert!(pod.log().contains("clean=true"), "{}", pod.log());
}

/// A FLEET invalidation by `caller` waits for nobody that has gone.
async fn nobody_waits(caller: &Sidecar, live: &[&str]) -> InvalidateResponse {
    let bound = caller.bound().await;
    let began = Instant::now();
    let done = invalidate(caller, "other", Ack::Fleet).await.expect("OK");
    let took = began.elapsed();
    assert!(took < bound / 2, "{took:?} of {bound:?}: {done:?}");
    assert_eq!(pods(&done.acked), live);
    assert!(done.lapsed.is_empty(), "{:?}", done.lapsed);
    done
}

#[tokio::test]
async fn an_invalidation_under_way_is_answered_when_its_pod_is_drained() {
    let mut fleet = Fleet::of(3).await;
    let position = set(&fleet.pods[0], "k", "old").await;
    warm(&fleet.pods, "k", "old", &position).await;
    let mut drained = fleet.pods.remove(1);
    let [other, silent] = &fleet.pods[..] else {
        panic!("two pods are left");
    };
    // Keeps the call waiting for as long as an invalidation binds it.
    silent.stop();
    let term = async {
        let ask = || async { get(other, "k").await.map_or(Ok(()), Err) };
        eventually("the record on another pod", PATIENCE, ask).await;
        terminate(&drained).await;
    };
    let (done, ()) = tokio::join!(invalidate(&drained, "k", Ack::Fleet), term);
    match done {
        Ok(done) => assert_eq!(pods(&done.lapsed), ["pod-2"]),
        Err(status) => {
            let expected = (Code::Unknown, "FLEET_UNKNOWN".to_owned());
            assert_eq!(reason(&status), expected);
        }
    }
    ended_well(&mut drained).await;
    silent.signal(Signal::CONT);
    fleet.is_whole().await;
    nobody_waits(&fleet.pods[0], &["pod-0", "pod-2"]).await;
    for pod in &fleet.pods {
        assert_eq!(get(pod, "k").await, None);
    }
}

#[tokio::test]
async fn writes_that_keep_coming_are_done_or_refused_while_their_pod_is_drained() {
    let mut fleet = Fleet::of(2).await;
    let mut drained = fleet.pods.pop().expect("two pods");
    let writing = async {
        let mut done = 0;
        loop {
            match invalidate(&drained, "k", Ack::Log).await {
                Ok(_) => done += 1,
                Err(status) => return (done, status),
            }
        }
    };
    let ((done, refused), ()) = tokio::join!(writing, terminate(&drained));
    assert_eq!(
        refused.code(),
        Code::Unavailable,
        "after {done}: {refused:?}"
    );
    ended_well(&mut drained).await;
    nobody_waits(&fleet.pods[0], &["pod-0"]).await;
}

#[tokio::test]
async fn a_watch_ends_and_a_new_call_is_refused_when_the_pod_is_drained() {
    let mut fleet = Fleet::of(2).await;
    let mut drained = fleet.pods.pop().expect("two pods");
    let watch = drained.cache().watch(patient_watch()).await;
    let mut events = watch.expect("Watch answers").into_inner();
    assert!(events.message().await.expect("no error").is_some());
    terminate(&drained).await;
    let rest = async { while events.message().await.expect("no error").is_some() {} };
    let ended = tokio::time::timeout(DRAIN, rest).await;
    ended.expect("the stream ends");
    ended_well(&mut drained).await;
    nobody_waits(&fleet.pods[0], &["pod-0"]).await;
}

fn patient_watch() -> Request<WatchRequest> {
    let mut request = patient(WatchRequest::default());
    request.set_timeout(PATIENCE * 2);
    request
}

type Leased = Result<Response<LeaseResponse>, Status>;

async fn lease(pod: &Sidecar, wait: Duration) -> Leased {
    let request = LeaseRequest {
        key: "k".into(),
        term: Some(duration(Duration::from_secs(60))),
        wait: Some(duration(wait)),
        ..LeaseRequest::default()
    };
    let mut request = Request::new(request);
    request.set_timeout(wait + PATIENCE);
    pod.cache().lease(request).await
}

fn result(leased: Leased) -> lease_response::Result {
    let answer = leased.expect("Lease answers").into_inner();
    answer.result.expect("a result")
}

#[tokio::test]
async fn a_parked_lease_is_answered_when_its_pod_is_drained() {
    let mut fleet = Fleet::of(2).await;
    let token = granted(result(lease(&fleet.pods[0], Duration::ZERO).await));
    let mut drained = fleet.pods.pop().expect("two pods");
    let parked = lease(&drained, Duration::from_secs(40));
    let (parked, ()) = tokio::join!(parked, terminate(&drained));
    match parked {
        Ok(answer) => {
            let result = answer.into_inner().result.expect("a result");
            assert!(
                matches!(result, lease_response::Result::Busy(_)),
                "{result:?}"
            );
        }
        Err(status) => {
            let expected = (Code::Unavailable, "SHUTTING_DOWN".to_owned());
            assert_eq!(reason(&status), expected);
        }
    }
    ended_well(&mut drained).await;
    nobody_waits(&fleet.pods[0], &["pod-0"]).await;
    // The holder, on the other pod, has lost nothing.
    let filled = fill(&fleet.pods[0], &token, "v").await.expect("an answer");
    assert!(
        matches!(filled, fill_response::Result::Stored(_)),
        "{filled:?}"
    );
}

/// Keys that another pod loads, each asked for while the pod is drained.
const HELD: usize = 64;

#[tokio::test]
async fn a_pod_that_is_drained_grants_no_lease_that_another_pod_holds() {
    let mut fleet = Fleet::of(2).await;
    let key = |i: usize| format!("k{i}");
    let lease = |pod: &Sidecar, i: usize| {
        let request = LeaseRequest {
            key: key(i),
            term: Some(duration(Duration::from_secs(60))),
            ..LeaseRequest::default()
        };
        let mut cache = pod.cache();
        async move { cache.lease(patient(request)).await }
    };
    for i in 0..HELD {
        granted(result(lease(&fleet.pods[0], i).await));
    }
    let drained = fleet.pods.pop().expect("two pods");
    let asked = futures::future::join_all((0..HELD).map(|i| lease(&drained, i)));
    let (answers, ()) = tokio::join!(asked, terminate(&drained));
    for answer in answers {
        if let Ok(LeaseResponse {
            result: Some(lease_response::Result::Granted(granted)),
            degraded,
            ..
        }) = answer.map(Response::into_inner)
        {
            panic!("a second loader: {granted:?} {degraded:?}");
        }
    }
}
