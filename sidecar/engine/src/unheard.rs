//! Leases that were granted to a caller who went away before it heard of it:
//! they go back, so that the next caller loads at once. Best effort: what fails
//! ends with its term.

use crate::abandon;
use crate::clock::Moment;
use crate::engine::Engine;
use crate::entry::Content;
use crate::key::Key;
use crate::request::{Abandon, LeaseToken};
use crate::tier;
use crate::write;
use futures::future::join_all;

/// A marker that is being put. Dropped before the outcome is known, it is taken
/// away again if it is there.
pub(crate) struct Putting<'a> {
    engine: &'a Engine,
    /// None once the outcome is known.
    what: Option<(Key, LeaseToken)>,
}

impl<'a> Putting<'a> {
    pub(crate) fn new(engine: &'a Engine, key: &Key, token: LeaseToken) -> Self {
        let what = Some((key.clone(), token));
        Self { engine, what }
    }

    pub(crate) fn ended(mut self) {
        self.what = None;
    }
}

impl Drop for Putting<'_> {
    fn drop(&mut self) {
        if let Some((key, token)) = self.what.take() {
            let owner = write::owner(self.engine);
            let clean = async move { take_away(&owner, &key, token).await };
            self.engine.background.clean(Box::pin(clean));
        }
    }
}

/// Removes the marker with this token; what it carried is put back.
async fn take_away(engine: &Engine, key: &Key, token: LeaseToken) {
    let deadline = patience(engine);
    let remote = tier::remote(engine);
    // Not a read that others share: it may have begun before the put.
    let Ok(Some(there)) = tier::call(engine, deadline, remote.get(key.hash())).await else {
        return;
    };
    if let Ok(Content::Marker(marker)) = tier::decode(engine, key, &there)
        && marker.token == token
    {
        let stale = marker.stale.as_deref();
        abandon::remove(engine, key, there.revision, stale, deadline).await;
    }
}

/// Gives leases back in the background.
pub(crate) fn give_back(engine: &Engine, tokens: Vec<LeaseToken>) {
    let owner = write::owner(engine);
    engine.background.clean(Box::pin(async move {
        let deadline = patience(&owner);
        let back = tokens.into_iter().map(|token| {
            let back = Abandon {
                token,
                serve_stale_for: None,
                retry_after: None,
                deadline,
            };
            abandon::abandon(&owner, back)
        });
        // What is unknown is over.
        join_all(back).await;
    }));
}

fn patience(engine: &Engine) -> Moment {
    engine.now().plus(engine.options.remote_timeout)
}
