//! A tier whose slow reads are asked a second time (Dean and Barroso, The Tail
//! at Scale, CACM 2013).
//!
//! Guarantees: only reads of one key are repeated, each at most once, after
//! `after`; no more than one read in twenty over time, with a burst of
//! [`BURST`]. A read of many keys would be a burst by itself. The first answer
//! wins, and an error only when there is no other answer left. The
//! other read is dropped.

use crate::telemetry::remote::RemoteCounts;
use bytes::Bytes;
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

    fn earn(&self) {
        let more = |earned: u64| Some((earned + 1).min(BURST * COST));
        let _ = self.earned.fetch_update(Relaxed, Relaxed, more);
    }

    fn may_repeat(&self) -> bool {
        let less = |earned: u64| earned.checked_sub(COST);
        self.earned.fetch_update(Relaxed, Relaxed, less).is_ok()
    }
}

#[async_trait::async_trait]
impl Remote for Hedge {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    async fn get(&self, key: NameHash) -> Read {
        self.earn();
        let mut first = self.inner.get(key);
        tokio::select! {
            biased;
            answer = &mut first => return answer,
            () = tokio::time::sleep(self.after) => {}
        }
        if !self.may_repeat() {
            return first.await;
        }
        self.counts.hedges.one_more();
        let mut second = self.inner.get(key);
        tokio::select! {
            biased;
            answer = &mut first => match answer {
                Ok(found) => Ok(found),
                Err(_) => second.await,
            },
            answer = &mut second => match answer {
                Ok(found) => {
                    self.counts.hedges_won.one_more();
                    Ok(found)
                }
                Err(_) => first.await,
            },
        }
    }

    async fn get_many(&self, keys: &[NameHash]) -> Vec<Read> {
        self.inner.get_many(keys).await
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
