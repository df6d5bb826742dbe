//! Servers that end and come back. A pod's connections do not end with them.

use crate::key::{self, LONG, conflicts, put};
use crate::tier::World;
use bytes::Bytes;
use std::sync::Arc;
use unstale_engine::remote::{Expect, PutOutcome, RemoteError};
use unstale_tests::{PATIENCE, eventually};

/// Enough for a counter that begins anew to pass where it was.
const PUTS: usize = 50;

pub(crate) async fn a_tier_that_is_up_answers_a_ping(world: Arc<World>) {
    let pod = world.pod().await;
    assert_eq!(pod.remote.ping().await, Ok(()));
}

pub(crate) async fn a_dead_server_is_said_to_be_away(world: Arc<World>) {
    let mut running = world.kind.start().await;
    let pod = running.pod().await;
    running.stop();
    let (key, record) = (key::new(), Bytes::from_static(b"record"));
    let put = pod.remote.put(key, Expect::Absent, record, LONG).await;
    let away = |error: &RemoteError| !matches!(error, RemoteError::Misconfigured(_));
    assert!(put.as_ref().is_err_and(away), "{put:?}");
    let ask = || async {
        let (get, ping) = (pod.remote.get(key).await, pod.remote.ping().await);
        let unavailable = |error: &RemoteError| matches!(error, RemoteError::Unavailable(_));
        let known = get.as_ref().is_err_and(unavailable) && ping.as_ref().is_err_and(away);
        known.then_some(()).ok_or(format!("{get:?} {ping:?}"))
    };
    eventually("a tier that is away", PATIENCE, ask).await;
}

pub(crate) async fn a_server_that_comes_back_is_used_again(world: Arc<World>) {
    let mut running = world.kind.start().await;
    let pod = running.pod().await;
    running.stop();
    let ask = || async { pod.remote.ping().await.err().map(drop).ok_or(String::new()) };
    eventually("a tier that is away", PATIENCE, ask).await;
    running.restart().await;
    pod.usable().await;
    let ask = || async {
        let record = Bytes::from_static(b"record");
        let put = pod
            .remote
            .put(key::new(), Expect::Absent, record, LONG)
            .await;
        match put {
            Ok(PutOutcome::Stored(_)) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    };
    eventually("a put", PATIENCE, ask).await;
}

pub(crate) async fn no_revision_from_before_a_restart_replaces_what_is_there_now(
    world: Arc<World>,
) {
    let mut running = world.kind.start().await;
    let (pod, key) = (running.pod().await, key::new());
    let old = put(&*pod.remote, key, Expect::Absent, "old").await;
    running.stop();
    running.restart().await;
    pod.usable().await;
    let ask = || async { pod.remote.get(key).await.map_err(|e| e.to_string()) };
    let kept = eventually("an answer", PATIENCE, ask).await;
    let mut expect = match kept {
        Some(kept) => Expect::Revision(kept.revision),
        None => Expect::Absent,
    };
    for _ in 0..PUTS {
        expect = Expect::Revision(put(&*pod.remote, key, expect, "new").await);
        conflicts(&*pod.remote, key, Expect::Revision(old)).await;
    }
}
