//! Calls of this pod that wait for a key to be hinted at.
//!
//! Guarantees: a hint wakes every call that began to wait before it; a
//! cancelled call leaves nothing behind. Knows nothing of other pods.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;
use unstale_engine::key::NameHash;

/// Who waits for which key.
#[derive(Debug, Default)]
pub(super) struct Waiters(Mutex<HashMap<NameHash, Waiting>>);

#[derive(Debug, Default)]
struct Waiting {
    notify: Arc<Notify>,
    calls: usize,
}

impl Waiters {
    /// Wakes whoever waits for the key.
    pub(super) fn hint(&self, key: NameHash) {
        if let Some(waiting) = self.lock().get(&key) {
            waiting.notify.notify_waiters();
        }
    }

    /// Returns at the next hint. Cancel safe.
    pub(super) async fn hinted(&self, key: NameHash) {
        let call = Call::new(self, key);
        call.notify.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<NameHash, Waiting>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One waiting call; a cancelled one leaves nothing behind.
struct Call<'a> {
    waiters: &'a Waiters,
    key: NameHash,
    notify: Arc<Notify>,
}

impl<'a> Call<'a> {
    fn new(waiters: &'a Waiters, key: NameHash) -> Self {
        let mut waiting = waiters.lock();
        let waiting = waiting.entry(key).or_default();
        waiting.calls += 1;
        let notify = waiting.notify.clone();
        Self {
            waiters,
            key,
            notify,
        }
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        let mut waiters = self.waiters.lock();
        if let Some(waiting) = waiters.get_mut(&self.key) {
            waiting.calls -= 1;
            if waiting.calls == 0 {
                waiters.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_hint_wakes_who_waits_and_a_cancelled_wait_leaves_nothing() {
        let (waiters, key) = (Waiters::default(), NameHash(1));
        let waiting = waiters.hinted(key);
        tokio::pin!(waiting);
        assert!(futures::poll!(waiting.as_mut()).is_pending());
        {
            let cancelled = waiters.hinted(key);
            tokio::pin!(cancelled);
            assert!(futures::poll!(cancelled).is_pending());
        }
        assert_eq!(waiters.lock()[&key].calls, 1);
        waiters.hint(key);
        waiting.await;
        assert!(waiters.lock().is_empty());
    }
}
