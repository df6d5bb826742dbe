//! Time to live: the tier may drop a record after it, and not before.

use crate::key::{self, conflicts, put, reads};
use crate::tier::World;
use bytes::Bytes;
use std::sync::Arc;
use std::time::{Duration, Instant};
use unstale_engine::key::NameHash;
use unstale_engine::limits;
use unstale_engine::remote::{Expect, PutOutcome, Remote, Revision};
use unstale_tests::{PATIENCE, eventually};

const SHORT: Duration = Duration::from_millis(1500);

async fn put_for(remote: &dyn Remote, key: NameHash, expect: Expect, ttl: Duration) -> Revision {
    let record = Bytes::from_static(b"record");
    match remote.put(key, expect, record, ttl).await {
        Ok(PutOutcome::Stored(revision)) => revision,
        other => panic!("{other:?}"),
    }
}

async fn gone(remote: &dyn Remote, key: NameHash) {
    let ask = || async {
        let there = remote.get(key).await.unwrap();
        there.is_none().then_some(()).ok_or(format!("{there:?}"))
    };
    eventually("the end of the record", PATIENCE, ask).await;
}

pub(crate) async fn a_record_goes_after_its_ttl_and_not_before(world: Arc<World>) {
    let (pod, key) = (world.pod().await, key::new());
    let began = Instant::now();
    let old = put_for(&*pod.remote, key, Expect::Absent, SHORT).await;
    gone(&*pod.remote, key).await;
    assert!(began.elapsed() >= SHORT, "after {:?}", began.elapsed());
    conflicts(&*pod.remote, key, Expect::Revision(old)).await;
    let new = put(&*pod.remote, key, Expect::Absent, "new").await;
    assert_ne!(old, new);
}

pub(crate) async fn a_put_brings_its_own_ttl(world: Arc<World>) {
    let (pod, key, witness) = (world.pod().await, key::new(), key::new());
    let short = put_for(&*pod.remote, key, Expect::Absent, SHORT).await;
    let long = put(&*pod.remote, key, Expect::Revision(short), "long").await;
    put_for(&*pod.remote, witness, Expect::Absent, SHORT).await;
    gone(&*pod.remote, witness).await;
    assert_eq!(reads(&world, &*pod.remote, key, "long").await, long);
}

pub(crate) async fn the_longest_ttl_is_a_ttl(world: Arc<World>) {
    let pod = world.pod().await;
    for ttl in [limits::TTL_MAX, 2 * limits::TTL_MAX] {
        let key = key::new();
        let revision = put_for(&*pod.remote, key, Expect::Absent, ttl).await;
        let there = reads(&world, &*pod.remote, key, "record").await;
        assert_eq!(there, revision);
    }
}
