//! A granted lease in Python's hands: renewed for as long as it is held, given
//! back whatever happens to its holder. Best effort: when the sidecar cannot
//! be told, the term ends the lease.
//!
//! A lease belongs to the process that got it: a forked child leaves it alone.

use crate::call::Call;
use crate::options::{Store, content, seconds, stored};
use crate::reply::Reply;
use crate::runtime::{Busy, Driver};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use std::process;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use unstale::{AbandonOptions, Cache, CodecError, Error, Grant as Granted, Renewal};

/// What giving a lease back may take.
const ABANDON: Duration = Duration::from_secs(2);
/// The shortest pause between renewals.
const PAUSE_MIN: Duration = Duration::from_millis(10);

/// A lease that is renewed, and goes back when it is dropped.
pub(crate) struct Held {
    cache: Cache,
    key: String,
    token: String,
    term: Duration,
    pid: u32,
    driver: &'static Driver,
    /// The renewals need somebody to drive them.
    busy: Option<Busy>,
    stop: Arc<Notify>,
    renewing: Option<JoinHandle<()>>,
    over: bool,
}

impl Held {
    /// Holds the grant; inside the driver's runtime.
    pub(crate) fn new(driver: &'static Driver, cache: &Cache, key: &str, grant: &Granted) -> Self {
        let stop = Arc::new(Notify::new());
        let renewal = renew(cache.clone(), grant.clone(), stop.clone());
        Self {
            cache: cache.clone(),
            key: key.to_owned(),
            token: grant.token.clone(),
            term: grant.term,
            pid: process::id(),
            renewing: Some(driver.spawn(renewal)),
            busy: Some(driver.busy()),
            driver,
            stop,
            over: false,
        }
    }

    /// It was used: it does not go back.
    fn forget(&mut self) {
        self.over = true;
    }

    /// Ends the renewals. One that is under way is waited for: cut off, or
    /// overtaken by the fill, it might cost the lease.
    async fn settle(&mut self) {
        self.stop.notify_one();
        if let Some(renewing) = self.renewing.take() {
            let _ = renewing.await;
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // Not even told to stop: a lock of the parent's may be locked for ever.
        if self.pid != process::id() {
            std::mem::forget(self.busy.take());
            return;
        }
        self.stop.notify_one();
        if self.over {
            return;
        }
        let (cache, token) = (self.cache.clone(), std::mem::take(&mut self.token));
        self.driver.spawn(async move {
            let _ = timeout(ABANDON, cache.abandon(&token)).await;
        });
    }
}

/// Prolongs the lease until it is told to stop or the lease is gone.
async fn renew(cache: Cache, grant: Granted, stop: Arc<Notify>) {
    let mut term = grant.term;
    loop {
        tokio::select! {
            biased;
            () = stop.notified() => return,
            () = sleep((term / 3).max(PAUSE_MIN)) => {}
        }
        match cache.renew(&grant.token).await {
            Ok(Renewal::Renewed { term: renewed }) => term = renewed,
            // The holder goes on: the fill will say why it was refused.
            Ok(Renewal::Voided(_)) | Err(Error::UnknownLease(_)) => return,
            // Two thirds of the term are left: try again.
            Err(_) => {}
        }
    }
}

/// The right to load one key: fill it or abandon it, once.
#[pyclass(frozen, module = "unstale._native")]
pub(crate) struct Grant {
    /// Names the lease.
    #[pyo3(get)]
    token: String,
    /// Seconds that it lasts unless it is renewed.
    #[pyo3(get)]
    term: f64,
    held: Mutex<Option<Held>>,
}

impl Grant {
    pub(crate) fn new(held: Held) -> Self {
        Self {
            token: held.token.clone(),
            term: held.term.as_secs_f64(),
            held: Mutex::new(Some(held)),
        }
    }

    fn take(&self) -> PyResult<Held> {
        let held = self
            .held
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        held.ok_or_else(|| PyRuntimeError::new_err("the lease was filled or abandoned already"))
    }
}

#[pymethods]
impl Grant {
    /// A call that completes the lease with bytes, text, or none for "the
    /// origin has nothing". One that fails gives the lease back.
    fn fill(&self, py: Python<'_>, data: Option<Bound<'_, PyAny>>, store: Store) -> PyResult<Call> {
        let (content, entry) = (content(data)?, stored(store)?);
        let mut held = self.take()?;
        Call::new(py, async move {
            held.settle().await;
            let filled = held.cache.fill(&held.token, content, entry).await;
            let stored = filled.as_ref().map(drop).map_err(Error::clone);
            held.cache.learn(&held.key, stored);
            let filled = filled?;
            held.forget();
            Ok(Reply::Filled(filled))
        })
    }

    /// Gives the lease back in the background, if it was not used.
    fn release(&self) {
        drop(self.take());
    }

    /// The same because what was loaded has no form in its codec.
    fn unstorable(&self) {
        if let Ok(held) = self.take() {
            let why = CodecError::Encode("a value of Python".to_owned());
            held.cache.learn(&held.key, Err(why.into()));
        }
    }

    /// A call that gives the lease back.
    #[pyo3(signature = (serve_stale_for=None, retry_after=None))]
    fn abandon(
        &self,
        py: Python<'_>,
        serve_stale_for: Option<f64>,
        retry_after: Option<f64>,
    ) -> PyResult<Call> {
        let how = AbandonOptions {
            serve_stale_for: seconds(serve_stale_for)?,
            retry_after: seconds(retry_after)?,
        };
        let mut held = self.take()?;
        Call::new(py, async move {
            held.settle().await;
            held.forget();
            held.cache.abandon_with(&held.token, how).await?;
            Ok(Reply::Nothing)
        })
    }
}
