//! The fleet's invalidations, one call per event. Dropping the watch ends it.

use crate::call::Call;
use crate::reply::Reply;
use futures::StreamExt as _;
use pyo3::prelude::*;
use std::process;
use std::sync::Arc;
use tokio::sync::Mutex;

/// A watch under way. It belongs to the process that began it.
#[pyclass(frozen, module = "unstale._native")]
pub(crate) struct Watch {
    pid: u32,
    events: Arc<Mutex<unstale::Watch>>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        if self.pid != process::id() {
            // To end it would take a lock of the parent's connection.
            std::mem::forget(self.events.clone());
        }
    }
}

impl Watch {
    pub(crate) fn new(events: unstale::Watch) -> Self {
        Self {
            pid: process::id(),
            events: Arc::new(Mutex::new(events)),
        }
    }
}

#[pymethods]
impl Watch {
    /// A call for the next event; none when the sidecar ended the watch.
    /// Dropping the call loses no event.
    fn next(&self, py: Python<'_>) -> PyResult<Call> {
        let events = self.events.clone();
        Call::new(py, async move {
            let next = events.lock().await.next().await;
            Ok(Reply::Event(next.transpose()?))
        })
    }
}

/// One event of a watch.
#[pyclass(frozen, get_all, module = "unstale._native")]
pub(crate) struct WatchEvent {
    /// "started", "invalidation", "heartbeat" or "lagged".
    kind: &'static str,
    /// How far the watch is complete.
    position: String,
    /// Where it was invalidated; empty but for invalidations.
    namespace: String,
    /// The invalidated keys.
    keys: Vec<String>,
    /// The invalidated tags.
    tags: Vec<String>,
    /// The invalidated prefixes.
    prefixes: Vec<String>,
    /// Whether the whole namespace was invalidated.
    all: bool,
    /// Whether entries are stale in place of gone.
    soft: bool,
    /// Why.
    reason: String,
}

impl WatchEvent {
    fn bare(kind: &'static str, position: String) -> Self {
        Self {
            kind,
            position,
            namespace: String::new(),
            keys: Vec::new(),
            tags: Vec::new(),
            prefixes: Vec::new(),
            all: false,
            soft: false,
            reason: String::new(),
        }
    }
}

impl From<unstale::WatchEvent> for WatchEvent {
    fn from(event: unstale::WatchEvent) -> Self {
        use unstale::WatchEvent as Event;
        match event {
            Event::Started { position } => Self::bare("started", position),
            Event::Heartbeat { position } => Self::bare("heartbeat", position),
            Event::Lagged { position } => Self::bare("lagged", position),
            Event::Invalidation { what, position } => Self {
                namespace: what.namespace,
                keys: what.keys,
                tags: what.tags,
                prefixes: what.prefixes,
                all: what.all,
                soft: what.mode == unstale::InvalidateMode::Soft,
                reason: what.reason,
                ..Self::bare("invalidation", position)
            },
        }
    }
}
