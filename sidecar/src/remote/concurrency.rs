//! A tier that is asked by so many calls at once and no more.
//!
//! Guarantees: at most `at_once` calls are under way, at most `waiting` more
//! wait for their turn, and the next is told at once that nothing was done: a
//! queue that only grows helps nobody (tower's load shed answers the same way).
//! A call that is dropped gives its place back. Has no clock: how long a call
//! may wait for its turn is bounded by whoever makes it (the engine does).

use crate::telemetry::remote::RemoteCounts;
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};
use unstale_engine::key::NameHash;
use unstale_engine::remote::{Expect, PutOutcome, Remote, RemoteError, Revision, Stored};

/// A tier with a bound on the calls at once.
pub struct Concurrency {
    inner: Arc<dyn Remote>,
    /// Places, those of the waiting included.
    places: Semaphore,
    turns: Semaphore,
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
            counts,
        }
    }

    async fn turn(&self) -> Result<(SemaphorePermit<'_>, SemaphorePermit<'_>), RemoteError> {
        let place = self.places.try_acquire().map_err(|_| self.shed())?;
        let turn = self.turns.acquire().await;
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

    async fn get(&self, key: NameHash) -> Result<Option<Stored>, RemoteError> {
        let _turn = self.turn().await?;
        self.inner.get(key).await
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
