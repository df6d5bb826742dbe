//! The clients of one pod.

mod batch;
pub(crate) mod courier;
pub(crate) mod derived;
mod evictor;
mod flooder;
pub(crate) mod judge;
mod loader;
pub(crate) mod names;
mod reader;
pub(crate) mod recorder;
pub(crate) mod referrer;
mod setter;
mod stray;
mod swapper;
mod watcher;
mod writer;

pub(crate) use names::{key, tag};
pub(crate) use swapper::Swaps;

use crate::fleet::Fleet;
use crate::world::{NOBODY, Shared};
use names::{entry, namespace};
use std::sync::Arc;
use std::time::Duration;
use unstale_engine::Engine;
use unstale_engine::clock::Moment;

/// Who comes in directed schedules only.
pub(crate) fn spawn_directed(fleet: &Fleet) {
    let extra = fleet.shared.with(|w| w.mix.extra);
    if let Some(names) = extra.flood {
        let flood = flooder::run(fleet.clone(), names);
        fleet.shared.handle.spawn(NOBODY, flood);
    }
    for _ in 0..extra.strays {
        let stray = stray::run(fleet.clone());
        fleet.shared.handle.spawn(NOBODY, stray);
    }
}

/// Whoever talks to one start of a pod; it dies with it.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) shared: Shared,
    pub(crate) pod: usize,
    pub(crate) start: u64,
    pub(crate) engine: Arc<Engine>,
}

/// What a client does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Reader,
    Looker,
    Writer,
    Swapper,
    Watcher,
    Evictor,
    Courier,
}

impl Role {
    pub(crate) const ALL: [Self; 7] = [
        Self::Reader,
        Self::Looker,
        Self::Writer,
        Self::Swapper,
        Self::Watcher,
        Self::Evictor,
        Self::Courier,
    ];
}

impl Client {
    pub(crate) fn spawn_all(self) {
        let there = |role| self.shared.with(|w| !w.absent.contains(&role));
        let (handle, pod) = (self.shared.handle.clone(), self.pod);
        if there(Role::Reader) {
            for _ in 0..self.shared.with(|w| w.mix.size.readers) {
                handle.spawn(pod, self.clone().read());
            }
        }
        if self.writes() && there(Role::Writer) {
            handle.spawn(pod, self.clone().write());
        }
        if self.writes() && there(Role::Swapper) {
            handle.spawn(pod, self.clone().swap());
        }
        if self.shared.with(|w| w.mix.extra.leases_swapped) {
            handle.spawn(pod, self.clone().lease_swapped());
        }
        if there(Role::Looker) {
            handle.spawn(pod, self.clone().look_often());
        }
        if there(Role::Watcher) {
            handle.spawn(pod, self.clone().follow(None));
            handle.spawn(pod, self.clone().follow(Some(0)));
        }
        if self.shared.with(|w| w.mix.refers) {
            handle.spawn(pod, self.clone().refer());
        }
        if there(Role::Evictor) {
            handle.spawn(pod, self.clone().evict());
        }
    }

    fn writes(&self) -> bool {
        self.shared.with(|w| self.pod < w.mix.writing)
    }

    pub(crate) fn deadline(&self, millis: u64) -> Moment {
        self.engine.now().plus(Duration::from_millis(millis))
    }
}
