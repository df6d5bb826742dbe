//! The references of a pod that is alone: in memory, gone with the process.
//!
//! Guarantees: what is put or removed is told before it is answered, in one order;
//! what is not renewed ends with its term, by the engine's clock.

use std::collections::{BTreeSet, HashMap};
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
    /// The same, the next to end first.
    order: BTreeSet<(Moment, ReferenceId)>,
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
        loop {
            let (until, id) = *state.order.first()?;
            if until > now {
                return Some(until);
            }
            state.end(id);
            let sequence = state.next();
            let reference = None;
            sink.told(Event::Gone(Gone {
                sequence,
                id,
                reference,
            }));
        }
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

    /// True: it ends sooner than all others did.
    fn keep(&mut self, id: ReferenceId, until: Moment) -> bool {
        let first = self.order.first().map(|(first, _)| *first);
        self.end(id);
        self.ends.insert(id, until);
        self.order.insert((until, id));
        first.is_none_or(|first| until < first)
    }

    fn end(&mut self, id: ReferenceId) {
        if let Some(until) = self.ends.remove(&id) {
            self.order.remove(&(until, id));
        }
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
        let is_first = state.keep(reference.id(), until);
        sink.told(Event::Present(Present {
            sequence,
            reference,
            left: term,
        }));
        if is_first {
            self.changed.notify_one();
        }
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
        state.end(id);
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

#[cfg(test)]
mod tests {
    use super::*;
    use unstale_engine::key::NameHash;

    #[test]
    fn only_what_ends_before_all_others_wakes() {
        let mut state = State::default();
        let id = |owner| ReferenceId {
            key: NameHash(1),
            owner,
        };
        let at = |seconds| Moment::new(Duration::from_secs(seconds));
        let kept = [(1, 10), (2, 20), (3, 5), (2, 30), (3, 35)];
        let wakes = kept.map(|(owner, until)| state.keep(id(owner), at(until)));
        assert_eq!(wakes, [true, false, true, false, false]);
        state.end(id(1));
        let order: Vec<_> = state.order.iter().copied().collect();
        assert_eq!(order, [(at(30), id(2)), (at(35), id(3))]);
        assert_eq!(state.ends.len(), 2);
    }
}
