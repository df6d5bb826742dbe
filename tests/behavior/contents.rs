//! Any bytes, of any length that an entry may have.

use crate::key::{self, LONG, put, reads, reads_nothing};
use crate::tier::World;
use bytes::Bytes;
use std::sync::Arc;
use unstale_engine::limits;
use unstale_engine::remote::{Expect, PutOutcome};

pub(crate) async fn bytes_come_back_as_they_were(world: Arc<World>) {
    let [pod, other] = world.pods().await;
    let all: Vec<u8> = (0..=255).collect();
    let like_answers = b"\r\nEN\r\nVA 2 c7\r\n$-1\r\n+OK\r\n*2\r\n-ERR\r\n\0\0\r\n";
    for record in [&all[..], like_answers, b"\0", b"\r\n", b"\n", b"\xff\xfe"] {
        let key = key::new();
        let record = Bytes::copy_from_slice(record);
        put(&*pod.remote, key, Expect::Absent, record.clone()).await;
        reads(&world, &*other.remote, key, record).await;
    }
}

pub(crate) async fn an_empty_record_is_a_record(world: Arc<World>) {
    let (pod, key) = (world.pod().await, key::new());
    let revision = put(&*pod.remote, key, Expect::Absent, "").await;
    assert_eq!(reads(&world, &*pod.remote, key, "").await, revision);
    put(&*pod.remote, key, Expect::Revision(revision), "full").await;
}

pub(crate) async fn the_largest_record_is_kept(world: Arc<World>) {
    let ([pod, other], key) = (world.pods().await, key::new());
    // What the envelope may take is in it; the server counts its own words.
    let record = random(limits::RECORD_BYTES - limits::ENVELOPE_BYTES / 2);
    put(&*pod.remote, key, Expect::Absent, record.clone()).await;
    reads(&world, &*other.remote, key, record).await;
}

pub(crate) async fn a_record_that_is_too_large_is_refused_or_kept_whole(world: Arc<World>) {
    let (pod, key) = (world.pod().await, key::new());
    let record = random(3 * limits::RECORD_BYTES);
    let outcome = pod.remote.put(key, Expect::Absent, record.clone(), LONG);
    match outcome.await {
        Ok(PutOutcome::Stored(_)) => {
            reads(&world, &*pod.remote, key, record).await;
        }
        Ok(PutOutcome::Conflict) => panic!("nothing was there"),
        Err(_) => reads_nothing(&world, &*pod.remote, key).await,
    }
    let (next, record) = (key::new(), random(100));
    put(&*pod.remote, next, Expect::Absent, record.clone()).await;
    reads(&world, &*pod.remote, next, record).await;
}

fn random(length: usize) -> Bytes {
    std::iter::repeat_with(|| fastrand::u8(..))
        .take(length)
        .collect()
}
