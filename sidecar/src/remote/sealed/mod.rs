//! A tier whose records are compressed and encrypted before they leave.
//!
//! Guarantees: with keys, no byte of a value, a key's name or a tag reaches the
//! tier in the clear (the log names keys and tags), and a record that was not encrypted with a known key
//! for exactly this key of this fleet is not believed. What does not open is
//! counted by reason and handed on as the empty record that it is worth: the
//! engine misses, and replaces it. Compressed records are read whatever the
//! settings. Does not hide that a key exists, nor its size and times.

pub mod key_file;
mod seal;
#[cfg(test)]
mod tests;

use crate::keyring::Keyring;
use crate::telemetry::remote::{RemoteCounts, Unopened};
use bytes::Bytes;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use unstale_engine::key::NameHash;
use unstale_engine::random::Random;
use unstale_engine::remote::{Expect, PutOutcome, Remote, RemoteError, Revision, Stored};

/// What to do with records.
#[derive(Clone, Debug, Default)]
pub struct SealConfig {
    /// Records of at least so many bytes are compressed; none: none are.
    pub compress_from: Option<usize>,
    /// Keys to encrypt with; none: records are in the clear.
    pub keys: Option<Keyring>,
    /// Whose records these are: those of another fleet do not open.
    pub fleet: String,
}

/// A tier of compressed and encrypted records.
pub struct Sealed {
    inner: Arc<dyn Remote>,
    random: Arc<dyn Random>,
    compress_from: Option<usize>,
    fleet: String,
    keys: RwLock<Option<Arc<Keyring>>>,
    counts: Arc<RemoteCounts>,
}

impl Sealed {
    /// `inner`, its records treated as `config` says.
    pub fn new(
        inner: Arc<dyn Remote>,
        config: SealConfig,
        random: Arc<dyn Random>,
        counts: Arc<RemoteCounts>,
    ) -> Self {
        Self {
            inner,
            random,
            compress_from: config.compress_from,
            fleet: config.fleet,
            keys: RwLock::new(config.keys.map(Arc::new)),
            counts,
        }
    }

    /// Other keys from now on. Encryption is never switched off this way.
    pub fn rotate(&self, keys: Keyring) {
        let mut current = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        *current = Some(Arc::new(keys));
    }

    fn keys(&self) -> Option<Arc<Keyring>> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        keys.clone()
    }

    fn close(&self, key: NameHash, record: Bytes) -> Bytes {
        let large = self.compress_from.is_some_and(|from| record.len() >= from);
        let record = match large {
            true => seal::compress(record),
            false => record,
        };
        match self.keys() {
            Some(keys) => seal::encrypt(&keys, (&self.fleet, key), self.random.bits(), &record),
            None => record,
        }
    }

    fn open(&self, key: NameHash, record: Bytes) -> Result<Bytes, Unopened> {
        let record = match self.keys() {
            Some(keys) => seal::decrypt(&keys, (&self.fleet, key), &record)?,
            None if seal::is_encrypted(&record) => return Err(Unopened::NoKeys),
            None => record,
        };
        seal::decompress(record)
    }

    /// What cannot be opened is nothing; what is another key's may come over a
    /// connection that is out of step, which only the tier can mend.
    fn opened(&self, key: NameHash, record: Bytes) -> Bytes {
        self.open(key, record).unwrap_or_else(|why| {
            self.counts.refuse(why);
            if why == Unopened::OtherKey {
                self.inner.distrust(key);
            }
            Bytes::new()
        })
    }
}

#[async_trait::async_trait]
impl Remote for Sealed {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    async fn get(&self, key: NameHash) -> Result<Option<Stored>, RemoteError> {
        let stored = self.inner.get(key).await?;
        Ok(stored.map(|stored| Stored {
            record: self.opened(key, stored.record),
            revision: stored.revision,
        }))
    }

    async fn put(
        &self,
        key: NameHash,
        expect: Expect,
        record: Bytes,
        ttl: Duration,
    ) -> Result<PutOutcome, RemoteError> {
        let record = self.close(key, record);
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
