//! A granted lease in a caller's hands: whatever happens to the caller, the
//! lease goes back, so that the next one loads at once. Best effort: when the
//! sidecar cannot be told, the term ends the lease.

use crate::Cache;
use crate::fill::AbandonOptions;
use crate::lease::Grant;
use futures::future::join_all;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::time::timeout;

/// What giving a lease back may take.
const ABANDON: Duration = Duration::from_secs(2);

/// A lease that goes back when it is dropped, on whatever thread.
#[derive(Debug)]
pub(crate) struct Held {
    cache: Cache,
    pub(crate) token: String,
    /// That of the grant; none once the lease is over.
    runtime: Option<Handle>,
}

impl Held {
    pub(crate) fn new(cache: &Cache, grant: &Grant) -> Self {
        Self {
            cache: cache.clone(),
            token: grant.token.clone(),
            runtime: Handle::try_current().ok(),
        }
    }

    /// It was used.
    pub(crate) fn forget(mut self) {
        self.runtime = None;
    }

    /// Bounded, and its failure ignored: the term ends the lease.
    pub(crate) async fn give_back(mut self, how: AbandonOptions) {
        let _ = timeout(ABANDON, self.cache.abandon_with(&self.token, how)).await;
        self.runtime = None;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            let (cache, token) = (self.cache.clone(), std::mem::take(&mut self.token));
            runtime.spawn(async move { give_back(&cache, vec![token]).await });
        }
    }
}

/// Gives leases back, as far as that is possible.
pub(crate) async fn give_back(cache: &Cache, tokens: Vec<String>) {
    let back = tokens.iter().map(|token| cache.abandon(token));
    let _ = timeout(ABANDON, join_all(back)).await;
}
