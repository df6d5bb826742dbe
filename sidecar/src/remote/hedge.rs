//! A tier whose slow reads are asked a second time (Dean and Barroso, The Tail
//! at Scale, CACM 2013).
//!
//! Guarantees: only reads are repeated, each at most once, after `after`; no
//! more than one read in twenty over time, with a burst of [`BURST`]; a read of
//! many keys counts as one for each. The first
//! answer wins, and an error only when there is no other answer left. The
//! other read is dropped.

use crate::telemetry::remote::RemoteCounts;
use bytes::Bytes;
use futures::future::BoxFuture;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use unstale_engine::key::NameHash;
use unstale_engine::remote::{Expect, PutOutcome, Read, Remote, RemoteError, Revision};

/// What one second read costs, in what one read earns.
const COST: u64 = 20;
/// Second reads that may be saved up.
const BURST: u64 = 10;

/// A tier with hedged reads.
pub struct Hedge {
    inner: Arc<dyn Remote>,
    after: Duration,
    earned: AtomicU64,
    counts: Arc<RemoteCounts>,
}

impl Hedge {
    /// `inner`, asked again when a read takes longer than `after`.
    pub fn new(inner: Arc<dyn Remote>, after: Duration, counts: Arc<RemoteCounts>) -> Self {
        Self {
            inner,
            after,
            earned: AtomicU64::new(0),
            counts,
        }
    }

    fn earn(&self, keys: u64) {
        let more = |earned: u64| Some((earned + keys).min(BURST * COST.max(keys)));
        let _ = self.earned.fetch_update(Relaxed, Relaxed, more);
    }

    fn may_repeat(&self, keys: u64) -> bool {
        let less = |earned: u64| earned.checked_sub(COST * keys);
        self.earned.fetch_update(Relaxed, Relaxed, less).is_ok()
    }

    /// A read of so many keys, asked a second time if it is slow.
    async fn hedged<'a, T>(
        &self,
        keys: u64,
        ask: impl Fn() -> BoxFuture<'a, T>,
        good: impl Fn(&T) -> bool,
    ) -> T {
        self.earn(keys);
        let mut first = ask();
        tokio::select! {
            biased;
            answer = &mut first => return answer,
            () = tokio::time::sleep(self.after) => {}
        }
        if !self.may_repeat(keys) {
            return first.await;
        }
        self.counts.hedges.one_more();
        let mut second = ask();
        tokio::select! {
            biased;
            answer = &mut first => match good(&answer) {
                true => answer,
                false => second.await,
            },
            answer = &mut second => match good(&answer) {
                true => {
                    self.counts.hedges_won.one_more();
                    answer
                }
                false => first.await,
            },
        }
    }
}

#[async_trait::async_trait]
impl Remote for Hedge {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    async fn get(&self, key: NameHash) -> Read {
        self.hedged(1, || self.inner.get(key), Result::is_ok).await
    }

    /// One read: it has an answer if any of its keys has.
    async fn get_many(&self, keys: &[NameHash]) -> Vec<Read> {
        let count = keys.len() as u64;
        let any = |reads: &Vec<Read>| reads.iter().any(Result::is_ok);
        self.hedged(count, || self.inner.get_many(keys), any).await
    }

    async fn put(
        &self,
        key: NameHash,
        expect: Expect,
        record: Bytes,
        ttl: Duration,
    ) -> Result<PutOutcome, RemoteError> {
        self.inner.put(key, expect, record, ttl).await
    }

    async fn delete(&self, key: NameHash, revision: Revision) -> Result<(), RemoteError> {
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
