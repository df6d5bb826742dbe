//! The world as tasks hold it: a lock around it, time, delays, and servers that
//! work whether or not anybody waits.

use super::{Link, NOBODY, World};
use crate::checker::{Judged, Violation};
use crate::executor::{Handle, Rng, Until};
use crate::faults::Fault;
use crate::grants::Grants;
use crate::lives::Lives;
use crate::log::LogServer;
use crate::origin::Origin;
use crate::plan::Plan;
use crate::refs::ReferenceServer;
use crate::table::{Operation, Table};
use crate::tier::TierServer;
use crate::timeline::{Scope, Timeline};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use tokio::sync::{Notify, oneshot};

#[derive(Clone)]
pub(crate) struct Shared {
    world: Arc<Mutex<World>>,
    kept: bool,
    pub(crate) handle: Handle,
    pub(crate) changed: Arc<Notify>,
}

impl Shared {
    pub(crate) fn new(plan: &Plan, keep_timeline: bool) -> Self {
        let mix = plan.mix.clone();
        let changed = Arc::new(Notify::new());
        let world = World {
            changed: Arc::clone(&changed),
            calm_since: Some(0),
            rng: Rng(plan.randomness()),
            log: LogServer::new(&mix),
            tier: TierServer::default(),
            references: ReferenceServer::default(),
            links: vec![Link::default(); mix.pods],
            sessions: HashMap::new(),
            lossy: 0,
            active: [0; Fault::ALL.len()],
            table: Table::default(),
            origin: Origin::default(),
            lives: Lives::default(),
            grants: Grants::of(&mix),
            seen: Default::default(),
            but_tier_since: Some(0),
            quiet: false,
            not_hitting: 0,
            converged: false,
            judged: Judged::of(&mix),
            timeline: Timeline::new(keep_timeline),
            mix,
            strikes: plan.strikes.clone(),
            absent: plan.less.roles.clone(),
        };
        Self {
            world: Arc::new(Mutex::new(world)),
            kept: keep_timeline,
            handle: Handle::default(),
            changed,
        }
    }

    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut World) -> R) -> R {
        f(&mut self.world.lock().expect("no panic under the lock"))
    }

    pub(crate) fn link<R>(&self, pod: usize, f: impl FnOnce(&mut Link) -> R) -> R {
        self.with(|w| f(&mut w.links[pod]))
    }

    pub(crate) fn delay(&self, low: u64, high: u64) -> Until {
        let micros = self.with(|w| w.rng.range(low, high));
        self.handle.sleep(micros)
    }

    pub(crate) fn chance(&self, percent: u64) -> bool {
        self.with(|w| w.rng.chance(percent))
    }

    /// From 0 up to, not including, `below`.
    pub(crate) fn draw(&self, below: usize) -> usize {
        self.with(|w| w.rng.range(0, below as u64)) as usize
    }

    /// Whether something is lost that faults may lose.
    pub(crate) fn loses(&self, percent: u64) -> bool {
        self.with(|w| w.lossy > 0 && w.rng.chance(percent))
    }

    /// Counts an operation that begins now.
    pub(crate) fn began(&self, operation: Operation) {
        self.with(|w| w.table.began(operation, &w.active));
    }

    /// A server's step on a request that was sent: it happens whether or not
    /// the sender still waits for the answer, or lives.
    pub(crate) async fn served<T: Send + 'static>(
        &self,
        delay: u64,
        step: impl FnOnce(&mut World, u64) -> T + Send + 'static,
    ) -> T {
        let shared = self.clone();
        let server = async move {
            shared.handle.sleep(delay).await;
            let now = shared.handle.now();
            shared.with(|w| step(w, now))
        };
        self.by_servers(server).await
    }

    /// What servers do on a request, in any number of steps.
    pub(crate) async fn by_servers<T: Send + 'static>(
        &self,
        server: impl Future<Output = T> + Send + 'static,
    ) -> T {
        let (answer, answered) = oneshot::channel();
        self.handle.spawn(NOBODY, async move {
            // Nobody waits any more: the deed is done all the same.
            let _ = answer.send(server.await);
        });
        answered.await.expect("servers are never killed")
    }

    /// A line of the timeline, when one is kept.
    pub(crate) fn note(&self, scope: Scope, what: impl FnOnce() -> String) {
        if self.kept {
            let now = self.handle.now();
            self.with(|w| w.timeline.push(now, scope, what()));
        }
    }

    pub(crate) fn violate(&self, rule: &'static str, key: Option<usize>, what: String) {
        let scope = key.map_or(Scope::All, Scope::Key);
        self.note(scope, || format!("VIOLATION {rule}: {what}"));
        let at = self.handle.now();
        self.with(|w| {
            w.judged.violation.get_or_insert(Violation {
                at,
                rule,
                key,
                what,
            });
        });
    }
}
