//! The engine's ports over the modelled world, one set per start of a pod.

mod fuse;
mod log;
mod reading;
pub(crate) mod references;
mod remote;

pub(crate) use fuse::{Fuse, Point};
pub(crate) use log::PodLog;
pub(crate) use references::PodReferences;

use crate::timeline::Scope;
use crate::world::{Shared, scope_of};
use async_trait::async_trait;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;
use unstale_engine::Engine;
use unstale_engine::clock::{Clock, Moment};
use unstale_engine::coherence::record::Record;
use unstale_engine::log::{Event, Sink as _};
use unstale_engine::random::Random;

/// Where each pod's engine is now, by number.
pub(crate) type Registry = Arc<Mutex<Vec<Weak<Engine>>>>;

/// One start of a pod.
pub(crate) struct Pod {
    pub(crate) shared: Shared,
    pub(crate) number: usize,
    pub(crate) start: u64,
    pub(crate) rate_ppm: u64,
    pub(crate) base: u64,
    pub(crate) engine: Mutex<Weak<Engine>>,
    pub(crate) registry: Registry,
    pub(crate) stopped: Mutex<Vec<u64>>,
    /// Incarnations asked for, with the connection they belong to.
    pub(crate) asked_for: Mutex<Vec<(u64, u64)>>,
    pub(crate) fuse: Fuse,
}

#[async_trait]
impl Clock for Pod {
    fn now(&self) -> Moment {
        let local = self.shared.handle.now() * self.rate_ppm / 1_000_000;
        Moment::new(Duration::from_micros(self.base + local))
    }

    async fn sleep_until(&self, at: Moment) {
        let local = at
            .since(Moment::new(Duration::from_micros(self.base)))
            .as_micros() as u64;
        self.shared
            .handle
            .until(local.saturating_mul(1_000_000).div_ceil(self.rate_ppm))
            .await;
        self.passes(Point::Timer).await;
    }
}

impl Random for Pod {
    fn bits(&self) -> u128 {
        self.shared
            .with(|w| (u128::from(w.rng.next()) << 64) | u128::from(w.rng.next()))
    }
}

impl Pod {
    /// How long a request takes to reach a server (µs).
    fn way(&self, usual: u64) -> u64 {
        self.shared.with(|w| match w.links[self.number].slow {
            0 => w.rng.range(50, usual),
            _ => w.rng.range(50, 900_000),
        })
    }

    fn tell(&self, event: Event) {
        if self.dies_at(Point::Event) {
            return;
        }
        self.note(&event);
        let engine = self.engine.lock().expect("no panic under the lock");
        if let Some(engine) = engine.upgrade() {
            engine.event(event);
        }
        self.dies_at(Point::Event);
    }

    fn note(&self, event: &Event) {
        let number = self.number;
        let Event::Delivered(d) = event else {
            return self
                .shared
                .note(Scope::Detail, || format!("pod {number} <- {event:?}"));
        };
        let record = Record::decode(&d.payload);
        let scope = record.as_ref().map_or(Scope::Detail, scope_of);
        self.shared.note(scope, || {
            let (sequence, incarnation, nth) = (d.sequence, d.incarnation, d.consumer_sequence);
            let body = record.map(|r| r.body);
            format!("pod {number} <- {sequence} (incarnation {incarnation}, its {nth}) {body:?}")
        });
    }

    fn spawn(self: &Arc<Self>, task: impl Future<Output = ()> + Send + 'static) {
        self.shared.handle.spawn(self.number, task);
    }

    /// Connects: what the driver does at start and after every outage.
    pub(crate) fn open(&self) {
        let opened = self.shared.with(|w| {
            w.links[self.number].generation += 1;
            w.log.opened()
        });
        self.tell(Event::Opened(opened));
    }

    /// The connection is gone: its readers are void at once, the driver
    /// notices a little later, and connects after a while.
    pub(crate) fn reconnect(self: &Arc<Self>) {
        let pod = Arc::clone(self);
        self.shared.link(self.number, |link| link.generation += 1);
        self.spawn(async move {
            pod.shared.delay(10, 5_000).await;
            pod.tell(Event::Lost("the link failed".into()));
            pod.shared.delay(1_000, 300_000).await;
            if pod.shared.link(pod.number, |link| link.start) == pod.start {
                pod.open();
            }
        });
    }
}
