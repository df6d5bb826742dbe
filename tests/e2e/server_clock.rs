//! The wall clock of a real NATS server is set while pods are connected: no
//! entry lives longer for it.

use crate::calls::{get, invalidate, set, warm};
use crate::fleet::Fleet;
use unstale_proto::v1::{Ack, SessionState};
use unstale_tests::{Nats, PATIENCE, Sidecar, eventually};

const DAY: i64 = 86_400;

async fn epoch(pod: &Sidecar) -> String {
    let position = pod.status().await.position;
    let (epoch, _) = position.split_once('-').expect("epoch and sequence");
    epoch.to_owned()
}

async fn set_backs(fleet: &Fleet) -> u64 {
    let mut sum = 0;
    for pod in &fleet.pods {
        sum += pod.metric("unstale_log_clock_set_back_total").await;
    }
    sum
}

#[tokio::test]
async fn a_clock_that_is_set_back_begins_a_new_epoch_and_the_fleet_goes_on() {
    let nats = Nats::with_clock();
    nats.set_clock(DAY);
    let fleet = Fleet::on(nats, 2).await;
    let position = set(&fleet.pods[0], "k", "by the later time").await;
    warm(&fleet.pods, "k", "by the later time", &position).await;
    let before = epoch(&fleet.pods[0]).await;
    fleet.nats.set_clock(0);
    for pod in &fleet.pods {
        let ask = || async {
            let (now, status) = (epoch(pod).await, pod.status().await);
            let fresh = status.session_state == i32::from(SessionState::Fresh);
            (fresh && now != before)
                .then_some(())
                .ok_or(format!("{status:?}"))
        };
        eventually("a session in the new epoch", PATIENCE, ask).await;
        assert_eq!(get(pod, "k").await, None, "it would live a day longer");
    }
    assert!(set_backs(&fleet).await >= 1);
    let position = set(&fleet.pods[1], "k", "by the right time").await;
    warm(&fleet.pods, "k", "by the right time", &position).await;
    let everywhere = invalidate(&fleet.pods[0], "k", Ack::Fleet).await;
    everywhere.expect("the fleet is whole");
    let told = fleet.pods.iter().any(|pod| pod.log().contains("went back"));
    assert!(told, "who runs it should know");
}

/// Bytes of the table of what was invalidated, of which hardly any is used.
const FLOORS: u64 = 64 << 20;

#[tokio::test]
async fn new_epochs_take_no_memory() {
    let nats = Nats::with_clock();
    nats.set_clock(3 * DAY);
    let pod = Sidecar::builder().nats(&nats.url());
    let pod = pod.flag("--floor-bytes", format!("{FLOORS}"));
    let pod = pod.fresh().await;
    let before = pod.memory_peak();
    for days in (0..3).rev() {
        let first = epoch(&pod).await;
        let done = invalidate(&pod, "k", Ack::Log).await;
        done.expect("the log is there");
        nats.set_clock(days * DAY);
        let ask = || async {
            let (now, status) = (epoch(&pod).await, pod.status().await);
            let fresh = status.session_state == i32::from(SessionState::Fresh);
            (fresh && now != first)
                .then_some(())
                .ok_or(format!("{status:?}"))
        };
        eventually("a session in the new epoch", PATIENCE, ask).await;
    }
    let grown = pod.memory_peak().saturating_sub(before);
    assert!(
        grown < FLOORS / 2,
        "{grown} bytes more than in the first epoch"
    );
}

#[tokio::test]
async fn a_clock_that_is_set_forward_ends_entries_early_and_no_epoch() {
    let fleet = Fleet::on(Nats::with_clock(), 2).await;
    let position = set(&fleet.pods[0], "k", "for minutes").await;
    warm(&fleet.pods, "k", "for minutes", &position).await;
    let before = epoch(&fleet.pods[0]).await;
    fleet.nats.set_clock(DAY);
    for pod in &fleet.pods {
        let ask = || async {
            let found = get(pod, "k").await;
            found.is_none().then_some(()).ok_or(format!("{found:?}"))
        };
        eventually("its end", PATIENCE, ask).await;
        assert_eq!(epoch(pod).await, before);
    }
    assert_eq!(set_backs(&fleet).await, 0);
}
