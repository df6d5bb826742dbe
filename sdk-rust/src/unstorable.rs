//! Keys whose values could not be stored lately: too large, or without a form in
//! their codec. Their callers must not wait for each other, because a load that
//! ends leaves nothing for the next ("hit-for-miss" of HTTP caches).
//!
//! Guarantees that who waits for such a load is told at once. Known to this
//! process only, for a short time: a value may become storable again.

use crate::{Cache, CodecError, Error};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// How long it is believed.
const KEPT: Duration = Duration::from_secs(10);
/// Most keys that are remembered; of others, callers wait for each other.
const MOST: usize = 1024;

/// A namespace and a key.
type Name = (String, String);

/// What is known; clones of a client share it.
#[derive(Default)]
pub(crate) struct Unstorable {
    known: Mutex<HashMap<Name, (Instant, Error)>>,
    news: Notify,
}

impl Unstorable {
    /// Why the key's value was not stored.
    pub(crate) fn learn(&self, namespace: &str, key: &str, why: Error) {
        let now = Instant::now();
        let mut known = self.lock();
        if known.len() >= MOST {
            known.retain(|_, (until, _)| *until > now);
        }
        let name = (namespace.to_owned(), key.to_owned());
        if known.len() < MOST || known.contains_key(&name) {
            known.insert(name, (now + KEPT, why));
            drop(known);
            self.news.notify_waiters();
        }
    }

    /// It was stored.
    pub(crate) fn forget(&self, namespace: &str, key: &str) {
        let mut known = self.lock();
        if !known.is_empty() {
            known.remove(&(namespace.to_owned(), key.to_owned()));
        }
    }

    /// Why the key's value could not be stored lately.
    pub(crate) fn why(&self, namespace: &str, key: &str) -> Option<Error> {
        let known = self.lock();
        if known.is_empty() {
            return None;
        }
        let found = known.get(&(namespace.to_owned(), key.to_owned()));
        let (until, why) = found?;
        (*until > Instant::now()).then(|| why.clone())
    }

    /// Waits until it is known.
    pub(crate) async fn learned(&self, namespace: &str, key: &str) -> Error {
        loop {
            let mut news = std::pin::pin!(self.news.notified());
            news.as_mut().enable();
            if let Some(why) = self.why(namespace, key) {
                return why;
            }
            news.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Name, (Instant, Error)>> {
        // Every change is one step: a panic elsewhere leaves it whole.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cache {
    /// Tells the callers of this process what became of a load: stored, or why
    /// the value cannot be.
    #[doc(hidden)]
    pub fn learn(&self, key: &str, stored: Result<(), Error>) {
        let unstorable = &self.shared.unstorable;
        match stored {
            Ok(()) => unstorable.forget(&self.namespace, key),
            Err(why) if why.is_unstorable() => unstorable.learn(&self.namespace, key, why),
            Err(_) => {}
        }
    }

    pub(crate) fn why_unstorable(&self, key: &str) -> Option<Error> {
        self.shared.unstorable.why(&self.namespace, key)
    }

    /// Whether what is loaded has no form in which callers could share it.
    pub(crate) fn has_no_form(&self, key: &str) -> bool {
        matches!(self.why_unstorable(key), Some(Error::Codec(_)))
    }
}

impl Error {
    /// Whether it would fail again with the same value.
    fn is_unstorable(&self) -> bool {
        matches!(
            self,
            Self::Invalid { .. } | Self::Codec(CodecError::Encode(_))
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn too_large() -> Error {
        Error::Answer("too large")
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_is_told_and_it_is_forgotten_later() {
        let unstorable = Unstorable::default();
        let waits = unstorable.learned("n", "k");
        let learns = async { unstorable.learn("n", "k", too_large()) };
        let (told, ()) = tokio::join!(waits, learns);
        assert!(matches!(told, Error::Answer(_)), "{told:?}");
        assert!(unstorable.why("n", "other").is_none());
        tokio::time::sleep(KEPT).await;
        assert!(unstorable.why("n", "k").is_none());
    }

    #[tokio::test]
    async fn what_is_remembered_is_bounded() {
        let unstorable = Unstorable::default();
        for i in 0..2 * MOST {
            unstorable.learn("n", &i.to_string(), too_large());
        }
        assert_eq!(unstorable.lock().len(), MOST);
    }
}
