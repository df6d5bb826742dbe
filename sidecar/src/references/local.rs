//! The references of a pod that is alone: in memory, gone with the process.
//!
//! Guarantees: what is put or removed is told before it is answered, in one order;
//! what is not renewed ends with its term, by the engine's clock.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use unstale_engine::clock::{Clock, Moment};
use unstale_engine::references::{Event, Gone, Present, Reference, ReferenceId, References, Sink};

/// The references in this process.
pub struct LocalReferences {
    clock: Arc<dyn Clock>,
    sink: OnceLock<Arc<dyn Sink>>,
    state: Mutex<State>,
    /// Something may end sooner than what was waited for.
    changed: Notify,
}

#[derive(Default)]
struct State {
    last: u64,
    ends: HashMap<ReferenceId, Moment>,
}

impl LocalReferences {
    /// None yet. Nothing can be put before [`LocalReferences::run`] runs.
    pub fn new(clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self {
            clock,
            sink: OnceLock::new(),
            state: Mutex::default(),
            changed: Notify::new(),
        })
    }

    /// Ends what has lasted its term, until `cancel`.
    pub async fn run(self: Arc<Self>, sink: Arc<dyn Sink>, cancel: CancellationToken) {
        let sink = self.sink.get_or_init(|| sink);
        sink.told(Event::State {
            present: Vec::new(),
            gone: Vec::new(),
            sequence: self.state().last,
        });
        loop {
            let next = self.end_due(sink);
            let ended = async {
                match next {
                    Some(next) => self.clock.sleep_until(next).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = cancel.cancelled() => return,
                () = self.changed.notified() => {}
                () = ended => {}
            }
        }
    }

    /// Ends what is due; when the next one is.
    fn end_due(&self, sink: &Arc<dyn Sink>) -> Option<Moment> {
        let mut state = self.state();
        let now = self.clock.now();
        let due = state.ends.iter().filter(|(_, until)| **until <= now);
        let mut due: Vec<_> = due.map(|(id, until)| (*until, *id)).collect();
        due.sort_unstable_by_key(|(until, _)| *until);
        for (_, id) in due {
            state.ends.remove(&id);
            let sequence = state.next();
            let reference = None;
            sink.told(Event::Gone(Gone {
                sequence,
                id,
                reference,
            }));
        }
        state.ends.values().min().copied()
    }

    fn sink(&self) -> Result<&Arc<dyn Sink>, String> {
        let sink = self.sink.get();
        sink.ok_or_else(|| "they are not followed yet".to_owned())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn next(&mut self) -> u64 {
        self.last += 1;
        self.last
    }
}

#[async_trait::async_trait]
impl References for LocalReferences {
    fn name(&self) -> &'static str {
        "local"
    }

    async fn put(&self, reference: Reference, term: Duration) -> Result<u64, String> {
        let sink = self.sink()?;
        let mut state = self.state();
        let sequence = state.next();
        let until = self.clock.now().plus(term);
        state.ends.insert(reference.id(), until);
        sink.told(Event::Present(Present {
            sequence,
            reference,
            left: term,
        }));
        self.changed.notify_one();
        Ok(sequence)
    }

    async fn remove(&self, reference: Reference) -> Result<Option<u64>, String> {
        let sink = self.sink()?;
        let mut state = self.state();
        let id = reference.id();
        let now = self.clock.now();
        let was = state.ends.get(&id).is_some_and(|until| *until > now);
        if !was {
            return Ok(None);
        }
        state.ends.remove(&id);
        let sequence = state.next();
        let reference = Some(reference);
        sink.told(Event::Gone(Gone {
            sequence,
            id,
            reference,
        }));
        Ok(Some(sequence))
    }
}
