//! The remote tier as one pod reaches it.

use super::Pod;
use crate::clients;
use crate::world::{KEYS, World};
use async_trait::async_trait;
use bytes::Bytes;
use std::time::Duration;
use unstale_engine::key::NameHash;
use unstale_engine::remote::{Expect, PutOutcome, Remote, RemoteError, Revision, Stored};

#[async_trait]
impl Remote for Pod {
    fn name(&self) -> &'static str {
        "model"
    }

    async fn get(&self, key: NameHash) -> Result<Option<Stored>, RemoteError> {
        let key = self.mixed_up(key);
        let read = self.asked(move |w, _| w.tier_get(key)).await?;
        self.shared.delay(50, 800).await;
        Ok(read.map(|(revision, record)| Stored {
            revision: Revision(revision),
            record,
        }))
    }

    async fn put(
        &self,
        key: NameHash,
        expect: Expect,
        record: Bytes,
        _: Duration,
    ) -> Result<PutOutcome, RemoteError> {
        let expected = match expect {
            Expect::Absent => None,
            Expect::Revision(revision) => Some(revision.0),
        };
        let put = move |w: &mut World, now| w.tier.put(key, expected, Some(record), now);
        let put = self.asked(put).await?;
        self.answer().await?;
        Ok(put.map_or(PutOutcome::Conflict, |revision| {
            PutOutcome::Stored(Revision(revision))
        }))
    }

    async fn delete(&self, key: NameHash, revision: Revision) -> Result<(), RemoteError> {
        let delete = move |w: &mut World, now| w.tier.put(key, Some(revision.0), None, now);
        self.asked(delete).await?;
        self.answer().await
    }

    async fn ping(&self) -> Result<(), RemoteError> {
        self.asked(|_, _| ()).await
    }

    fn hint(&self, _: NameHash) {}

    async fn hinted(&self, _: NameHash) {
        std::future::pending().await
    }
}

impl Pod {
    /// Directed: answers of one connection are taken for one another's.
    fn mixed_up(&self, key: NameHash) -> NameHash {
        let percent = self.shared.with(|w| w.mix.extra.mixed_up);
        match percent > 0 && self.shared.chance(percent) {
            true => clients::key(self.shared.draw(KEYS)).hash(),
            false => key,
        }
    }

    /// The server's step, or why there was none.
    async fn asked<T: Send + 'static>(
        &self,
        step: impl FnOnce(&mut World, u64) -> T + Send + 'static,
    ) -> Result<T, RemoteError> {
        let step = |w: &mut World, now| (w.tier.away == 0).then(|| step(w, now));
        let done = self.shared.served(self.way(800), step).await;
        done.ok_or_else(|| RemoteError::Unavailable("away".into()))
    }

    /// The answer after the deed; it may be lost.
    async fn answer(&self) -> Result<(), RemoteError> {
        self.shared.delay(50, 800).await;
        match self.shared.loses(5) {
            true => Err(RemoteError::Unknown("the answer was lost".into())),
            false => Ok(()),
        }
    }
}
