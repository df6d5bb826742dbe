//! The remote tier as one pod reaches it.

use super::{Pod, Point};
use crate::clients;
use crate::world::{KEYS, World};
use async_trait::async_trait;
use bytes::Bytes;
use std::time::Duration;
use unstale_engine::key::NameHash;
use unstale_engine::remote::{Expect, PutOutcome, Read, Remote, RemoteError, Revision, Stored};

/// What a sender gives up after without an answer (µs).
const NO_ANSWER: u64 = 450_000;
/// So many reads of a hundred are answered with another key's record while the
/// tier mixes answers up.
const MIXED_UP: u64 = 10;

#[async_trait]
impl Remote for Pod {
    fn name(&self) -> &'static str {
        "model"
    }

    async fn get(&self, key: NameHash) -> Read {
        let mut reads = self.records(&[key]).await?;
        Ok(reads.pop().expect("one answer per key"))
    }

    /// One request and one answer, or none for any of them.
    async fn get_many(&self, keys: &[NameHash]) -> Vec<Read> {
        match self.records(keys).await {
            Ok(reads) => reads.into_iter().map(Ok).collect(),
            Err(error) => keys.iter().map(|_| Err(error.clone())).collect(),
        }
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
        let put = move |w: &mut World, now| {
            let takes = w.tier.full == 0;
            takes.then(|| w.tier.put(key, expected, Some(record), now))
        };
        self.passes(Point::Put).await;
        let put = self.asked(put).await?;
        self.passes(Point::Put).await;
        self.answer().await?;
        let put = put.ok_or_else(|| RemoteError::Refused("it takes nothing in".into()))?;
        self.passes(Point::Put).await;
        Ok(put.map_or(PutOutcome::Conflict, |revision| {
            PutOutcome::Stored(Revision(revision))
        }))
    }

    async fn delete(&self, key: NameHash, revision: Revision) -> Result<(), RemoteError> {
        let delete = move |w: &mut World, now| w.tier.put(key, Some(revision.0), None, now);
        self.passes(Point::Put).await;
        self.asked(delete).await?;
        self.passes(Point::Put).await;
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
    /// What is stored under each of the keys.
    async fn records(&self, keys: &[NameHash]) -> Result<Vec<Option<Stored>>, RemoteError> {
        self.passes(Point::Get).await;
        let keys: Vec<_> = keys.iter().map(|key| self.mixed_up(*key)).collect();
        let read = move |w: &mut World, _| -> Vec<_> {
            keys.into_iter().map(|key| w.tier_get(key)).collect()
        };
        let reads = self.asked(read).await?;
        self.answer().await?;
        self.passes(Point::Get).await;
        let stored = |(revision, record)| Stored {
            revision: Revision(revision),
            record,
        };
        Ok(reads.into_iter().map(|read| read.map(stored)).collect())
    }

    /// Answers of one connection are taken for one another's.
    fn mixed_up(&self, key: NameHash) -> NameHash {
        let percent = self.shared.with(|w| match w.tier.mixing_up {
            0 => w.mix.extra.mixed_up,
            _ => MIXED_UP,
        });
        match percent > 0 && self.shared.chance(percent) {
            true => clients::key(self.shared.draw(KEYS)).hash(),
            false => key,
        }
    }

    /// The server's step, or why there was none. A request may be lost.
    async fn asked<T: Send + 'static>(
        &self,
        step: impl FnOnce(&mut World, u64) -> T + Send + 'static,
    ) -> Result<T, RemoteError> {
        let number = self.number;
        let step = move |w: &mut World, now| match w.links[number].tier_no_sends {
            0 => Some((w.tier.away == 0).then(|| step(w, now))),
            _ => None,
        };
        match self.shared.served(self.way(800), step).await {
            Some(done) => done.ok_or_else(|| RemoteError::Unavailable("away".into())),
            None => self.hears_nothing("the request was lost").await,
        }
    }

    async fn hears_nothing<T>(&self, why: &str) -> Result<T, RemoteError> {
        self.shared.handle.sleep(NO_ANSWER).await;
        Err(RemoteError::Unknown(why.into()))
    }

    /// The answer after the deed; it may be lost.
    async fn answer(&self) -> Result<(), RemoteError> {
        self.shared.delay(50, 800).await;
        let cut = self
            .shared
            .link(self.number, |link| link.tier_no_receives > 0);
        match cut || self.shared.loses(5) {
            true => self.hears_nothing("the answer was lost").await,
            false => Ok(()),
        }
    }
}
