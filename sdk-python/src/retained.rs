//! References to keys, and one that is kept up in Python's hands: renewed for as
//! long as it is held, released whatever happens to its holder. Best effort: when
//! the sidecar cannot be told, the term ends the reference.
//!
//! A reference belongs to the process that got it: a forked child leaves it alone.

use crate::call::Call;
use crate::reply::Reply;
use crate::runtime::{Busy, Driver};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use std::process;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::timeout;

/// What releasing a key in the background may take.
const RELEASE: Duration = Duration::from_secs(2);

/// A reference that is renewed, and released when it is dropped.
pub(crate) struct Held {
    guard: Option<unstale::Retained>,
    pid: u32,
    driver: &'static Driver,
    /// The renewals need somebody to drive them.
    busy: Option<Busy>,
}

impl Held {
    /// Holds the guard; inside the driver's runtime.
    pub(crate) fn new(driver: &'static Driver, guard: unstale::Retained) -> Self {
        Self {
            guard: Some(guard),
            pid: process::id(),
            busy: Some(driver.busy()),
            driver,
        }
    }

    /// What a forked child finds is its parent's.
    fn is_ours(&self) -> bool {
        self.pid == process::id()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // Not even told to stop: a lock of the parent's may be locked for ever.
        if !self.is_ours() {
            std::mem::forget((self.guard.take(), self.busy.take()));
            return;
        }
        if let Some(guard) = self.guard.take() {
            self.driver.spawn(async move {
                let _ = timeout(RELEASE, guard.release()).await;
            });
        }
    }
}

/// A reference that is kept up until it is released, once.
#[pyclass(frozen, module = "unstale._native")]
pub(crate) struct Retained {
    /// The owner's name.
    #[pyo3(get)]
    owner: String,
    held: Mutex<Option<Held>>,
}

impl Retained {
    pub(crate) fn new(held: Held) -> Self {
        let owner = held.guard.as_ref().map(|guard| guard.owner().to_owned());
        Self {
            owner: owner.unwrap_or_default(),
            held: Mutex::new(Some(held)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl Retained {
    /// What the newest renewal told; none while the sidecar cannot be reached, and
    /// once it was released.
    fn newest(&self) -> Option<Reference> {
        let held = self.lock();
        let held = held.as_ref().filter(|held| held.is_ours());
        Some(held?.guard.as_ref()?.newest()?.into())
    }

    /// A call that ends the reference, if it is of this process.
    fn release(&self, py: Python<'_>) -> PyResult<Call> {
        let held = self.lock().take();
        let mut held = held.ok_or_else(|| PyRuntimeError::new_err("it was released already"))?;
        if !held.is_ours() {
            drop(held);
            return Call::new(py, async { Ok(Reply::Nothing) });
        }
        Call::new(py, async move {
            match held.guard.take() {
                Some(guard) => Ok(Reply::Released(guard.release().await?)),
                None => Ok(Reply::Nothing),
            }
        })
    }

    /// Ends the reference in the background, if it was not released.
    fn let_go(&self) {
        drop(self.lock().take());
    }
}

/// A reference that is there.
#[pyclass(frozen, get_all, module = "unstale._native")]
pub(crate) struct Reference {
    /// Owners that refer to the key, in the whole fleet.
    references: u32,
    /// Seconds that it lasts unless it is renewed.
    term: f64,
    /// "PINNED", "NOT_CACHED", "NO_ROOM" or "OTHER".
    here: &'static str,
}

impl From<unstale::Reference> for Reference {
    fn from(told: unstale::Reference) -> Self {
        Self {
            references: told.references,
            term: told.term.as_secs_f64(),
            here: told.here.as_str(),
        }
    }
}

/// What became of a reference that was to end.
#[pyclass(frozen, get_all, module = "unstale._native")]
pub(crate) struct Released {
    /// Whether there was one.
    released: bool,
    /// Owners that still refer to the key, in the whole fleet; none if there was
    /// no reference.
    references: Option<u32>,
    /// Where the entry was invalidated, because this was the last one.
    dropped_position: Option<String>,
}

impl From<unstale::Released> for Released {
    fn from(told: unstale::Released) -> Self {
        match told {
            unstale::Released::Done {
                references,
                dropped,
            } => Self {
                released: true,
                references: Some(references),
                dropped_position: dropped,
            },
            unstale::Released::NotRetained => Self {
                released: false,
                references: None,
                dropped_position: None,
            },
        }
    }
}
