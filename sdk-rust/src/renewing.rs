//! Keeps a lease or a reference alive while its holder works, in a task of its
//! own. Dropped, it ends at once; what the renewal under way does then is unknown.

use crate::fill::Renewal;
use crate::lease::Grant;
use crate::{Cache, Error};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// The shortest pause between renewals.
const PAUSE_MIN: Duration = Duration::from_millis(10);

/// What a renewal came to.
pub(crate) enum Turn {
    /// It lasts for so long from now on.
    Lasts(Duration),
    /// It cannot be renewed any more.
    Over,
    /// Two thirds of the term are left: try again.
    Again,
}

/// The renewals of one lease or reference.
#[derive(Debug)]
pub(crate) struct Renewing {
    over: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Renewing {
    pub(crate) fn new(cache: &Cache, grant: &Grant) -> Self {
        let (cache, token) = (cache.clone(), grant.token.clone());
        Self::every(grant.term, move || renew(cache.clone(), token.clone()))
    }

    /// Renews at a third of the term, again and again.
    pub(crate) fn every<R>(term: Duration, renewal: impl FnMut() -> R + Send + 'static) -> Self
    where
        R: Future<Output = Turn> + Send + 'static,
    {
        let (over, ended) = oneshot::channel();
        Self {
            over: Some(over),
            task: tokio::spawn(turns(term, ended, renewal)),
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

async fn turns<R: Future<Output = Turn>>(
    mut term: Duration,
    mut ended: oneshot::Receiver<()>,
    mut renewal: impl FnMut() -> R,
) {
    loop {
        tokio::select! {
            biased;
            _ = &mut ended => return,
            () = sleep((term / 3).max(PAUSE_MIN)) => {}
        }
        match renewal().await {
            Turn::Lasts(renewed) => term = renewed,
            Turn::Over => return,
            Turn::Again => {}
        }
    }
}

async fn renew(cache: Cache, token: String) -> Turn {
    match cache.renew(&token).await {
        Ok(Renewal::Renewed { term }) => Turn::Lasts(term),
        // The loader goes on: its caller still wants the value. The fill
        // will say why it was refused.
        Ok(Renewal::Voided(_)) | Err(Error::UnknownLease(_)) => Turn::Over,
        Err(_) => Turn::Again,
    }
}
