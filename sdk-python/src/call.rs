//! A call that was asked for and not yet made: waited for by a thread, or
//! started for an event loop. Dropping it makes it not happen.

use crate::error::raised;
use crate::reactor::Reactor;
use crate::reply::Reply;
use crate::runtime::{self, Driver};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use tokio::task::AbortHandle;
use unstale::Error;

/// What a call comes to.
pub(crate) type Outcome = Result<Reply, Error>;
/// The call itself.
pub(crate) type Work = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// One call; it is made once.
#[pyclass(frozen, module = "unstale._native")]
pub(crate) struct Call {
    driver: &'static Driver,
    work: Mutex<Option<Work>>,
}

impl Call {
    pub(crate) fn new<W>(py: Python<'_>, work: W) -> PyResult<Self>
    where
        W: Future<Output = Outcome> + Send + 'static,
    {
        Ok(Self::of(runtime::current(py)?, work))
    }

    /// The same where this process's driver is at hand.
    pub(crate) fn of<W>(driver: &'static Driver, work: W) -> Self
    where
        W: Future<Output = Outcome> + Send + 'static,
    {
        let work = Mutex::new(Some(Box::pin(work) as Work));
        Self { driver, work }
    }

    fn take(&self) -> PyResult<Work> {
        let mut work = self.work.lock().unwrap_or_else(PoisonError::into_inner);
        let again = || PyRuntimeError::new_err("a call is made once");
        work.take().ok_or_else(again)
    }
}

#[pymethods]
impl Call {
    /// Makes the call and blocks until it is answered, the GIL released.
    fn wait(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let outcome = self.driver.wait(py, self.take()?.as_mut())?;
        outcome.map_err(|error| raised(py, error))?.give(py)
    }

    /// Makes the call; its outcome comes out of the reactor.
    fn start(&self, reactor: &Reactor) -> PyResult<Task> {
        let (id, done) = reactor.expect();
        let work = self.take()?;
        let task = self.driver.spawn(async move { done.push(work.await) });
        Ok(Task {
            id,
            abort: task.abort_handle(),
        })
    }
}

/// A call under way for an event loop.
#[pyclass(frozen, module = "unstale._native")]
pub(crate) struct Task {
    /// Names its outcome among those of the reactor.
    #[pyo3(get)]
    id: u64,
    abort: AbortHandle,
}

#[pymethods]
impl Task {
    /// Drops the call; its outcome never comes, unless it was there already.
    fn cancel(&self) {
        self.abort.abort();
    }
}
