//! Hints between pods: best effort, so that they are repeated here as the
//! holders of leases poll.

use crate::key;
use crate::tier::World;
use std::sync::Arc;
use std::time::Duration;
use unstale_engine::key::NameHash;
use unstale_engine::remote::Remote;
use unstale_tests::PATIENCE;

const AGAIN: Duration = Duration::from_millis(10);

/// Hints until the call returns.
async fn hint_until(remote: &dyn Remote, key: NameHash, woken: impl Future<Output = ()>) {
    let hints = async {
        loop {
            remote.hint(key);
            tokio::time::sleep(AGAIN).await;
        }
    };
    let race = async {
        tokio::select! {
            biased;
            () = woken => {}
            () = hints => {}
        }
    };
    tokio::time::timeout(PATIENCE, race).await.expect("a hint");
}

pub(crate) async fn a_hint_wakes_who_waits(world: Arc<World>) {
    let ([pod, other], key) = (world.pods().await, key::new());
    hint_until(&*pod.remote, key, other.remote.hinted(key)).await;
    hint_until(&*other.remote, key, other.remote.hinted(key)).await;
}

pub(crate) async fn a_hint_for_another_key_wakes_nobody(world: Arc<World>) {
    let ([pod, other], key, quiet) = (world.pods().await, key::new(), key::new());
    let wrong = async {
        other.remote.hinted(quiet).await;
        panic!("nobody hinted at it");
    };
    let right = hint_until(&*pod.remote, key, other.remote.hinted(key));
    tokio::select! {
        () = wrong => {}
        () = right => {}
    }
}

pub(crate) async fn a_cancelled_wait_takes_no_hint_from_others(world: Arc<World>) {
    let ([pod, other], key) = (world.pods().await, key::new());
    let cancelled = tokio::time::timeout(AGAIN, other.remote.hinted(key));
    assert!(cancelled.await.is_err(), "nobody hinted");
    hint_until(&*pod.remote, key, other.remote.hinted(key)).await;
}
