//! The end of the process: one token, one tracker of tasks, one deadline.
//!
//! Every task is spawned here and has a name; nothing outlives the drain
//! unseen. What is still running at the deadline is named in the log.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// A handle on the process's end; clones are one.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    token: CancellationToken,
    tracker: TaskTracker,
    running: Arc<Mutex<BTreeMap<&'static str, usize>>>,
}

impl Shutdown {
    /// A process that has not begun to end.
    pub fn new() -> Self {
        Self::default()
    }

    /// Cancelled when tasks are to end.
    pub fn token(&self) -> CancellationToken {
        self.token.clone()
    }

    /// Starts a task. It must end soon after the token is cancelled.
    #[allow(clippy::disallowed_methods, reason = "the one place that spawns")]
    pub fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let guard = Named::new(name, self.running.clone());
        let task = self.tracker.track_future(async move {
            let _guard = guard;
            task.await;
        });
        tokio::spawn(task);
    }

    /// Waits until the process ends and all of its tasks have.
    pub async fn ended(&self) {
        self.tracker.wait().await;
    }

    #[cfg(test)]
    pub(crate) fn is_running(&self, name: &str) -> bool {
        lock(&self.running).contains_key(name)
    }

    /// Ends all tasks; true when all of them ended within `patience`.
    pub async fn finish(&self, patience: Duration) -> bool {
        self.token.cancel();
        self.tracker.close();
        let ended = tokio::time::timeout(patience, self.tracker.wait()).await;
        if ended.is_err() {
            let running = lock(&self.running);
            let names: Vec<_> = running.keys().copied().collect();
            tracing::warn!(
                tasks = names.join(", "),
                "still running at the drain deadline"
            );
        }
        ended.is_ok()
    }
}

/// Counts a task as running while it lives, however it ends.
struct Named {
    name: &'static str,
    running: Arc<Mutex<BTreeMap<&'static str, usize>>>,
}

impl Named {
    fn new(name: &'static str, running: Arc<Mutex<BTreeMap<&'static str, usize>>>) -> Self {
        *lock(&running).entry(name).or_default() += 1;
        Self { name, running }
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        let mut running = lock(&self.running);
        if let Some(count) = running.get_mut(self.name) {
            *count -= 1;
            if *count == 0 {
                running.remove(self.name);
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
