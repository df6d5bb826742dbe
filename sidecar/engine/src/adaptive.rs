//! Adaptive ttl in the engine: tells what is stored, read and invalidated to what
//! learns ([`crate::policy::adaptive_ttl`]), and keeps what was learned in the
//! remote tier, under a name that no key has.
//!
//! Guarantees: where no namespace asks for it, nothing here happens, and a hit
//! costs what it did: one in [`HITS`] is looked at, by a count that there was
//! anyway. Reading and keeping go on in the background: nobody waits for them, and
//! a tier that is away only makes a pod learn anew. Never an error, never a
//! judgement.

mod kept;

use crate::clock::Moment;
use crate::engine::{Engine, lock};
use crate::key::{Key, NameHash, Namespace};
use crate::policy::adaptive_ttl::{AdaptiveTtl, Around, Change, Family, HITS, Learned, Samples};
use crate::policy::{Policies, Policy};
use crate::request::Etag;
use kept::Kept;
pub(crate) use kept::keep_all;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::Duration;

/// Ttls are made this often, if anything was seen.
const MADE_EVERY: Duration = Duration::from_secs(1);
/// Namespaces that are learned; entries of more have their `default_ttl`.
const MOST_NAMESPACES: usize = 64;
/// A key is remembered for so many of the longest ttls.
const REMEMBERED: u32 = 2;

#[derive(Default)]
pub(crate) struct Adaptive {
    /// Whether any namespace asks for it.
    on: AtomicBool,
    samples: OnceLock<Samples>,
    places: RwLock<BTreeMap<Namespace, Arc<Place>>>,
}

/// What is learned of one namespace.
struct Place {
    learned: Mutex<Learned>,
    kept: Mutex<Kept>,
}

impl Adaptive {
    /// Other policies from now on. What was learned of a namespace that still asks
    /// for it stays.
    pub(crate) fn configure(&self, policies: &Policies, now: Moment) {
        let all = policies.namespaces.values().chain([&policies.default]);
        let is_on = all.map(|policy| &policy.adaptive_ttl).any(Option::is_some);
        let mut places = self.places.write().unwrap_or_else(PoisonError::into_inner);
        places.retain(|namespace, place| {
            let config = policies.of(namespace).adaptive_ttl.clone();
            let Some(config) = config else { return false };
            lock(&place.learned).configure(config);
            true
        });
        for (namespace, policy) in &policies.namespaces {
            if let Some(config) = &policy.adaptive_ttl {
                Self::add(&mut places, namespace, config, now);
            }
        }
        self.on.store(is_on, Ordering::Release);
    }

    fn is_on(&self) -> bool {
        self.on.load(Ordering::Acquire)
    }

    /// None: the namespaces are too many.
    fn place(
        &self,
        namespace: &Namespace,
        config: &Arc<AdaptiveTtl>,
        now: Moment,
    ) -> Option<Arc<Place>> {
        let known = self.find(namespace);
        known.or_else(|| {
            let mut places = self.places.write().unwrap_or_else(PoisonError::into_inner);
            Self::add(&mut places, namespace, config, now)
        })
    }

    fn find(&self, namespace: &Namespace) -> Option<Arc<Place>> {
        let places = self.places.read().unwrap_or_else(PoisonError::into_inner);
        places.get(namespace).cloned()
    }

    #[expect(
        clippy::mutable_key_type,
        reason = "names are compared by their text, not by the hash that is kept with it"
    )]
    fn add(
        places: &mut BTreeMap<Namespace, Arc<Place>>,
        namespace: &Namespace,
        config: &Arc<AdaptiveTtl>,
        now: Moment,
    ) -> Option<Arc<Place>> {
        if places.len() >= MOST_NAMESPACES && !places.contains_key(namespace) {
            return None;
        }
        let place = || Place {
            learned: Mutex::new(Learned::new(config.clone(), now)),
            kept: Mutex::default(),
        };
        let place = places
            .entry(namespace.clone())
            .or_insert_with(|| Arc::new(place()));
        Some(Arc::clone(place))
    }

    fn all(&self) -> Vec<(Namespace, Arc<Place>)> {
        let places = self.places.read().unwrap_or_else(PoisonError::into_inner);
        let all = places
            .iter()
            .map(|(name, place)| (name.clone(), Arc::clone(place)));
        all.collect()
    }

    fn samples(&self) -> &Samples {
        self.samples.get_or_init(Samples::default)
    }
}

/// A key's content came from its source: the ttl that it gets if its writer gives
/// none. None: its namespace does not ask for it.
pub(crate) fn stored(engine: &Engine, key: &Key, etag: Etag, policy: &Policy) -> Option<Duration> {
    let config = policy.adaptive_ttl.as_ref()?;
    let now = engine.now();
    let adaptive = &engine.adaptive;
    let place = adaptive.place(key.namespace(), config, now)?;
    let keep = config.max.saturating_mul(REMEMBERED);
    let seen = adaptive.samples().stored(key.hash(), etag, now, keep);
    match seen.map(|seen| seen.change) {
        None => {}
        Some(Change::None) => engine.meter.seen_unchanged(),
        Some(Change::Within | Change::After(_)) => engine.meter.seen_changed(),
    }
    let (delimiters, around) = (&engine.options.delimiters, around(policy, 1));
    let ttl = lock(&place.learned).ttl(key.name(), delimiters, seen, &around);
    Some(ttl)
}

/// One in [`HITS`] reads that were answered.
pub(crate) fn read(engine: &Engine, key: NameHash) {
    let adaptive = &engine.adaptive;
    if adaptive.is_on() {
        adaptive.samples().read(key, HITS);
    }
}

/// The log tells of a change of these keys.
pub(crate) fn told(engine: &Engine, namespace: &Namespace, keys: &[String]) {
    let adaptive = &engine.adaptive;
    if !adaptive.is_on() || adaptive.find(namespace).is_none() {
        return;
    }
    let now = engine.now();
    for key in keys {
        if let Ok(key) = Key::new(namespace.clone(), key) {
            adaptive.samples().told(key.hash(), now);
        }
    }
}

/// What is known of a key's family.
pub(crate) fn family(engine: &Engine, key: &Key) -> Option<Family> {
    let policy = engine.policy(key.namespace());
    let config = policy.adaptive_ttl.as_ref()?;
    let (delimiters, around) = (&engine.options.delimiters, around(&policy, pods(engine)));
    let of = |learned: &Learned| learned.family(key.name(), delimiters, &around);
    Some(match engine.adaptive.find(key.namespace()) {
        Some(place) => of(&lock(&place.learned)),
        // To ask must change nothing.
        None => of(&Learned::new(config.clone(), engine.now())),
    })
}

/// What is known of the families of every namespace that is learned.
pub(crate) fn families(engine: &Engine) -> Vec<(Namespace, Vec<Family>)> {
    let all = engine.adaptive.all().into_iter();
    let all = all.map(|(namespace, place)| {
        let families = lock(&place.learned).families().cloned().collect();
        (namespace, families)
    });
    all.collect()
}

/// Makes ttls of what was seen, and has it kept. When to be called again; none:
/// nobody asks for it.
pub(crate) fn tick(engine: &Arc<Engine>, due: Option<Moment>) -> Option<Moment> {
    if !engine.adaptive.is_on() {
        return None;
    }
    let now = engine.now();
    if let Some(later) = due.filter(|due| now < *due) {
        return Some(later);
    }
    let pods = pods(engine);
    for (namespace, place) in engine.adaptive.all() {
        make(engine, &namespace, &place, pods);
        kept::look(engine, namespace, place);
    }
    Some(now.plus(MADE_EVERY))
}

fn make(engine: &Engine, namespace: &Namespace, place: &Place, pods: usize) {
    let around = around(&engine.policy(namespace), pods);
    let plan = {
        let learned = lock(&place.learned);
        learned.is_due().then(|| learned.plan(&around))
    };
    // Those who store wait for no more than the copying.
    if let Some(plan) = plan {
        let made = plan.made();
        lock(&place.learned).apply(made, plan.seen(), engine.now());
    }
}

fn around(policy: &Policy, pods: usize) -> Around {
    Around {
        default_ttl: policy.default_ttl,
        max_ttl: policy.max_ttl,
        pods,
    }
}

fn pods(engine: &Engine) -> usize {
    engine.peers().len().max(1)
}
