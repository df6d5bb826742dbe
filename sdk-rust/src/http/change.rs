//! A request that may change a resource: whatever becomes of the request, the
//! resource's cached responses do not outlive the change.
//!
//! Guarantees that the invalidation is sent when the service said that it did
//! something, and when it could not say what it did, because it failed or the
//! request was dropped. When it cannot be done, it is told to
//! [`crate::Builder::on_outage`].

use crate::{Cache, Invalidate};
use http::StatusCode;
use tokio::runtime::Handle;

/// A change under way.
#[derive(Debug)]
pub(super) struct Change {
    cache: Cache,
    /// The resource's; none when there is nothing to invalidate any more.
    tag: Option<String>,
}

impl Change {
    pub(super) fn new(cache: &Cache, tag: String) -> Self {
        let (cache, tag) = (cache.clone(), Some(tag));
        Self { cache, tag }
    }

    /// The service has answered; returns when nobody is given the old response
    /// any more.
    pub(super) async fn ended(mut self, status: StatusCode) {
        let done = status.is_success() || status.is_redirection();
        if let Some(tag) = self.tag.clone().filter(|_| done) {
            // Dropped here, it is begun once more: that does no harm.
            invalidate(&self.cache, tag).await;
        }
        self.tag = None;
    }
}

impl Drop for Change {
    fn drop(&mut self) {
        let Some(tag) = self.tag.take() else {
            return;
        };
        // Without a runtime there is nobody to do it.
        if let Ok(runtime) = Handle::try_current() {
            let cache = self.cache.clone();
            runtime.spawn(async move { invalidate(&cache, tag).await });
        }
    }
}

async fn invalidate(cache: &Cache, tag: String) {
    if let Err(error) = cache.invalidate(Invalidate::default().tag(tag)).await {
        // The service has done its work: the response is its word for it.
        cache.tell(&error);
    }
}
