//! Keys, records and revisions, as cases use them.

use crate::tier::World;
use bytes::Bytes;
use std::time::Duration;
use unstale_engine::key::NameHash;
use unstale_engine::remote::{Expect, PutOutcome, Remote, Revision, Stored};
use unstale_tests::{PATIENCE, eventually};

/// Longer than any case.
pub(crate) const LONG: Duration = Duration::from_secs(600);

/// A key that no other case has.
pub(crate) fn new() -> NameHash {
    NameHash(fastrand::u128(..))
}

/// Puts where a conflict is no answer.
pub(crate) async fn put(
    remote: &dyn Remote,
    key: NameHash,
    expect: Expect,
    record: impl Into<Bytes>,
) -> Revision {
    match remote.put(key, expect, record.into(), LONG).await {
        Ok(PutOutcome::Stored(revision)) => revision,
        other => panic!("{other:?}"),
    }
}

/// Puts where only a conflict is an answer.
pub(crate) async fn conflicts(remote: &dyn Remote, key: NameHash, expect: Expect) {
    let put = remote.put(key, expect, Bytes::from_static(b"loser"), LONG);
    assert_eq!(put.await, Ok(PutOutcome::Conflict));
}

/// Waits until a read gives this record; at once where reads do not lag.
/// Returns its revision, which is this pod's own: others may call it otherwise.
pub(crate) async fn reads(
    world: &World,
    remote: &dyn Remote,
    key: NameHash,
    record: impl AsRef<[u8]>,
) -> Revision {
    let right = |read: &Option<Stored>| {
        let there = read
            .as_ref()
            .filter(|there| there.record == record.as_ref());
        there.map(|there| there.revision)
    };
    read_until(world, remote, key, right).await
}

/// As above, of nothing.
pub(crate) async fn reads_nothing(world: &World, remote: &dyn Remote, key: NameHash) {
    let right = |read: &Option<Stored>| read.is_none().then_some(());
    read_until(world, remote, key, right).await;
}

async fn read_until<T>(
    world: &World,
    remote: &dyn Remote,
    key: NameHash,
    right: impl Fn(&Option<Stored>) -> Option<T>,
) -> T {
    let ask = || async {
        let read = remote.get(key).await.map_err(|e| e.to_string())?;
        right(&read).ok_or_else(|| shown(&read))
    };
    match world.kind.lags() {
        true => eventually("the record", PATIENCE, ask).await,
        false => ask().await.unwrap(),
    }
}

/// Short: records may be long.
fn shown(read: &Option<Stored>) -> String {
    let Some(there) = read else {
        return "nothing".to_owned();
    };
    let (record, length) = (&there.record, there.record.len());
    let begin = &record[..length.min(40)];
    format!("{:?}: {length} bytes, {begin:?}", there.revision)
}
