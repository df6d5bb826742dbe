//! The Rust client on real sidecars: how it reads, and what a sidecar that
//! has stopped costs it.

use crate::fleet::Fleet;
use std::time::{Duration, Instant};
use unstale::{Ack, Cache, Error, Invalidate, LeaseOptions, Lookup};
use unstale_tests::{Sidecar, Signal};

/// The sidecar's default deadline, the client's grace, and a busy machine.
const GIVEN_UP: Duration = Duration::from_secs(3);

/// A client of this pod, which says what fails.
pub(crate) async fn client(pod: &Sidecar) -> Cache {
    let endpoint = format!("http://127.0.0.1:{}", pod.port());
    let connected = Cache::builder().strict().endpoint(endpoint).connect().await;
    connected.expect("it is there")
}

fn value(found: Lookup) -> Option<String> {
    match found {
        Lookup::Hit(entry) => Some(String::from_utf8_lossy(entry.value.as_bytes()).into_owned()),
        Lookup::Miss => None,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_read_after_a_position_never_sees_what_was_before_it() {
    let fleet = Fleet::of(2).await;
    let (one, two) = (client(&fleet.pods[0]).await, client(&fleet.pods[1]).await);
    for round in 0..20 {
        let text = round.to_string();
        let set = one.set("k", text.as_str()).await;
        let position = set.expect("Set answers").position;
        let read = two.after(position).get("k").await.expect("Get answers");
        assert_eq!(value(read.result), Some(text));
        let gone = one.invalidate(Invalidate::default().key("k")).await;
        let position = gone.expect("OK").position.expect("a position");
        let read = two.after(position).get_many(["k"]).await;
        let mut read = read.expect("BatchGet answers").result;
        assert_eq!(value(read.remove(0)), None);
    }
}

#[tokio::test]
async fn a_position_that_is_not_reached_is_a_deadline_with_its_reason() {
    let pod = Sidecar::builder().fresh().await;
    let cache = client(&pod).await;
    let position = cache.get("k").await.expect("Get answers").position;
    let (epoch, _) = position.split_once('-').expect("a position");
    let far = cache.after(format!("{epoch}-1000000")).get("k").await;
    match far {
        Err(Error::DeadlineExceeded { reason, .. }) => assert_eq!(reason, "POSITION_NOT_REACHED"),
        other => panic!("{other:?}"),
    }
    // Only of that client: this one reads what there is.
    cache.get("k").await.expect("Get answers");
}

#[tokio::test]
async fn a_stopped_sidecar_costs_a_call_its_deadline_and_answers_again_later() {
    let pod = Sidecar::builder().fresh().await;
    let cache = client(&pod).await;
    pod.stop();
    let began = Instant::now();
    let (read, set) = tokio::join!(cache.get("k"), cache.set("k", "v"));
    assert!(began.elapsed() < GIVEN_UP, "{:?}", began.elapsed());
    assert!(matches!(read, Err(Error::Unreachable(_))), "{read:?}");
    assert!(matches!(set, Err(Error::Unreachable(_))), "{set:?}");
    pod.signal(Signal::CONT);
    pod.is_fresh().await;
    cache.get("k").await.expect("Get answers");
}

#[tokio::test]
async fn a_fleet_call_has_the_time_that_a_silent_pod_takes() {
    let fleet = Fleet::of(2).await;
    let cache = client(&fleet.pods[0]).await;
    let bound = fleet.pods[0].bound().await;
    assert!(bound > Duration::from_secs(2), "longer than any other call");
    fleet.pods[1].stop();
    let what = Invalidate::default().key("k").ack(Ack::Fleet);
    let done = cache.invalidate(what).await.expect("OK");
    assert_eq!((done.acked.len(), done.lapsed.len()), (1, 1));
}

#[tokio::test]
async fn a_connection_that_is_silent_is_given_up_also_by_those_who_only_listen() {
    let pod = Sidecar::builder().fresh().await;
    let endpoint = format!("unix:{}", pod.uds().display());
    let builder = Cache::builder().strict().endpoint(endpoint);
    let quick = builder.keep_alive(Duration::from_millis(500));
    let cache = quick.connect().await.expect("it is there");
    // Without a deadline of its own: only the connection's end ends it.
    let patient = cache.lease("k").await;
    patient.expect("granted");
    let wait = LeaseOptions::default().wait(Duration::from_secs(40));
    let waiting = cache.lease_with("k", wait);
    let stop = async {
        pod.status().await;
        pod.stop();
        Instant::now()
    };
    let (waited, stopped) = tokio::join!(waiting, stop);
    assert!(matches!(waited, Err(Error::Unreachable(_))), "{waited:?}");
    assert!(stopped.elapsed() < GIVEN_UP, "{:?}", stopped.elapsed());
}
