//! The wall clock of a real NATS server is set while owners live and after one has
//! died: counts come right again, nobody is counted for ever, and no entry is kept
//! or served for it. Terms end by that clock; the pods' own end them as well.

use crate::calls::{get, set};
use crate::fleet::Fleet;
use crate::references::{LONG, SHORT, count, counts, of, release, retain};
use crate::sdk::client;
use std::time::Duration;
use unstale::Cache;
use unstale_tests::{Nats, PATIENCE, Sidecar, eventually};

const HOUR: i64 = 3600;
/// Long enough to outlast a set clock, short enough to be renewed soon.
const RENEWED: Duration = Duration::from_secs(3);

async fn is_dropped(pods: &[Sidecar], key: &str) {
    for pod in pods {
        let ask = || async {
            let seen = get(pod, key).await;
            seen.is_none().then_some(()).ok_or(format!("{seen:?}"))
        };
        eventually("the drop", PATIENCE, ask).await;
    }
}

/// Waits until the pod follows so many references, of those that ended too.
async fn follows(cache: &Cache, expected: u64) {
    let ask = || async {
        let status = cache.status().await.expect("Status answers");
        let seen = (status.references, status.references_error);
        let good = seen.0 == expected && seen.1.is_empty();
        good.then_some(()).ok_or(format!("{seen:?}"))
    };
    eventually("the references", PATIENCE, ask).await;
}

#[tokio::test]
async fn set_forward_it_forgets_whom_it_must_until_they_renew() {
    let fleet = Fleet::on(Nats::with_clock(), 2).await;
    let clients = fleet.clients().await;
    let (one, two) = (&clients[0], &clients[1]);
    for key in ["forgotten", "dead"] {
        set(&fleet.pods[0], key, "v").await;
    }
    let held = one.retain_with("live", of(RENEWED).owner("up")).await;
    let held = held.expect("it is held");
    retain(one, "dead", "dies", of(SHORT).drop_at_zero()).await;
    retain(two, "forgotten", "slow", of(LONG).drop_at_zero()).await;
    counts(one, "forgotten", 1).await;
    fleet.nats.set_clock(HOUR);
    // The next term that ends wakes the server, and its term is over by its clock.
    for pod in &clients {
        counts(pod, "dead", 0).await;
        counts(pod, "forgotten", 0).await;
    }
    is_dropped(&fleet.pods, "dead").await;
    is_dropped(&fleet.pods, "forgotten").await;
    assert_eq!(release(one, "forgotten", "slow").await, None);
    assert_eq!(release(two, "dead", "dies").await, None);
    // The renewal of one who was forgotten, and of one who always came in time.
    retain(two, "forgotten", "slow", of(LONG)).await;
    let pod = fleet.late().await;
    let late = client(&pod).await;
    for pod in [one, two, &late] {
        counts(pod, "forgotten", 1).await;
        counts(pod, "live", 1).await;
        assert_eq!(count(pod, "dead").await, 0);
    }
    let released = held.release().await.expect("Release answers");
    let unstale::Released::Done { references: 0, .. } = released else {
        panic!("{released:?}")
    };
    assert_eq!(release(&late, "forgotten", "slow").await, Some(0));
}

/// The server looks for what has ended when it had meant to before its clock was
/// set: in ten minutes.
#[tokio::test]
async fn set_forward_a_server_that_wakes_late_keeps_nobody_who_died() {
    let fleet = Fleet::on(Nats::with_clock(), 2).await;
    let clients = fleet.clients().await;
    let (one, two) = (&clients[0], &clients[1]);
    set(&fleet.pods[0], "dead", "v").await;
    retain(one, "kept", "slow", of(LONG)).await;
    fleet.nats.set_clock(HOUR);
    retain(one, "dead", "dies", of(SHORT).drop_at_zero()).await;
    for pod in &clients {
        counts(pod, "dead", 0).await;
    }
    is_dropped(&fleet.pods, "dead").await;
    let pod = fleet.late().await;
    let late = client(&pod).await;
    retain(&late, "kept", "slow", of(LONG)).await;
    for pod in [one, two, &late] {
        counts(pod, "kept", 1).await;
        assert_eq!(count(pod, "dead").await, 0);
    }
    // Its record may still be there.
    let told = release(two, "dead", "dies").await;
    assert!(matches!(told, None | Some(0)), "{told:?}");
    assert_eq!(release(one, "dead", "dies").await, None);
    assert_eq!(release(two, "kept", "slow").await, Some(0));
}

#[tokio::test]
async fn set_back_it_counts_the_living_on_and_the_dead_for_a_term_at_most() {
    let nats = Nats::with_clock();
    nats.set_clock(HOUR);
    let fleet = Fleet::on(nats, 2).await;
    let clients = fleet.clients().await;
    let (one, two) = (&clients[0], &clients[1]);
    let held = one.retain_with("live", of(RENEWED).owner("up")).await;
    let held = held.expect("it is held");
    retain(two, "live", "slow", of(LONG)).await;
    retain(one, "dead", "dies", of(SHORT).drop_at_zero()).await;
    fleet.nats.set_clock(0);
    for pod in &clients {
        counts(pod, "dead", 0).await;
        counts(pod, "live", 2).await;
    }
    // The end is not told: the server's clock has to catch up.
    follows(one, 2).await;
    let pod = fleet.late().await;
    let late = client(&pod).await;
    counts(&late, "live", 2).await;
    counts(&late, "dead", 0).await;
    for pod in [one, two, &late] {
        follows(pod, 2).await;
    }
    // It has ended for whoever comes, and is not counted by each anew.
    assert_eq!(release(two, "dead", "dies").await, None);
    assert_eq!(release(two, "live", "slow").await, Some(1));
    let released = held.release().await.expect("Release answers");
    let unstale::Released::Done { references: 0, .. } = released else {
        panic!("{released:?}")
    };
    for pod in [one, two, &late] {
        counts(pod, "live", 0).await;
    }
}

#[tokio::test]
async fn set_back_what_is_written_again_is_kept_and_dropped_as_ever() {
    let nats = Nats::with_clock();
    nats.set_clock(HOUR);
    let fleet = Fleet::on(nats, 2).await;
    let clients = fleet.clients().await;
    let (one, two) = (&clients[0], &clients[1]);
    retain(one, "k", "a", of(LONG).drop_at_zero()).await;
    fleet.nats.set_clock(0);
    // The log's epoch ends with it: until then writes are refused or forgotten.
    let ask = || async {
        let set = one.set("k", "v").await.map(|_| ());
        set.map_err(|error| error.to_string())?;
        let seen = get(&fleet.pods[1], "k").await;
        let back = fleet.pods.iter().any(|p| p.log().contains("went back"));
        (seen.as_deref() == Some("v") && back)
            .then_some(())
            .ok_or(format!("{seen:?}, {back}"))
    };
    eventually("an entry in the new epoch", PATIENCE, ask).await;
    retain(two, "k", "a", of(SHORT).drop_at_zero()).await;
    counts(one, "k", 0).await;
    is_dropped(&fleet.pods, "k").await;
    assert_eq!(release(two, "k", "a").await, None);
}
