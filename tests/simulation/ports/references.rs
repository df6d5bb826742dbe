//! The references as one pod reaches them: over its link to the log's servers, in
//! their order, from all that is there on after every reconnect.

use super::{Pod, Point};
use crate::world::{NOBODY, Shared};
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;
use unstale_engine::references::{Event, Reference, References, Sink as _};

/// What a sender gives up after without an answer (µs).
const NO_ANSWER: u64 = 450_000;
/// How often the server looks for terms that have passed (µs).
const LOOKS: u64 = 100_000;
/// How often a pod without news looks whether its connection is the same (µs).
const IDLE: u64 = 200_000;

/// The references of one start of a pod.
pub(crate) struct PodReferences(pub(crate) Arc<Pod>);

#[async_trait]
impl References for PodReferences {
    fn name(&self) -> &'static str {
        "model"
    }

    async fn put(&self, reference: Reference, term: Duration) -> Result<u64, String> {
        let pod = &self.0;
        pod.passes(Point::Put).await;
        let number = pod.number;
        let step = move |w: &mut crate::world::World, now| {
            w.links[number]
                .sends()
                .then(|| w.references.put(reference, term, now))
        };
        pod.answered(step).await
    }

    async fn remove(&self, reference: Reference) -> Result<Option<u64>, String> {
        let pod = &self.0;
        pod.passes(Point::Put).await;
        let number = pod.number;
        let step = move |w: &mut crate::world::World, now| {
            let id = reference.id();
            w.links[number]
                .sends()
                .then(|| w.references.remove(id, now))
        };
        pod.answered(step).await
    }
}

impl Pod {
    /// The answer of a server's step; it may be lost, and so may the request.
    async fn answered<T: Send + 'static>(
        &self,
        step: impl FnOnce(&mut crate::world::World, u64) -> Option<T> + Send + 'static,
    ) -> Result<T, String> {
        let done = self.shared.served(self.way(800), step).await;
        self.shared.delay(50, 800).await;
        let heard = self.shared.link(self.number, |link| link.receives());
        self.passes(Point::Put).await;
        match done {
            Some(done) if heard && !self.shared.loses(5) => Ok(done),
            _ => {
                self.shared.handle.sleep(NO_ANSWER).await;
                Err("no answer".into())
            }
        }
    }

    /// Tells the engine of all references, for as long as the pod lives.
    pub(crate) async fn follow_references(self: Arc<Self>) {
        let mut connection = None;
        let mut read = 0;
        loop {
            let (generation, receives, start) = self.shared.link(self.number, |link| {
                (link.generation, link.receives(), link.start)
            });
            if start != self.start {
                return;
            }
            if connection != Some(generation) {
                if connection.take().is_some() {
                    self.tell_references(Event::Away("the link failed".into()));
                }
                self.shared.delay(1_000, 200_000).await;
                let receives = self.shared.link(self.number, |link| {
                    link.receives() && link.sends() && link.generation == generation
                });
                if receives {
                    let now = self.shared.handle.now();
                    let state = self.shared.with(|w| w.references.state(now));
                    read = self.shared.with(|w| w.references.last());
                    connection = Some(generation);
                    self.tell_references(state);
                }
                continue;
            }
            let next = receives.then(|| self.shared.with(|w| w.references.after(read)));
            match next.flatten() {
                Some(event) => {
                    read += 1;
                    self.shared.delay(10, 3_000).await;
                    let same = self.shared.link(self.number, |link| link.generation) == generation;
                    if same {
                        self.tell_references(event);
                    }
                }
                None => tokio::select! {
                    biased;
                    () = self.shared.changed.notified() => {}
                    () = self.shared.handle.sleep(IDLE) => {}
                },
            }
        }
    }

    fn tell_references(&self, event: Event) {
        if self.dies_at(Point::Event) {
            return;
        }
        let engine = self.engine.lock().expect("no panic under the lock");
        if let Some(engine) = engine.upgrade() {
            engine.told(event);
        }
    }
}

/// Ends terms, whoever is there.
pub(crate) async fn end_terms(shared: Shared) {
    loop {
        shared.handle.sleep(LOOKS).await;
        let now = shared.handle.now();
        if shared.with(|w| w.references.end_due(now)) {
            shared.changed.notify_waiters();
        }
    }
}

/// Starts what ends terms.
pub(crate) fn serve(shared: &Shared) {
    shared.handle.spawn(NOBODY, end_terms(shared.clone()));
}
