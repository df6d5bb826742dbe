//! The process's tokio runtime, and what every call does with it.
//!
//! One per process, made at first use and never dropped. After a fork the
//! child's threads are gone, and what they held is left as it is: the child
//! makes another. The lock is only taken with the GIL held and never across
//! its release, so that no fork ever finds it locked.

use pyo3::prelude::*;
use std::pin::Pin;
use std::process;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

/// How often a waiting thread asks Python whether a signal came.
const SIGNALS: Duration = Duration::from_millis(50);

static CURRENT: Mutex<Option<(u32, &'static Runtime)>> = Mutex::new(None);

/// This process's runtime.
pub(crate) fn current(_attached: Python<'_>) -> PyResult<&'static Runtime> {
    let mut current = CURRENT.lock().unwrap_or_else(PoisonError::into_inner);
    let own = process::id();
    if let Some((pid, runtime)) = *current
        && pid == own
    {
        return Ok(runtime);
    }
    let mut builder = Builder::new_multi_thread();
    let builder = builder.worker_threads(1).thread_name("unstale");
    let runtime: &Runtime = Box::leak(Box::new(builder.enable_all().build()?));
    *current = Some((own, runtime));
    Ok(runtime)
}

/// Waits with the GIL released. A signal whose handler raises (Ctrl-C) ends
/// the wait, and the work is dropped.
pub(crate) fn wait<T: Send>(
    py: Python<'_>,
    runtime: &Runtime,
    mut work: Pin<Box<dyn Future<Output = T> + Send>>,
) -> PyResult<T> {
    loop {
        let slice = || runtime.block_on(async { timeout(SIGNALS, work.as_mut()).await });
        match py.detach(slice) {
            Ok(done) => return Ok(done),
            Err(_) => py.check_signals()?,
        }
    }
}
