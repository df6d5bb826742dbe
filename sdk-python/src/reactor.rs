//! How outcomes reach an event loop: through a socket that becomes readable.
//!
//! The threads of the runtime never take the GIL; they leave outcomes in a
//! queue and write one byte when it was empty. The loop's own thread turns
//! them into Python objects, as many as there are at once.

use crate::call::Outcome;
use crate::error::exception;
use pyo3::prelude::*;
use std::io::{Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// The outcomes of one event loop's calls.
#[pyclass(frozen, module = "unstale._native")]
pub(crate) struct Reactor {
    next: AtomicU64,
    shared: Arc<Shared>,
}

struct Shared {
    done: Mutex<Vec<(u64, Outcome)>>,
    wake: UnixStream,
    /// Here, so that nothing is ever written to a socket whose other end is
    /// closed: that is a signal.
    readable: UnixStream,
}

/// Where one call leaves its outcome.
pub(crate) struct Done {
    id: u64,
    shared: Arc<Shared>,
}

impl Done {
    pub(crate) fn push(self, outcome: Outcome) {
        let mut done = lock(&self.shared.done);
        let first = done.is_empty();
        done.push((self.id, outcome));
        if first {
            // A full socket is readable already.
            let _ = (&self.shared.wake).write(&[1]);
        }
    }
}

impl Reactor {
    /// A call's number, and where it leaves its outcome.
    pub(crate) fn expect(&self) -> (u64, Done) {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let shared = self.shared.clone();
        (id, Done { id, shared })
    }
}

/// An outcome's number, whether it is a result, and the result or exception.
type Drained = (u64, bool, Py<PyAny>);

#[pymethods]
impl Reactor {
    #[new]
    fn new() -> PyResult<Self> {
        let (readable, wake) = UnixStream::pair()?;
        readable.set_nonblocking(true)?;
        wake.set_nonblocking(true)?;
        let done = Mutex::default();
        Ok(Self {
            next: AtomicU64::new(0),
            shared: Arc::new(Shared {
                done,
                wake,
                readable,
            }),
        })
    }

    /// Readable when there are outcomes.
    fn fileno(&self) -> i32 {
        self.shared.readable.as_raw_fd()
    }

    /// Takes the outcomes that are there.
    fn drain(&self, py: Python<'_>) -> PyResult<Vec<Drained>> {
        // First the byte, then the queue: what comes between is seen twice, not
        // never.
        let mut bytes = [0; 64];
        while matches!((&self.shared.readable).read(&mut bytes), Ok(64)) {}
        let done = std::mem::take(&mut *lock(&self.shared.done));
        done.into_iter()
            .map(|(id, done)| drained(py, id, done))
            .collect()
    }
}

fn drained(py: Python<'_>, id: u64, outcome: Outcome) -> PyResult<Drained> {
    Ok(match outcome {
        Ok(reply) => (id, true, reply.give(py)?),
        Err(error) => (id, false, exception(py, error)?.unbind()),
    })
}

/// Held for a few instructions and never while a thread is ended.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
