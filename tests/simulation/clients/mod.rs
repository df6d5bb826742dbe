//! The clients of one pod.

pub(crate) mod courier;
mod evictor;
pub(crate) mod judge;
mod loader;
pub(crate) mod names;
mod reader;
pub(crate) mod recorder;
mod setter;
mod swapper;
mod watcher;
mod writer;

pub(crate) use names::{key, tag};
pub(crate) use swapper::Swaps;

use crate::world::Shared;
use names::{entry, namespace};
use std::sync::Arc;
use std::time::Duration;
use unstale_engine::Engine;
use unstale_engine::clock::Moment;

/// Whoever talks to one start of a pod; it dies with it.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) shared: Shared,
    pub(crate) pod: usize,
    pub(crate) start: u64,
    pub(crate) engine: Arc<Engine>,
}

impl Client {
    pub(crate) fn spawn_all(self) {
        let (handle, pod) = (self.shared.handle.clone(), self.pod);
        handle.spawn(pod, self.clone().read());
        handle.spawn(pod, self.clone().read());
        if self.writes() {
            handle.spawn(pod, self.clone().write());
            handle.spawn(pod, self.clone().swap());
        }
        handle.spawn(pod, self.clone().look_often());
        handle.spawn(pod, self.clone().follow(None));
        handle.spawn(pod, self.clone().follow(Some(0)));
        handle.spawn(pod, self.evict());
    }

    fn writes(&self) -> bool {
        self.shared.with(|w| self.pod < w.mix.writing)
    }

    fn deadline(&self, millis: u64) -> Moment {
        self.engine.now().plus(Duration::from_millis(millis))
    }
}
