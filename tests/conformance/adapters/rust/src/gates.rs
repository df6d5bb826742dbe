//! How often each loader began, and the gates at which loaders wait.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Semaphore;

/// Loaders and gates by name.
#[derive(Default)]
pub(crate) struct Gates {
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    begun: HashMap<String, u64>,
    gates: HashMap<String, Arc<Semaphore>>,
}

impl Gates {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn gate(&self, name: &str) -> Arc<Semaphore> {
        let mut known = self.known();
        let gate = known.gates.entry(name.to_owned());
        Arc::clone(gate.or_insert_with(|| Arc::new(Semaphore::new(0))))
    }

    /// How many times the loader was started.
    pub(crate) fn begun(&self, loader: &str) -> u64 {
        self.known().begun.get(loader).copied().unwrap_or_default()
    }

    /// The loader starts; it waits at its gate, if it has one.
    pub(crate) async fn begin(&self, loader: &str, gate: Option<&str>) {
        *self.known().begun.entry(loader.to_owned()).or_default() += 1;
        if let Some(gate) = gate {
            // An error is what an open gate gives.
            let _ = self.gate(gate).acquire().await;
        }
    }

    /// Lets everybody through, now and later.
    pub(crate) fn release(&self, gate: &str) {
        self.gate(gate).close();
    }

    /// Releases what a case that has ended left waiting.
    pub(crate) fn forget(&self, prefix: &str) {
        let gates = self.known().gates.clone();
        for (_, gate) in gates.iter().filter(|(name, _)| name.starts_with(prefix)) {
            gate.close();
        }
    }
}
