//! A tier whose every call ends within a time of its own.
//!
//! Guarantees: a read that is late is unavailable; a put or delete that is late
//! is unknown, because it may have happened. Of a read of many keys some may be
//! late: those that come go on to count, as long as more come in time. The caller's own deadline is kept
//! by the engine, whichever comes first. Waiting for a hint has no bound here.

use crate::telemetry::remote::RemoteCounts;
use bytes::Bytes;
use futures::stream::{FuturesUnordered, StreamExt as _};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use unstale_engine::key::NameHash;
use unstale_engine::remote::{Expect, PutOutcome, Read, Remote, RemoteError, Revision};

/// So many keys of a read of many stand or fall together.
const TOGETHER: usize = 32;

/// A tier with a bound on the time of each call.
pub struct Timeout {
    inner: Arc<dyn Remote>,
    each: Duration,
    counts: Arc<RemoteCounts>,
}

impl Timeout {
    /// `inner`, with `each` call bounded.
    pub fn new(inner: Arc<dyn Remote>, each: Duration, counts: Arc<RemoteCounts>) -> Self {
        Self {
            inner,
            each,
            counts,
        }
    }

    async fn bounded<T>(
        &self,
        late: fn(String) -> RemoteError,
        call: impl Future<Output = Result<T, RemoteError>>,
    ) -> Result<T, RemoteError> {
        let answer = self.in_time(call).await.map_err(late);
        answer.unwrap_or_else(Err)
    }

    async fn in_time<T>(&self, call: impl Future<Output = T>) -> Result<T, String> {
        let answer = tokio::time::timeout(self.each, call).await;
        answer.map_err(|_| {
            self.counts.timeouts.one_more();
            format!("no answer within {:?}", self.each)
        })
    }
}

#[async_trait::async_trait]
impl Remote for Timeout {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    async fn get(&self, key: NameHash) -> Read {
        let call = self.inner.get(key);
        self.bounded(RemoteError::Unavailable, call).await
    }

    async fn get_many(&self, keys: &[NameHash]) -> Vec<Read> {
        let parts = keys.chunks(TOGETHER).enumerate();
        let calls = parts.map(|(n, keys)| async move { (n, self.inner.get_many(keys).await) });
        let mut calls: FuturesUnordered<_> = calls.collect();
        let mut came = vec![None; keys.len().div_ceil(TOGETHER)];
        let mut late = String::new();
        while !calls.is_empty() {
            match self.in_time(calls.next()).await {
                Ok(Some((n, reads))) => came[n] = Some(reads),
                Ok(None) => break,
                Err(why) => {
                    late = why;
                    break;
                }
            }
        }
        let missing =
            |keys: &[NameHash]| vec![Err(RemoteError::Unavailable(late.clone())); keys.len()];
        let parts = keys.chunks(TOGETHER).zip(came);
        parts
            .flat_map(|(keys, came)| came.unwrap_or_else(|| missing(keys)))
            .collect()
    }

    async fn put(
        &self,
        key: NameHash,
        expect: Expect,
        record: Bytes,
        ttl: Duration,
    ) -> Result<PutOutcome, RemoteError> {
        let call = self.inner.put(key, expect, record, ttl);
        self.bounded(RemoteError::Unknown, call).await
    }

    async fn delete(&self, key: NameHash, revision: Revision) -> Result<(), RemoteError> {
        let call = self.inner.delete(key, revision);
        self.bounded(RemoteError::Unknown, call).await
    }

    async fn ping(&self) -> Result<(), RemoteError> {
        self.bounded(RemoteError::Unavailable, self.inner.ping())
            .await
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
