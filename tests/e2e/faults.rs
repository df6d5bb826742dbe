//! Pods and the NATS server die, stop, and come back.

use crate::calls::{found, get, get_after, invalidate, pods, reason, set, try_set, warm};
use crate::fleet::Fleet;
use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};
use tonic::Code;
use unstale_proto::v1::{Ack, SessionState, set_response};
use unstale_tests::{Nats, PATIENCE, Sidecar, Signal, eventually};

/// Above the protocol's bound: a few round trips on busy cores.
const MARGIN: Duration = Duration::from_millis(400);

#[tokio::test]
async fn a_pod_killed_during_fleet_lapses_within_the_bound() {
    let mut fleet = Fleet::of(3).await;
    let bound = fleet.pods[0].bound().await;
    let position = set(&fleet.pods[0], "k", "old").await;
    warm(&fleet.pods, "k", "old", &position).await;
    let mut doomed = fleet.pods.pop().expect("three pods");
    let (caller, other) = (&fleet.pods[0], &fleet.pods[1]);
    // Stopped first, so that the call is surely under way when it dies.
    doomed.stop();
    let began = Instant::now();
    let kill = async {
        let ask = || async { get(other, "k").await.map_or(Ok(()), Err) };
        eventually("the record on another pod", bound, ask).await;
        doomed.kill();
    };
    let (done, ()) = tokio::join!(invalidate(caller, "k", Ack::Fleet), kill);
    let (done, took) = (done.expect("OK"), began.elapsed());
    assert!(took <= bound + MARGIN, "{took:?} with a bound of {bound:?}");
    assert_eq!(pods(&done.acked), ["pod-0", "pod-1"]);
    assert_eq!(pods(&done.lapsed), ["pod-2"]);
    for pod in &fleet.pods {
        assert_eq!(get(pod, "k").await, None);
    }
}

#[tokio::test]
async fn a_live_pod_killed_among_fleet_calls_delays_none_by_more_than_the_bound() {
    let mut fleet = Fleet::of(3).await;
    let bound = fleet.pods[0].bound().await;
    let mut doomed = fleet.pods.pop().expect("three pods");
    let calls = AtomicU64::new(0);
    let calling = async {
        loop {
            let began = Instant::now();
            let done = invalidate(&fleet.pods[0], "k", Ack::Fleet).await;
            let (done, took) = (done.expect("OK"), began.elapsed());
            assert!(took <= bound + MARGIN, "{took:?} with a bound of {bound:?}");
            calls.fetch_add(1, SeqCst);
            if pods(&done.lapsed) == ["pod-2"] {
                return assert_eq!(pods(&done.acked), ["pod-0", "pod-1"]);
            }
            // Before it died it answered: it is never just forgotten.
            assert_eq!(pods(&done.acked), ["pod-0", "pod-1", "pod-2"]);
        }
    };
    let killing = async {
        let enough = || async {
            let calls = calls.load(SeqCst);
            (calls >= 20).then_some(()).ok_or(format!("{calls} calls"))
        };
        eventually("calls under way", PATIENCE, enough).await;
        doomed.kill();
    };
    tokio::join!(calling, killing);
}

#[tokio::test]
async fn a_stopped_pod_never_serves_the_old_value_when_it_goes_on() {
    let fleet = Fleet::of(3).await;
    let position = set(&fleet.pods[0], "k", "old").await;
    warm(&fleet.pods, "k", "old", &position).await;
    let (caller, stopped) = (&fleet.pods[0], &fleet.pods[2]);
    stopped.stop();
    let done = invalidate(caller, "k", Ack::Fleet).await.expect("OK");
    assert_eq!(pods(&done.lapsed), ["pod-2"]);
    // These wait in its socket and are the first thing it sees.
    let waiting = async { tokio::join!(get(stopped, "k"), get(stopped, "k")) };
    let go_on = async { stopped.signal(Signal::CONT) };
    let (seen, ()) = tokio::join!(waiting, go_on);
    assert_eq!(seen, (None, None));
    let ask = || async {
        let seen = get(stopped, "k").await;
        assert_eq!(seen, None, "the old value came back");
        let state = stopped.status().await.session_state();
        (state == SessionState::Fresh)
            .then_some(())
            .ok_or(format!("{state:?}"))
    };
    eventually("a fresh session again", PATIENCE, ask).await;
    fleet.is_whole().await;
    let position = set(caller, "k", "new").await;
    warm(&fleet.pods, "k", "new", &position).await;
}

/// Which values were surely stored and then surely invalidated.
#[derive(Default)]
struct Truth {
    dead: Mutex<HashSet<String>>,
    rounds: AtomicU64,
    stop: AtomicBool,
}

impl Truth {
    async fn write(&self, writer: &Sidecar, caller: &Sidecar) {
        let mut round = 0;
        while !self.stop.load(SeqCst) {
            round += 1;
            let value = round.to_string();
            let stored = match try_set(writer, "k", &value, Ack::Log).await {
                Ok(answer) => matches!(answer.result, Some(set_response::Result::Stored(_))),
                Err(_) => false,
            };
            let gone = invalidate(caller, "k", Ack::Fleet).await.is_ok();
            // A write of unknown outcome may still land; it proves nothing.
            if stored && gone {
                self.dead.lock().expect("no panic").insert(value);
                self.rounds.fetch_add(1, SeqCst);
            }
        }
    }

    async fn read(&self, pod: &Sidecar) {
        while !self.stop.load(SeqCst) {
            let dead = self.dead.lock().expect("no panic").clone();
            let answer = get_after(pod, ("", "k"), "").await;
            if let Some(old) = answer.ok().and_then(|answer| found(&answer)) {
                assert!(
                    !dead.contains(&old),
                    "{old} was served after its invalidation"
                );
            }
        }
    }

    async fn advanced(&self, by: u64) {
        let goal = self.rounds.load(SeqCst) + by;
        let ask = || async {
            let rounds = self.rounds.load(SeqCst);
            (rounds >= goal)
                .then_some(())
                .ok_or(format!("{rounds} of {goal} rounds"))
        };
        eventually("rounds of writes and invalidations", PATIENCE, ask).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nats_restarted_under_load_brings_no_old_value_back() {
    let fleet = Fleet::of(3).await;
    let Fleet {
        pods,
        mut nats,
        permit: _permit,
    } = fleet;
    let truth = Truth::default();
    let restarts = async {
        for _ in 0..2 {
            truth.advanced(10).await;
            nats.stop();
            // Away until the pods have noticed.
            let ask = || async {
                let error = pods[1].status().await.log_error;
                (!error.is_empty())
                    .then_some(())
                    .ok_or("no error yet".into())
            };
            eventually("a pod that misses the log", PATIENCE, ask).await;
            nats.restart();
            truth.advanced(10).await;
        }
        truth.stop.store(true, SeqCst);
    };
    tokio::join!(
        restarts,
        truth.write(&pods[0], &pods[1]),
        truth.read(&pods[0]),
        truth.read(&pods[1]),
        truth.read(&pods[2]),
    );
    for pod in &pods {
        pod.is_fresh().await;
        pod.knows(pods.len()).await;
    }
    let position = set(&pods[2], "k", "after").await;
    warm(&pods, "k", "after", &position).await;
}

#[tokio::test]
async fn a_sidecar_serves_without_nats_and_recovers_when_it_appears() {
    let mut nats = Nats::stopped();
    let pod = Sidecar::builder().nats(&nats.url()).serving().await;
    let status = pod.status().await;
    assert_eq!(status.session_state(), SessionState::Joining);
    assert_ne!(status.log_error, "");
    let answer = get_after(&pod, ("", "k"), "")
        .await
        .expect("a miss, no error");
    assert_eq!(found(&answer), None);
    assert!(answer.degraded.is_some(), "{answer:?}");
    let refused = invalidate(&pod, "k", Ack::Log).await.expect_err("no log");
    let expected = (Code::Unavailable, "LOG_UNAVAILABLE".to_owned());
    assert_eq!(reason(&refused), expected);
    nats.restart();
    pod.is_fresh().await;
    let position = set(&pod, "k", "v").await;
    warm(std::slice::from_ref(&pod), "k", "v", &position).await;
}

#[tokio::test]
async fn nobody_waits_for_a_pod_that_was_drained() {
    let mut fleet = Fleet::of(3).await;
    let bound = fleet.pods[0].bound().await;
    let position = set(&fleet.pods[0], "k", "old").await;
    warm(&fleet.pods, "k", "old", &position).await;
    let mut drained = fleet.pods.pop().expect("three pods");
    drained.signal(Signal::TERM);
    let status = drained.ended(PATIENCE).await;
    assert_eq!(status.code(), Some(0), "{}", drained.log());
    let began = Instant::now();
    let done = invalidate(&fleet.pods[0], "k", Ack::Fleet)
        .await
        .expect("OK");
    let took = began.elapsed();
    assert!(
        took < bound / 2,
        "{took:?} with a bound of {bound:?}: {done:?}\n{}\n{}",
        drained.log(),
        fleet.pods[0].log()
    );
    assert_eq!(pods(&done.acked), ["pod-0", "pod-1"]);
    assert!(done.lapsed.is_empty(), "{:?}", done.lapsed);
}

#[tokio::test]
async fn an_idle_pod_is_whole_again_after_the_server_was_away() {
    let mut fleet = Fleet::of(1).await;
    set(&fleet.pods[0], "k", "v").await;
    fleet.nats.stop();
    let ask = || async {
        // Asks the remote tier, in vain.
        let _ = get_after(&fleet.pods[0], ("", "other"), "").await;
        let error = fleet.pods[0].status().await.remote_error;
        (!error.is_empty())
            .then_some(())
            .ok_or("no error yet".into())
    };
    eventually("a pod that misses the remote tier", PATIENCE, ask).await;
    fleet.nats.restart();
    fleet.is_whole().await; // never: remote_error stays until somebody calls
}
