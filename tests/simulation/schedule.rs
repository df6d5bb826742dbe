//! One schedule: three pods, their clients, and faults, all from one seed;
//! then the faults end and everything must serve again.

use crate::executor::{self, Rng};
use crate::ports::{Pod, PodLog};
use crate::world::{KEYS, PODS, Shared};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;
use unstale_engine::coherence::Bugs;
use unstale_engine::key::{Key, Namespace, Tag};
use unstale_engine::request::*;
use unstale_engine::{Engine, Options, Ports};

/// Faults end here, and the schedule there (µs).
const FAULTS_END: u64 = 9_000_000;
const END: u64 = 20_000_000;
/// The process in which the faults themselves run.
const NOBODY: usize = PODS;

/// What one schedule showed.
pub(crate) struct Outcome {
    pub(crate) violation: Option<String>,
    pub(crate) reads: u64,
    pub(crate) hits: u64,
    pub(crate) operations: u64,
    pub(crate) trace: u64,
}

pub(crate) fn run(seed: u64, bugs: Bugs) -> Outcome {
    let shared = Shared::new(seed);
    let registry = Arc::new(Mutex::new(
        (0..PODS).map(|_| Weak::new()).collect::<Vec<_>>(),
    ));
    let fleet = Fleet {
        shared: shared.clone(),
        registry,
        bugs,
        pods: Arc::default(),
    };
    for number in 0..PODS {
        fleet.start(number);
    }
    shared.handle.spawn(NOBODY, faults(fleet.clone()));
    let mut rng = Rng(seed ^ 0xABCD_EF01);
    let (_, trace) = executor::run(&shared.handle, &mut rng, END);
    shared.with(|w| Outcome {
        violation: w.judged.violation.take(),
        reads: w.judged.reads,
        hits: w.judged.hits,
        operations: w.judged.operations,
        trace,
    })
}

#[derive(Clone)]
struct Fleet {
    shared: Shared,
    registry: Arc<Mutex<Vec<Weak<Engine>>>>,
    bugs: Bugs,
    pods: Arc<Mutex<Vec<Arc<Pod>>>>,
}

impl Fleet {
    /// Starts a pod and its clients; an earlier start must be dead.
    fn start(&self, number: usize) {
        let (rate_ppm, base) = self
            .shared
            .with(|w| (w.rng.range(980_000, 1_020_000), w.rng.range(1, 1 << 40)));
        let pod = Arc::new(Pod {
            shared: self.shared.clone(),
            number,
            rate_ppm,
            base,
            engine: Mutex::default(),
            registry: Arc::clone(&self.registry),
            stopped: Mutex::default(),
        });
        let ports = Ports {
            remote: Arc::<Pod>::clone(&pod),
            log: Arc::new(PodLog(Arc::clone(&pod))),
            clock: Arc::<Pod>::clone(&pod),
            random: Arc::<Pod>::clone(&pod),
        };
        let options = Options {
            pod: format!("pod-{number}"),
            floor_width: 64,
            bugs: self.bugs,
            ..Options::default()
        };
        let engine = Engine::new(options, ports);
        *pod.engine.lock().expect("no panic under the lock") = Arc::downgrade(&engine);
        self.registry.lock().expect("no panic under the lock")[number] = Arc::downgrade(&engine);
        self.shared.with(|w| w.judged.local[number] = [0; KEYS]);
        let mut pods = self.pods.lock().expect("no panic under the lock");
        pods.retain(|p| p.number != number);
        pods.push(Arc::clone(&pod));
        drop(pods);
        let handle = &self.shared.handle;
        handle.spawn(number, Arc::clone(&engine).run());
        handle.spawn(number, async move { pod.open() });
        for _ in 0..2 {
            handle.spawn(
                number,
                reader(self.shared.clone(), number, Arc::clone(&engine)),
            );
        }
        handle.spawn(
            number,
            writer(self.shared.clone(), number, Arc::clone(&engine)),
        );
        handle.spawn(number, swapper(self.shared.clone(), Arc::clone(&engine)));
        handle.spawn(number, evictor(self.shared.clone(), engine));
    }

    fn pod(&self, number: usize) -> Arc<Pod> {
        Arc::clone(
            self.pods
                .lock()
                .expect("no panic under the lock")
                .iter()
                .find(|p| p.number == number)
                .expect("every pod was started"),
        )
    }
}

/// Draws faults until they end, then heals everything.
async fn faults(fleet: Fleet) {
    let shared = fleet.shared.clone();
    shared.with(|w| {
        w.tier_lags = w.rng.chance(50);
        w.lossy = w.rng.chance(50);
    });
    while shared.handle.now() < FAULTS_END {
        shared.delay(50_000, 1_500_000).await;
        let (number, kind) =
            shared.with(|w| (w.rng.range(0, PODS as u64) as usize, w.rng.range(0, 9)));
        let length = shared.with(|w| w.rng.range(50_000, 3_500_000));
        shared
            .handle
            .spawn(NOBODY, fault(fleet.clone(), number, kind, length));
    }
    shared.handle.until(FAULTS_END + 3_500_000).await;
    shared.with(|w| (w.tier_lags, w.lossy, w.tier_away) = (false, false, false));
    live_again(&fleet).await;
}

async fn fault(fleet: Fleet, number: usize, kind: u64, length: u64) {
    let shared = &fleet.shared;
    let link = |sends, receives| {
        shared.with(|w| (w.links[number].sends, w.links[number].receives) = (sends, receives));
    };
    shared.note(|| format!("fault {kind} on pod {number} for {length}"));
    match kind {
        0..=2 => {
            link(kind == 1, kind == 2);
            shared.handle.sleep(length).await;
            link(true, true);
            fleet.pod(number).lose();
            shared.delay(1_000, 300_000).await;
            fleet.pod(number).open();
        }
        3 | 4 => {
            shared.handle.pause(number, true);
            shared.handle.sleep(length).await;
            shared.handle.pause(number, false);
        }
        5 => {
            if shared.with(|w| std::mem::replace(&mut w.down[number], true)) {
                return;
            }
            shared.handle.kill(number);
            shared.delay(1_000, 500_000).await;
            shared.handle.pause(number, false);
            fleet.start(number);
            shared.with(|w| w.down[number] = false);
        }
        6 => {
            shared.with(|w| w.tier_away = true);
            shared.handle.sleep(length).await;
            shared.with(|w| w.tier_away = false);
        }
        7 => {
            shared.with(|w| w.links[number].reads = false);
            shared.handle.sleep(length).await;
            shared.with(|w| w.links[number].reads = true);
        }
        // The log discards its oldest records.
        _ => shared.with(|w| {
            w.first = w
                .first
                .max(w.last().saturating_sub(w.rng.range(0, 6)).max(1))
        }),
    }
}

/// I-16: D + 5 s after the last fault every session is live and a value that
/// is loaded is hit again.
async fn live_again(fleet: &Fleet) {
    fleet
        .shared
        .handle
        .sleep(crate::world::D_US + 1_500_000)
        .await;
    for number in 0..PODS {
        let engine = fleet.registry.lock().expect("no panic under the lock")[number].upgrade();
        let Some(engine) = engine else { continue };
        let state = engine.status().state;
        if state != SessionState::Fresh {
            fleet.shared.violate(format!(
                "I-16: pod {number} is {state:?} after the faults: {:?}",
                engine.status()
            ));
        }
    }
}

fn namespace() -> Namespace {
    Namespace::new("shop").expect("a good name")
}

fn key(number: usize) -> Key {
    Key::new(namespace(), &format!("key-{number}")).expect("a good name")
}

fn tag(number: usize) -> Tag {
    Tag::new(&format!("tag-{number}")).expect("a good name")
}

fn entry(number: usize, value: u64) -> NewEntry {
    let data = value.to_string().into_bytes().into();
    let value = Value {
        data,
        text: true,
        content_type: String::new(),
    };
    NewEntry {
        value,
        ttl: Some(Duration::from_secs(60)),
        tags: vec![tag(number)],
    }
}

fn number_in(found: &Found) -> u64 {
    std::str::from_utf8(&found.value.data)
        .expect("the text of a number")
        .parse()
        .expect("a number")
}

/// Reads keys; what is missing is loaded under a lease or set with a position.
async fn reader(shared: Shared, pod: usize, engine: Arc<Engine>) {
    loop {
        shared.delay(500, 120_000).await;
        let key_number = shared.with(|w| w.rng.range(0, KEYS as u64)) as usize;
        let bound = shared.with(|w| match w.judged.positions.len() as u64 {
            n if n > 0 && w.rng.chance(10) => {
                let at = w.rng.range(0, n) as usize;
                Some(w.judged.positions[at]).filter(|p| p.1 == key_number)
            }
            _ => None,
        });
        let now = shared.handle.now();
        let (mut least, mut why) = shared.with(|w| w.required(pod, key_number, now));
        if let Some((_, _, value)) = &bound
            && *value > least
        {
            (least, why) = (*value, "I-4: min_position was given");
        }
        let deadline = engine.now().plus(Duration::from_millis(500));
        let min_position = bound.map(|b| b.0);
        let read = engine
            .get(Get {
                key: key(key_number),
                min_position,
                deadline,
            })
            .await;
        shared.with(|w| w.judged.reads += 1);
        let Ok(answer) = read else { continue };
        match answer.result {
            Some(found) => {
                shared.with(|w| w.judged.hits += 1);
                if number_in(&found) < least {
                    let (got, tier) = (number_in(&found), found.tier);
                    shared.violate(format!("{why}: pod {pod} returned {got} of key {key_number} from {tier:?}, not {least}"));
                }
            }
            None if shared.chance(70) => load(&shared, &engine, key_number).await,
            None => {
                let value = origin(&shared, key_number).await;
                let deadline = engine.now().plus(Duration::from_millis(500));
                let (entry, position) = (entry(key_number, value), Some(answer.position));
                let _ = engine
                    .set(Set {
                        key: key(key_number),
                        entry,
                        position,
                        ack: Ack::Log,
                        deadline,
                    })
                    .await;
            }
        }
    }
}

/// One read of the origin: the value is that of one moment in between.
async fn origin(shared: &Shared, key: usize) -> u64 {
    shared.delay(200, 20_000).await;
    let value = shared.with(|w| w.origin[key]);
    shared.delay(200, 300_000).await;
    value
}

async fn load(shared: &Shared, engine: &Engine, key_number: usize) {
    let deadline = engine.now().plus(Duration::from_millis(500));
    let (term, wait) = (Duration::from_secs(1), Duration::ZERO);
    let lease = engine
        .lease(Lease {
            key: key(key_number),
            term,
            wait,
            deadline,
        })
        .await;
    let Ok(Answer {
        result: LeaseOutcome::Granted(token, _),
        ..
    }) = lease
    else {
        return;
    };
    let value = origin(shared, key_number).await;
    let deadline = engine.now().plus(Duration::from_millis(500));
    let fill = || Fill {
        token,
        entry: entry(key_number, value),
        deadline,
    };
    if let Ok(Answer {
        result: FillOutcome::Stored(_),
        ..
    }) = engine.fill(fill()).await
        && engine.fill(fill()).await.is_ok()
    {
        shared.violate("I-7: a token was accepted twice".into());
    }
}

/// Changes the origin, then invalidates the key or its tag.
async fn writer(shared: Shared, pod: usize, engine: Arc<Engine>) {
    loop {
        shared.delay(10_000, 900_000).await;
        let (number, by_tag, ack) = shared.with(|w| {
            let ack = [Ack::Local, Ack::Log, Ack::Fleet, Ack::Fleet][w.rng.range(0, 4) as usize];
            (w.rng.range(0, KEYS as u64) as usize, w.rng.chance(40), ack)
        });
        let value = shared.with(|w| {
            w.origin[number] += 1;
            w.judged.operations += 1;
            w.origin[number]
        });
        let request = Invalidate {
            namespace: namespace(),
            keys: if by_tag {
                Vec::new()
            } else {
                vec![key(number)]
            },
            tags: if by_tag {
                vec![tag(number)]
            } else {
                Vec::new()
            },
            all: false,
            ack,
            id: None,
            reason: Some(format!("{number}:{value}")),
            deadline: engine.now().plus(Duration::from_secs(8)),
        };
        let Ok(done) = engine.invalidate(request).await else {
            continue;
        };
        shared.with(|w| {
            let judged = &mut w.judged;
            judged.local[pod][number] = judged.local[pod][number].max(value);
            if ack == Ack::Fleet {
                judged.fleet[number] = judged.fleet[number].max(value);
            }
            if let Some(position) = done.position {
                judged.positions.push((position, number, value));
            }
        });
    }
}

/// I-8: no two CompareAndSets succeed on one version.
async fn swapper(shared: Shared, engine: Arc<Engine>) {
    let key = Key::new(namespace(), "swapped").expect("a good name");
    loop {
        shared.delay(1_000, 400_000).await;
        let deadline = engine.now().plus(Duration::from_millis(700));
        let get = Get {
            key: key.clone(),
            min_position: None,
            deadline,
        };
        let Ok(read) = engine.get(get).await else {
            continue;
        };
        let expected = read
            .result
            .map_or(Expected::Absent, |found| Expected::Version(found.version));
        shared.delay(100, 3_000).await;
        let deadline = engine.now().plus(Duration::from_millis(700));
        let entry = entry(0, shared.with(|w| w.rng.next()));
        let entry = NewEntry {
            tags: Vec::new(),
            ..entry
        };
        let cas = CompareAndSet {
            key: key.clone(),
            expected: expected.clone(),
            entry,
            ack: Ack::Log,
            deadline,
        };
        let outcome = engine.compare_and_set(cas).await;
        let (
            Expected::Version(version),
            Ok(Answer {
                result: CasOutcome::Stored(_),
                ..
            }),
        ) = (expected, outcome)
        else {
            continue;
        };
        let times = shared.with(|w| {
            let times = w.judged.swapped.entry(version).or_default();
            *times += 1;
            *times
        });
        if times > 1 {
            shared.violate("I-8: two CompareAndSets succeeded on one version".into());
        }
    }
}

/// L1 makes room now and then.
async fn evictor(shared: Shared, engine: Arc<Engine>) {
    loop {
        shared.delay(50_000, 800_000).await;
        let number = shared.with(|w| w.rng.range(0, KEYS as u64)) as usize;
        engine.evict(&key(number));
    }
}
