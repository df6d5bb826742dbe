//! Servers that make room by forgetting, as caches are run.

use crate::key::{self, conflicts, put};
use crate::tier::{Kind, Running, Servers, World};
use bytes::Bytes;
use std::sync::Arc;
use unstale_engine::remote::Expect;
use unstale_tests::{Memcached, Redis};

/// More than the server has room for.
const RECORDS: usize = 4000;
/// All of one size: memcached makes room among its like.
const RECORD_BYTES: usize = 8000;
/// Redis looks at a few records only when it makes room.
const OLD: usize = 50;

fn small(kind: Kind) -> Running {
    let more = ["--maxmemory", "12mb", "--maxmemory-policy", "allkeys-lru"];
    Running::new(match kind {
        Kind::Redis => Servers::Redis(Redis::with(&more)),
        Kind::Valkey => Servers::Redis(Redis::valkey_with(&more)),
        Kind::Memcached => Servers::Memcached(Memcached::with(&["-I", "2m", "-m", "12"])),
        other => panic!("{other:?} is not bounded"),
    })
}

pub(crate) async fn what_was_evicted_is_absent_and_its_revision_never_comes_back(
    world: Arc<World>,
) {
    let running = small(world.kind);
    let pod = running.pod().await;
    let record = Bytes::from(vec![7; RECORD_BYTES]);
    let mut old = Vec::new();
    for i in 0..RECORDS {
        let key = key::new();
        let revision = put(&*pod.remote, key, Expect::Absent, record.clone()).await;
        if i < OLD {
            old.push((key, revision));
        }
    }
    let mut evicted = 0;
    for (key, old) in old {
        if pod.remote.get(key).await.unwrap().is_some() {
            continue;
        }
        evicted += 1;
        conflicts(&*pod.remote, key, Expect::Revision(old)).await;
        let new = put(&*pod.remote, key, Expect::Absent, "new").await;
        assert_ne!(old, new);
        conflicts(&*pod.remote, key, Expect::Revision(old)).await;
    }
    assert!(evicted > 0, "nothing was evicted");
}
