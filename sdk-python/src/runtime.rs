//! The process's tokio runtime, and who drives it.
//!
//! A thread that waits for a call drives the runtime itself: no other thread
//! has to be woken, twice, for an answer. When nobody waits, or event loops and
//! leases have work under way, a thread of the module's own drives it.
//!
//! One per process, made at first use and never dropped. After a fork the
//! parent's thread is gone, and what it held is left as it is: the child makes
//! another. The process's lock is only taken with the GIL held and never across
//! its release, so that no fork ever finds it locked.

use pyo3::prelude::*;
use std::pin::Pin;
use std::process;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// How often a waiting thread asks Python whether a signal came.
const SIGNALS: Duration = Duration::from_millis(50);
/// After this long without a call the module's own thread drives the runtime:
/// keep-alives are answered, watches flow.
const IDLE: Duration = Duration::from_millis(10);

static CURRENT: Mutex<Option<(u32, &'static Driver)>> = Mutex::new(None);

/// A runtime and what must drive it.
pub(crate) struct Driver {
    runtime: Runtime,
    load: Mutex<Load>,
    changed: Condvar,
    /// Asks the module's own thread to leave the driving to a caller.
    aside: Notify,
}

#[derive(Default)]
struct Load {
    /// Threads that wait for a call now.
    callers: usize,
    /// Calls of threads so far.
    calls: u64,
    /// Work under way that no thread waits for.
    tasks: usize,
    /// Whether the module's own thread drives.
    driven: bool,
}

/// This process's driver.
pub(crate) fn current(_attached: Python<'_>) -> PyResult<&'static Driver> {
    let mut current = lock(&CURRENT);
    let own = process::id();
    if let Some((pid, driver)) = *current
        && pid == own
    {
        return Ok(driver);
    }
    let driver: &Driver = Box::leak(Box::new(Driver {
        runtime: Builder::new_current_thread().enable_all().build()?,
        load: Mutex::default(),
        changed: Condvar::new(),
        aside: Notify::new(),
    }));
    let thread = std::thread::Builder::new().name("unstale".to_owned());
    thread.spawn(|| driver.drive())?;
    *current = Some((own, driver));
    Ok(driver)
}

impl Driver {
    /// Waits with the GIL released. A signal whose handler raises (Ctrl-C) ends
    /// the wait, and the work is dropped.
    pub(crate) fn wait<T: Send>(
        &self,
        py: Python<'_>,
        mut work: Pin<&mut (impl Future<Output = T> + Send + ?Sized)>,
    ) -> PyResult<T> {
        loop {
            let slice = || {
                let _caller = self.caller();
                let slice = async { timeout(SIGNALS, work.as_mut()).await };
                self.runtime.block_on(slice)
            };
            match py.detach(slice) {
                Ok(done) => return Ok(done),
                Err(_) => py.check_signals()?,
            }
        }
    }

    /// Starts work that no thread waits for.
    pub(crate) fn spawn<W>(&'static self, work: W) -> JoinHandle<()>
    where
        W: Future<Output = ()> + Send + 'static,
    {
        let busy = self.busy();
        self.runtime.spawn(async move {
            let _busy = busy;
            work.await;
        })
    }

    /// Has the runtime driven for as long as this is held.
    pub(crate) fn busy(&'static self) -> Busy {
        let mut load = lock(&self.load);
        load.tasks += 1;
        self.changed.notify_one();
        Busy(self)
    }

    fn caller(&self) -> Caller<'_> {
        let mut load = lock(&self.load);
        load.callers += 1;
        load.calls += 1;
        if load.driven && load.tasks == 0 {
            self.aside.notify_one();
        }
        Caller(self)
    }

    /// The module's own thread, for ever.
    fn drive(&self) {
        loop {
            self.until_needed();
            self.runtime.block_on(self.aside.notified());
            lock(&self.load).driven = false;
        }
    }

    fn until_needed(&self) {
        let mut load = lock(&self.load);
        let mut seen = load.calls.wrapping_sub(1);
        while load.tasks == 0 && (load.callers > 0 || load.calls != seen) {
            seen = load.calls;
            let waited = self.changed.wait_timeout(load, IDLE);
            load = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        load.driven = true;
    }
}

/// A thread that waits for a call, and drives the runtime if nobody else does.
struct Caller<'a>(&'a Driver);

impl Drop for Caller<'_> {
    fn drop(&mut self) {
        lock(&self.0.load).callers -= 1;
    }
}

/// Work that no thread waits for.
pub(crate) struct Busy(&'static Driver);

impl Drop for Busy {
    fn drop(&mut self) {
        lock(&self.0.load).tasks -= 1;
    }
}

/// Held for a few instructions, none of which panics.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
