//! A tier whose records are compressed and encrypted before they leave.
//!
//! Guarantees: with keys, no byte of a value, a key's name or a tag leaves the
//! process in the clear, and a record that was not encrypted with a known key
//! for exactly this key of this fleet is not believed. What does not open is
//! handed on as the empty record that it is worth: the engine counts it, misses, and
//! replaces it. Does not hide that a key exists, nor its size and times.

mod keys;
mod seal;

pub use keys::{KeyId, Keys};

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
    pub keys: Option<Keys>,
    /// Whose records these are: those of another fleet do not open.
    pub fleet: String,
}

/// A tier of compressed and encrypted records.
pub struct Sealed {
    inner: Arc<dyn Remote>,
    random: Arc<dyn Random>,
    compress_from: Option<usize>,
    fleet: String,
    keys: RwLock<Option<Arc<Keys>>>,
}

impl Sealed {
    /// `inner`, its records treated as `config` says.
    pub fn new(inner: Arc<dyn Remote>, random: Arc<dyn Random>, config: SealConfig) -> Self {
        Self {
            inner,
            random,
            compress_from: config.compress_from,
            fleet: config.fleet,
            keys: RwLock::new(config.keys.map(Arc::new)),
        }
    }

    /// Other keys from now on. Encryption is never switched off this way.
    pub fn rotate(&self, keys: Keys) {
        let mut current = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        *current = Some(Arc::new(keys));
    }

    fn keys(&self) -> Option<Arc<Keys>> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        keys.clone()
    }

    fn close(&self, key: NameHash, record: Bytes) -> Bytes {
        let large = self.compress_from.is_some_and(|from| record.len() >= from);
        let record = if large {
            seal::compress(&record)
        } else {
            record
        };
        match self.keys() {
            Some(keys) => {
                let place = (self.fleet.as_str(), key);
                seal::encrypt(&keys, place, self.random.bits(), &record)
            }
            None => record,
        }
    }

    fn open(&self, key: NameHash, record: Bytes) -> Bytes {
        let opened = match self.keys() {
            Some(keys) => seal::decrypt(&keys, (self.fleet.as_str(), key), &record),
            None => Some(record),
        };
        opened.and_then(seal::decompress).unwrap_or_default()
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
            record: self.open(key, stored.record),
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

    fn distrust(&self, key: NameHash) {
        self.inner.distrust(key);
    }
}
