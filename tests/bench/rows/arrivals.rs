//! What one task reads and others wait for, each for its own.

use crate::{Error, Result};
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

/// How long something may take to come.
const PATIENCE: Duration = Duration::from_secs(10);

/// Who waits for what, and what came before somebody waited for it.
pub(crate) struct Arrivals<T>(Mutex<HashMap<T, Arrival>>);

enum Arrival {
    Awaited(oneshot::Sender<()>),
    Here,
}

impl<T> Default for Arrivals<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Eq + Hash> Arrivals<T> {
    /// These have come.
    pub(crate) fn extend(&self, what: impl IntoIterator<Item = T>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for what in what {
            match all.remove(&what) {
                // Who does not wait any more has failed of something else.
                Some(Arrival::Awaited(who)) => drop(who.send(())),
                _ => drop(all.insert(what, Arrival::Here)),
            }
        }
    }

    /// Returns when this has come, which only one waits for.
    pub(crate) async fn of(&self, what: T) -> Result<()> {
        let (tell, told) = oneshot::channel();
        {
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(Arrival::Here) = all.remove(&what) {
                return Ok(());
            }
            all.insert(what, Arrival::Awaited(tell));
        }
        let told = tokio::time::timeout(PATIENCE, told).await;
        Ok(told.map_err(|_| Error::from("what is waited for does not come"))??)
    }
}
