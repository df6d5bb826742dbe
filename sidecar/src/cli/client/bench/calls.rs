//! The kinds of calls, and what each must be answered.

use super::super::exit::Failure;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use unstale::{Cache, Content, EntryOptions, Error, Lookup, SetOptions, SetOutcome, Value};

/// Keys of a batch, and keys that are written.
pub(super) const BATCH: usize = 100;
/// What is left behind by a run that could not empty its namespace ends by itself.
const TTL: Duration = Duration::from_secs(600);

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Get,
    Set,
    Batch,
}

/// A kind of call by one client.
pub(super) struct Call {
    pub(super) kind: Kind,
    pub(super) transport: &'static str,
    cache: Cache,
    bytes: usize,
    next: AtomicU64,
}

impl Call {
    /// All that are measured, in their order.
    pub(super) fn all(stream: &Cache, unary: &Cache, bytes: usize) -> Vec<Self> {
        let call = |kind, transport, cache: &Cache| Self {
            kind,
            transport,
            cache: cache.clone(),
            bytes,
            next: AtomicU64::new(1),
        };
        vec![
            call(Kind::Get, "stream", stream),
            call(Kind::Get, "unary", unary),
            call(Kind::Set, "stream", stream),
            call(Kind::Batch, "stream", stream),
        ]
    }

    /// Stores what is read. One after the other: together they may be too large for
    /// one message.
    pub(super) async fn prepare(&self) -> Result<(), Failure> {
        for key in keys() {
            let options = SetOptions::from(entry());
            let set = self.cache.set_with(key, self.value(0), options).await?;
            if let SetOutcome::NotStored { reason, .. } = set.result {
                return Err(Failure::Usage(format!("nothing can be stored: {reason:?}")));
            }
        }
        Ok(())
    }

    /// Keys of one call.
    pub(super) fn keys(&self) -> u32 {
        match self.kind {
            Kind::Get | Kind::Set => 1,
            Kind::Batch => BATCH as u32,
        }
    }

    /// Makes one; whether it was answered with what was stored.
    pub(super) async fn make(&self) -> Result<bool, Error> {
        match self.kind {
            Kind::Get => Ok(self.is_hit(&self.cache.get("read/0").await?.result)),
            Kind::Batch => {
                let answer = self.cache.get_many(keys()).await?;
                Ok(answer.result.iter().all(|result| self.is_hit(result)))
            }
            Kind::Set => {
                let number = self.next.fetch_add(1, Relaxed);
                let key = format!("written/{}", number % BATCH as u64);
                let options = SetOptions::from(entry());
                let set = self.cache.set_with(key, self.value(number), options);
                Ok(matches!(set.await?.result, SetOutcome::Stored { .. }))
            }
        }
    }

    fn is_hit(&self, result: &Lookup) -> bool {
        matches!(result, Lookup::Hit(entry) if entry.value.as_bytes().len() == self.bytes)
    }

    /// Every number's is another: storing what is there already is cheaper.
    fn value(&self, number: u64) -> Content {
        let mut value = vec![7; self.bytes];
        value[..8].copy_from_slice(&number.to_le_bytes());
        Value::from(value).into()
    }
}

fn entry() -> EntryOptions {
    EntryOptions::default().ttl(TTL)
}

fn keys() -> impl Iterator<Item = String> {
    (0..BATCH).map(|number| format!("read/{number}"))
}
