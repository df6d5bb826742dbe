//! A tier that is asked by so many calls at once and no more.
//!
//! Guarantees: at most `at_once` calls are under way (a read of many keys counts
//! as one for each, and as no more than `at_once`), at most `waiting` more wait
//! for their turn, and the next is told at once that nothing was done: a
//! queue that only grows helps nobody (tower's load shed answers the same way).
//! A call that is dropped gives its place back. Has no clock: how long a call
//! may wait for its turn is bounded by whoever makes it (the engine does).

use crate::telemetry::remote::RemoteCounts;
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};
use unstale_engine::key::NameHash;
use unstale_engine::remote::{Expect, PutOutcome, Read, Remote, RemoteError, Revision};

/// A tier with a bound on the calls at once.
pub struct Concurrency {
    inner: Arc<dyn Remote>,
    /// Places, those of the waiting included.
    places: Semaphore,
    turns: Semaphore,
    at_once: u32,
    counts: Arc<RemoteCounts>,
}

impl Concurrency {
    /// `inner`, with at most `at_once` calls under way and `waiting` more.
    pub fn new(
        inner: Arc<dyn Remote>,
        (at_once, waiting): (usize, usize),
        counts: Arc<RemoteCounts>,
    ) -> Self {
        Self {
            inner,
            places: Semaphore::new(at_once + waiting),
            turns: Semaphore::new(at_once),
            at_once: u32::try_from(at_once).unwrap_or(u32::MAX),
            counts,
        }
    }

    async fn turn(&self) -> Result<(SemaphorePermit<'_>, SemaphorePermit<'_>), RemoteError> {
        self.turns(1).await
    }

    async fn turns(
        &self,
        calls: usize,
    ) -> Result<(SemaphorePermit<'_>, SemaphorePermit<'_>), RemoteError> {
        let calls = u32::try_from(calls).unwrap_or(u32::MAX).min(self.at_once);
        let place = self.places.try_acquire_many(calls);
        let place = place.map_err(|_| self.shed())?;
        let turn = self.turns.acquire_many(calls).await;
        Ok((place, turn.expect("the semaphore is never closed")))
    }

    fn shed(&self) -> RemoteError {
        self.counts.shed.one_more();
        RemoteError::Refused("too many calls to the remote tier are under way".to_owned())
    }
}

#[async_trait::async_trait]
impl Remote for Concurrency {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    async fn get(&self, key: NameHash) -> Read {
        let _turn = self.turn().await?;
        self.inner.get(key).await
    }

    async fn get_many(&self, keys: &[NameHash]) -> Vec<Read> {
        let mut reads = Vec::with_capacity(keys.len());
        // A tier may ask for each key by itself.
        for keys in keys.chunks(self.at_once as usize) {
            match self.turns(keys.len()).await {
                Ok(_turns) => reads.extend(self.inner.get_many(keys).await),
                Err(error) => reads.extend(keys.iter().map(|_| Err(error.clone()))),
            }
        }
        reads
    }

    async fn put(
        &self,
        key: NameHash,
        expect: Expect,
        record: Bytes,
        ttl: Duration,
    ) -> Result<PutOutcome, RemoteError> {
        let _turn = self.turn().await?;
        self.inner.put(key, expect, record, ttl).await
    }

    async fn delete(&self, key: NameHash, revision: Revision) -> Result<(), RemoteError> {
        let _turn = self.turn().await?;
        self.inner.delete(key, revision).await
    }

    async fn ping(&self) -> Result<(), RemoteError> {
        self.inner.ping().await
    }

    fn hint(&self, key: NameHash) {
        self.inner.hint(key);
    }

    async fn hinted(&self, key: NameHash) {
        self.inner.hinted(key).await;
    }

    fn part(&self, key: NameHash) -> u16 {
        self.inner.part(key)
    }

    fn distrust(&self, key: NameHash) {
        self.inner.distrust(key);
    }
}
