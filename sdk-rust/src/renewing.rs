//! Keeps a lease alive while its holder works, in a task of its own. Dropped,
//! it ends at once; what the renewal under way does then is unknown.

use crate::fill::Renewal;
use crate::lease::Grant;
use crate::{Cache, Error};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// The shortest pause between renewals.
const PAUSE_MIN: Duration = Duration::from_millis(10);

/// The renewals of one lease.
#[derive(Debug)]
pub(crate) struct Renewing {
    over: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Renewing {
    pub(crate) fn new(cache: &Cache, grant: &Grant) -> Self {
        let (over, ended) = oneshot::channel();
        let (cache, token, term) = (cache.clone(), grant.token.clone(), grant.term);
        Self {
            over: Some(over),
            task: tokio::spawn(renew(cache, token, term, ended)),
        }
    }

    /// Ends it between two renewals: one that is cut off, or overtaken by the
    /// fill, may cost the lease.
    pub(crate) async fn end(mut self) {
        drop(self.over.take());
        // It cannot fail, and if it did the lease would end with its term.
        let _ = (&mut self.task).await;
    }
}

impl Drop for Renewing {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn renew(cache: Cache, token: String, mut term: Duration, mut ended: oneshot::Receiver<()>) {
    loop {
        tokio::select! {
            biased;
            _ = &mut ended => return,
            () = sleep((term / 3).max(PAUSE_MIN)) => {}
        }
        match cache.renew(&token).await {
            Ok(Renewal::Renewed { term: renewed }) => term = renewed,
            // The loader goes on: its caller still wants the value. The fill
            // will say why it was refused.
            Ok(Renewal::Voided(_)) | Err(Error::UnknownLease(_)) => return,
            // Two thirds of the term are left: try again.
            Err(_) => {}
        }
    }
}
