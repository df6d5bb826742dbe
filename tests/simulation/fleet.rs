//! Starting pods, each with its clients.

use crate::clients::{self, Client, Role};
use crate::lives::Terms;
use crate::ports::{Fuse, Pod, PodLog, PodReferences, Registry, references};
use crate::world::{NOBODY, Shared, World};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;
use tokio::sync::oneshot;
use unstale_engine::coherence::Bugs;
use unstale_engine::policy::adaptive_ttl::AdaptiveTtl;
use unstale_engine::policy::{Policies, Policy};
use unstale_engine::{Engine, Options, Ports};

/// Loads take some milliseconds, and lives some seconds.
const EARLY_REFRESH: f32 = 20.0;

/// Room for a few entries, and for fewer to be kept (bytes).
const TINY_L1: u64 = 8 << 10;

/// Clients that belong to no pod.
const COURIERS: usize = 2;

#[derive(Clone)]
pub(crate) struct Fleet {
    pub(crate) shared: Shared,
    registry: Registry,
    pods: Arc<Mutex<Vec<Option<Arc<Pod>>>>>,
    bugs: Bugs,
}

impl Fleet {
    /// Starts every pod of the mix.
    pub(crate) fn start_all(shared: Shared, bugs: Bugs) -> Self {
        let size = shared.with(|w| w.mix.pods);
        let fleet = Self {
            shared,
            registry: Arc::new(Mutex::new((0..size).map(|_| Weak::new()).collect())),
            pods: Arc::new(Mutex::new(vec![None; size])),
            bugs,
        };
        (0..size).for_each(|number| fleet.start(number));
        let absent = |w: &mut World| w.absent.contains(&Role::Courier);
        let couriers = match fleet.shared.with(absent) {
            true => 0,
            false => COURIERS,
        };
        for _ in 0..couriers {
            let courier = clients::courier::run(fleet.clone());
            fleet.shared.handle.spawn(NOBODY, courier);
        }
        clients::spawn_directed(&fleet);
        if fleet.refers() {
            references::serve(&fleet.shared);
        }
        fleet
    }

    pub(crate) fn size(&self) -> usize {
        self.shared.with(|w| w.mix.pods)
    }

    /// Starts a pod and its clients; an earlier start must be dead.
    pub(crate) fn start(&self, number: usize) {
        let pod = Arc::new(self.pod_of(number));
        let engine = self.engine_of(&pod);
        *pod.engine.lock().expect("no panic under the lock") = Arc::downgrade(&engine);
        self.registry.lock().expect("no panic under the lock")[number] = Arc::downgrade(&engine);
        self.pods.lock().expect("no panic under the lock")[number] = Some(Arc::clone(&pod));
        let now = self.shared.handle.now();
        self.shared.with(|w| {
            w.judged.restarted(number, now);
            w.lives.died(number, now);
        });
        let handle = &self.shared.handle;
        handle.spawn(number, Arc::clone(&engine).run());
        let client = Client {
            shared: self.shared.clone(),
            pod: number,
            start: pod.start,
            engine,
        };
        let follows = self.refers().then(|| Arc::clone(&pod));
        handle.spawn(number, async move { pod.open() });
        if let Some(pod) = follows {
            handle.spawn(number, pod.follow_references());
        }
        client.spawn_all();
    }

    fn refers(&self) -> bool {
        self.shared.with(|w| w.mix.refers)
    }

    fn pod_of(&self, number: usize) -> Pod {
        let (rate_ppm, base, start) = self.shared.with(|w| {
            w.links[number].start += 1;
            let rate = match w.mix.drift {
                0 => w.rng.range(980_000, 1_020_000),
                drift if w.rng.chance(50) => 1_000_000 - drift,
                drift => 1_000_000 + drift,
            };
            (rate, w.rng.range(1, 1 << 40), w.links[number].start)
        });
        Pod {
            shared: self.shared.clone(),
            number,
            start,
            rate_ppm,
            base,
            engine: Mutex::default(),
            registry: Arc::clone(&self.registry),
            stopped: Mutex::default(),
            asked_for: Mutex::default(),
            fuse: Fuse::default(),
        }
    }

    fn engine_of(&self, pod: &Arc<Pod>) -> Arc<Engine> {
        let ports = Ports {
            remote: Arc::<Pod>::clone(pod),
            log: Arc::new(PodLog(Arc::clone(pod))),
            references: Arc::new(PodReferences(Arc::clone(pod))),
            clock: Arc::<Pod>::clone(pod),
            random: Arc::<Pod>::clone(pod),
        };
        let policy = Policy {
            early_refresh: match self.shared.with(|w| w.mix.early) {
                true => EARLY_REFRESH,
                false => 0.0,
            },
            ..self.learning()
        };
        let policies = Policies {
            default: policy.into(),
            ..Policies::default()
        };
        let options = Options {
            policies,
            l1_bytes: match self.refers() {
                true => TINY_L1,
                false => Options::default().l1_bytes,
            },
            pod: format!("pod-{}", pod.number),
            floor_width: self.shared.with(|w| w.mix.floor_width),
            beat_ttl: self.shared.with(|w| w.mix.extra.beat_ttl()),
            bugs: self.bugs,
            ..Options::default()
        };
        Engine::new(options, ports)
    }

    /// Has ttls learned, if the mix says so.
    fn learning(&self) -> Policy {
        if !self.shared.with(|w| w.mix.learns) {
            return Policy::default();
        }
        let (min, max) = Terms::LEARNED;
        let (min, max) = (Duration::from_micros(min), Duration::from_micros(max));
        let config = AdaptiveTtl {
            min,
            max,
            stale_budget: 0.1,
            families: Vec::new(),
        };
        Policy {
            adaptive_ttl: Some(Arc::new(config)),
            negative_ttl: max,
            ..Policy::default()
        }
    }

    pub(crate) fn engine(&self, number: usize) -> Option<Arc<Engine>> {
        self.registry.lock().expect("no panic under the lock")[number].upgrade()
    }

    /// The newest start of a pod.
    pub(crate) fn pod(&self, number: usize) -> Arc<Pod> {
        let pods = self.pods.lock().expect("no panic under the lock");
        Arc::clone(pods[number].as_ref().expect("every pod was started"))
    }

    /// Calls a pod from outside; none if it is not there or dies meanwhile.
    pub(crate) async fn call<T, F>(
        &self,
        number: usize,
        call: impl FnOnce(Arc<Engine>) -> F,
    ) -> Option<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let called = call(self.engine(number)?);
        let (answer, answered) = oneshot::channel();
        self.shared.handle.spawn(number, async move {
            // The caller may have gone.
            let _ = answer.send(called.await);
        });
        answered.await.ok()
    }
}
