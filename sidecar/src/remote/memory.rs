//! The remote tier of a pod that is alone: memory of this process.
//!
//! Guarantees: bounded in bytes (the least recently used record goes first,
//! then of the neighbouring shards), conditional puts are atomic, a ttl that
//! has passed is honoured at the next look. Nothing survives the process.

use super::waiters::Waiters;
use bytes::Bytes;
use lru::LruCache;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use unstale_engine::clock::{Clock, Moment};
use unstale_engine::key::NameHash;
use unstale_engine::remote::{Expect, PutOutcome, Read, Remote, RemoteError, Revision, Stored};

const SHARDS: u16 = 16;
/// What a record costs beside its bytes.
const OVERHEAD_BYTES: u64 = 128;
/// Least recently used records looked at by each put for a passed ttl.
const SWEEP: usize = 2;

/// Records in memory.
pub struct MemoryTier {
    max_bytes: u64,
    bytes: AtomicU64,
    revisions: AtomicU64,
    clock: Arc<dyn Clock>,
    shards: Vec<Mutex<LruCache<NameHash, Kept>>>,
    waiters: Waiters,
}

struct Kept {
    stored: Stored,
    expires: Moment,
}

impl Kept {
    fn bytes(&self) -> u64 {
        self.stored.record.len() as u64 + OVERHEAD_BYTES
    }
}

impl MemoryTier {
    /// An empty tier of at most `max_bytes`.
    pub fn new(max_bytes: u64, clock: Arc<dyn Clock>) -> Arc<Self> {
        let shards = (0..SHARDS).map(|_| Mutex::new(LruCache::unbounded()));
        Arc::new(Self {
            max_bytes,
            bytes: AtomicU64::new(0),
            revisions: AtomicU64::new(0),
            clock,
            shards: shards.collect(),
            waiters: Waiters::default(),
        })
    }

    fn shard(&self, key: NameHash) -> MutexGuard<'_, LruCache<NameHash, Kept>> {
        lock(&self.shards[usize::from(key.shard(SHARDS))])
    }

    fn forget(&self, kept: Option<Kept>) {
        if let Some(kept) = kept {
            self.bytes.fetch_sub(kept.bytes(), Relaxed);
        }
    }

    fn live<'a>(
        &self,
        shard: &'a mut LruCache<NameHash, Kept>,
        key: NameHash,
    ) -> Option<&'a Stored> {
        let expired = |kept: &Kept| kept.expires <= self.clock.now();
        if shard.peek(&key).is_some_and(expired) {
            self.forget(shard.pop(&key));
        }
        shard.get(&key).map(|kept| &kept.stored)
    }

    fn sweep(&self, shard: &mut LruCache<NameHash, Kept>) {
        let now = self.clock.now();
        for _ in 0..SWEEP {
            let oldest = shard
                .peek_lru()
                .is_some_and(|(_, kept)| kept.expires <= now);
            if oldest {
                let gone = shard.pop_lru().map(|(_, kept)| kept);
                self.forget(gone);
            }
        }
    }

    /// Makes room, from the writer's own shard on.
    fn evict(&self, from: NameHash) {
        let start = from.shard(SHARDS);
        for step in 0..SHARDS {
            let mut shard = lock(&self.shards[usize::from((start + step) % SHARDS)]);
            while self.bytes.load(Relaxed) > self.max_bytes {
                let Some((_, gone)) = shard.pop_lru() else {
                    break;
                };
                self.forget(Some(gone));
            }
        }
    }
}

#[async_trait::async_trait]
impl Remote for MemoryTier {
    fn name(&self) -> &'static str {
        "memory"
    }

    async fn get(&self, key: NameHash) -> Read {
        Ok(self.live(&mut self.shard(key), key).cloned())
    }

    async fn get_many(&self, keys: &[NameHash]) -> Vec<Read> {
        let read = |key: &NameHash| Ok(self.live(&mut self.shard(*key), *key).cloned());
        keys.iter().map(read).collect()
    }

    async fn put(
        &self,
        key: NameHash,
        expect: Expect,
        record: Bytes,
        ttl: Duration,
    ) -> Result<PutOutcome, RemoteError> {
        let mut shard = self.shard(key);
        let found = self.live(&mut shard, key).map(|stored| stored.revision);
        let as_expected = match expect {
            Expect::Absent => found.is_none(),
            Expect::Revision(revision) => found == Some(revision),
        };
        if !as_expected {
            return Ok(PutOutcome::Conflict);
        }
        let revision = Revision(self.revisions.fetch_add(1, Relaxed) + 1);
        let kept = Kept {
            stored: Stored { revision, record },
            expires: self.clock.now().plus(ttl),
        };
        self.bytes.fetch_add(kept.bytes(), Relaxed);
        self.forget(shard.put(key, kept));
        self.sweep(&mut shard);
        drop(shard);
        if self.bytes.load(Relaxed) > self.max_bytes {
            self.evict(key);
        }
        Ok(PutOutcome::Stored(revision))
    }

    async fn delete(&self, key: NameHash, revision: Revision) -> Result<(), RemoteError> {
        let mut shard = self.shard(key);
        if shard
            .peek(&key)
            .is_some_and(|kept| kept.stored.revision == revision)
        {
            self.forget(shard.pop(&key));
        }
        Ok(())
    }

    async fn ping(&self) -> Result<(), RemoteError> {
        Ok(())
    }

    fn hint(&self, key: NameHash) {
        self.waiters.hint(key);
    }

    async fn hinted(&self, key: NameHash) {
        self.waiters.hinted(key).await;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boottime::BootTime;

    const MINUTE: Duration = Duration::from_secs(60);

    fn tier(max_bytes: u64) -> Arc<MemoryTier> {
        MemoryTier::new(max_bytes, Arc::new(BootTime))
    }

    #[tokio::test]
    async fn a_put_over_anything_but_what_was_expected_is_a_conflict() {
        let (tier, key) = (tier(1 << 20), NameHash(1));
        let value = Bytes::from_static(b"value");
        let put = |expect| tier.put(key, expect, value.clone(), MINUTE);
        let first = put(Expect::Absent).await;
        let Ok(PutOutcome::Stored(revision)) = first else {
            panic!("{first:?}")
        };
        assert_eq!(put(Expect::Absent).await, Ok(PutOutcome::Conflict));
        let second = put(Expect::Revision(revision)).await;
        assert!(matches!(second, Ok(PutOutcome::Stored(_))));
        assert_eq!(
            put(Expect::Revision(revision)).await,
            Ok(PutOutcome::Conflict)
        );
        tier.delete(key, revision).await.unwrap();
        assert!(tier.get(key).await.unwrap().is_some());
    }

    #[tokio::test]
    async fn the_tier_stays_within_its_bytes_and_keeps_the_newest() {
        let tier = tier(100_000);
        for key in 0..1000 {
            let record = Bytes::from(vec![0; 1000]);
            tier.put(NameHash(key), Expect::Absent, record, MINUTE)
                .await
                .unwrap();
            assert!(tier.bytes.load(Relaxed) <= 100_000);
        }
        assert!(tier.get(NameHash(999)).await.unwrap().is_some());
        assert!(tier.get(NameHash(0)).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn what_has_expired_is_absent() {
        let (tier, key) = (tier(1 << 20), NameHash(1));
        let record = Bytes::from_static(b"value");
        tier.put(key, Expect::Absent, record, Duration::ZERO)
            .await
            .unwrap();
        assert_eq!(tier.get(key).await, Ok(None));
        assert_eq!(tier.bytes.load(Relaxed), 0);
    }
}
