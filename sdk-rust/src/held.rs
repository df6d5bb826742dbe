//! A granted lease in a caller's hands: whatever happens to the caller, the
//! lease goes back, so that the next one loads at once. Best effort: when the
//! sidecar cannot be told, the term ends the lease.

use crate::Cache;
use crate::fill::AbandonOptions;
use crate::lease::Grant;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::time::timeout;

/// What giving a lease back may take.
const ABANDON: Duration = Duration::from_secs(2);

/// A lease that goes back when it is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    cache: Cache,
    pub(crate) token: String,
    over: bool,
}

impl Held {
    pub(crate) fn new(cache: &Cache, grant: &Grant) -> Self {
        Self {
            cache: cache.clone(),
            token: grant.token.clone(),
            over: false,
        }
    }

    /// It was used.
    pub(crate) fn forget(mut self) {
        self.over = true;
    }

    /// Bounded, and its failure ignored: the term ends the lease.
    pub(crate) async fn give_back(mut self, how: AbandonOptions) {
        let _ = timeout(ABANDON, self.cache.abandon_with(&self.token, how)).await;
        self.over = true;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let runtime = match self.over {
            true => None,
            false => Handle::try_current().ok(),
        };
        if let Some(runtime) = runtime {
            let (cache, token) = (self.cache.clone(), std::mem::take(&mut self.token));
            runtime.spawn(async move {
                let _ = timeout(ABANDON, cache.abandon(&token)).await;
            });
        }
    }
}
