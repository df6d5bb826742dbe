//! References: counted across pods, ended by their terms, pinned within bounds.

use super::log::Time;
use super::world::*;
use crate::clock::*;
use crate::references::*;
use crate::request::*;
use crate::{Engine, Error, limits};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

/// The records, as every pod sees them.
#[derive(Default)]
pub(super) struct ReferenceCore {
    last: u64,
    there: BTreeMap<(u128, u128), (Present, Moment)>,
    pods: Vec<Weak<PodReferences>>,
}

impl ReferenceCore {
    fn tell(&self, event: &Event) {
        for pod in self.pods.iter().filter_map(Weak::upgrade) {
            if !pod.down.load(SeqCst)
                && let Some(engine) = &*pod.engine.lock().unwrap()
            {
                engine.told(event.clone());
            }
        }
    }

    fn state(&self, now: Moment) -> Event {
        let there = self.there.values().map(|(present, until)| Present {
            left: until.since(now),
            ..present.clone()
        });
        Event::State {
            present: there.collect(),
            gone: Vec::new(),
            sequence: self.last,
        }
    }

    fn end(&mut self, id: ReferenceId, reference: Option<Reference>) -> u64 {
        self.there.remove(&(id.key.0, id.owner));
        self.last += 1;
        let sequence = self.last;
        self.tell(&Event::Gone(Gone {
            sequence,
            id,
            reference,
        }));
        sequence
    }

    fn end_due(&mut self, now: Moment) {
        let due = self.there.values().filter(|(_, until)| *until <= now);
        let due: Vec<_> = due.map(|(present, _)| present.reference.id()).collect();
        for id in due {
            self.end(id, None);
        }
    }
}

/// The records as one pod reaches them.
pub(super) struct PodReferences {
    core: Arc<Mutex<ReferenceCore>>,
    clk: Arc<Time>,
    engine: Mutex<Option<Arc<Engine>>>,
    down: AtomicBool,
    /// Told before what is put next.
    first: Mutex<Option<Event>>,
}

impl PodReferences {
    pub(super) fn new(core: Arc<Mutex<ReferenceCore>>, clk: Arc<Time>) -> Arc<Self> {
        Arc::new(Self {
            core,
            clk,
            engine: Mutex::default(),
            down: AtomicBool::new(false),
            first: Mutex::default(),
        })
    }

    /// Tells the engine all there is, and ends what has lasted its term.
    pub(super) fn follow(self: &Arc<Self>, engine: Arc<Engine>) {
        let mut core = self.core.lock().unwrap();
        engine.told(core.state(self.clk.now()));
        *self.engine.lock().unwrap() = Some(engine);
        core.pods.push(Arc::downgrade(self));
        let (core, clk) = (self.core.clone(), self.clk.clone());
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_millis(100)).await;
                core.lock().unwrap().end_due(clk.now());
            }
        });
    }

    fn cut(&self) {
        self.down.store(true, SeqCst);
        let engine = self.engine.lock().unwrap().clone().unwrap();
        engine.told(Event::Away("cut".into()));
    }

    fn mend(&self) {
        let core = self.core.lock().unwrap();
        self.down.store(false, SeqCst);
        let engine = self.engine.lock().unwrap().clone().unwrap();
        engine.told(core.state(self.clk.now()));
    }

    fn reached(&self) -> Result<(), String> {
        let down = self.down.load(SeqCst);
        (!down).then_some(()).ok_or_else(|| "cut".to_owned())
    }
}

#[async_trait::async_trait]
impl References for PodReferences {
    fn name(&self) -> &'static str {
        "fake"
    }

    async fn put(&self, reference: Reference, term: Duration) -> Result<u64, String> {
        self.reached()?;
        let mut core = self.core.lock().unwrap();
        if let Some(event) = self.first.lock().unwrap().take() {
            core.tell(&event);
        }
        core.last += 1;
        let (id, sequence) = (reference.id(), core.last);
        let present = Present {
            sequence,
            reference,
            left: term,
        };
        let until = self.clk.now().plus(term);
        let kept = (present.clone(), until);
        core.there.insert((id.key.0, id.owner), kept);
        core.tell(&Event::Present(present));
        Ok(sequence)
    }

    async fn remove(&self, reference: Reference) -> Result<Option<u64>, String> {
        self.reached()?;
        let mut core = self.core.lock().unwrap();
        let id = reference.id();
        if !core.there.contains_key(&(id.key.0, id.owner)) {
            return Ok(None);
        }
        Ok(Some(core.end(id, Some(reference))))
    }
}

fn owner(name: &str) -> Owner {
    Owner::new(name).unwrap()
}

const TERM: Duration = Duration::from_secs(30);

impl Pod {
    async fn try_retain(&self, k: &str, of: &str, drop_at_zero: bool) -> Result<Retained, Error> {
        let retain = Retain {
            key: key(k),
            owner: owner(of),
            term: Some(TERM),
            drop_at_zero,
            deadline: self.dl(),
        };
        self.e.retain(retain).await
    }

    async fn retain(&self, k: &str, of: &str) -> usize {
        self.try_retain(k, of, false).await.unwrap().references
    }

    async fn retain_to_drop(&self, k: &str, of: &str) {
        self.try_retain(k, of, true).await.unwrap();
    }

    async fn release(&self, k: &str, of: &str) -> Option<Released> {
        let release = Release {
            key: key(k),
            owner: owner(of),
            deadline: self.dl(),
        };
        self.e.release(release).await.unwrap()
    }

    async fn stored(&self, k: &str) {
        self.set(k, new("v", 600_000), Ack::Log).await;
    }

    async fn reads(&self, k: &str) -> bool {
        self.get(k, Level::Bounded).await.is_some()
    }

    fn here(&self, k: &str) -> Here {
        self.e.l1.here(key(k).hash())
    }
}

async fn seconds(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn an_owner_counts_once_whatever_pods_it_calls() {
    let mut w = World::new();
    let (p, q) = (w.pod().await, w.pod().await);
    assert_eq!(p.retain("k", "a").await, 1);
    assert_eq!(q.retain("k", "b").await, 2);
    assert_eq!(q.retain("k", "a").await, 2, "the same owner renews");
    assert_eq!(p.retain("other", "a").await, 1);
    let left = |released: Option<Released>| released.map(|released| released.references);
    assert_eq!(left(q.release("k", "a").await), Some(1));
    assert_eq!(left(p.release("k", "a").await), None, "it was released");
    assert_eq!(left(p.release("k", "never").await), None);
    assert_eq!(left(p.release("k", "b").await), Some(0));
    assert_eq!(p.e.status().references, 1);
}

#[tokio::test(start_paused = true)]
async fn an_owner_that_dies_is_not_counted_after_its_term() {
    let mut w = World::new();
    let p = w.pod().await;
    p.retain("k", "dead").await;
    for _ in 0..5 {
        seconds(10).await;
        p.retain("k", "alive").await;
    }
    assert_eq!(p.retain("k", "alive").await, 1);
    seconds(31).await;
    assert_eq!(p.e.status().references, 0);
    assert_eq!(p.release("k", "alive").await, None);
}

#[tokio::test(start_paused = true)]
async fn the_last_release_drops_the_entry_if_its_owner_wants_that() {
    let mut w = World::new();
    let (p, q) = (w.pod().await, w.pod().await);
    p.stored("k").await;
    p.retain_to_drop("k", "a").await;
    q.retain_to_drop("k", "b").await;
    assert_eq!(p.release("k", "a").await.unwrap().dropped, None);
    assert!(p.reads("k").await);
    let dropped = q.release("k", "b").await.unwrap().dropped.unwrap();
    p.reached(dropped.sequence).await;
    assert!(!p.reads("k").await && !q.reads("k").await);
    // One record, whoever else wanted to drop it: p's is the Set.
    seconds(10).await;
    let counts = [&p, &q].map(|pod| pod.e.counters());
    assert_eq!(counts.map(|of| of.appended), [1, 1]);
    assert_eq!(counts.map(|of| of.reference_drops), [0, 1]);
    // The last one decides.
    p.stored("k").await;
    p.retain_to_drop("k", "a").await;
    p.retain("k", "b").await;
    p.release("k", "a").await;
    assert_eq!(p.release("k", "b").await.unwrap().dropped, None);
    seconds(10).await;
    assert!(p.reads("k").await);
}

#[tokio::test(start_paused = true)]
async fn a_crashed_owners_last_reference_drops_the_entry_once() {
    let mut w = World::new();
    let (p, q) = (w.pod().await, w.pod().await);
    p.stored("k").await;
    p.retain_to_drop("k", "dead").await;
    seconds(29).await;
    assert!(p.reads("k").await);
    seconds(6).await;
    assert!(!p.reads("k").await && !q.reads("k").await);
    seconds(20).await;
    let drops = |pod: &Pod| pod.e.counters().reference_drops;
    assert_eq!(drops(&p) + drops(&q), 1);
    // Not if somebody refers to it again before.
    p.stored("k").await;
    p.retain_to_drop("k", "dead").await;
    tokio::time::sleep(TERM + Duration::from_millis(150)).await;
    q.retain("k", "b").await;
    seconds(20).await;
    assert!(p.reads("k").await);
}

#[tokio::test(start_paused = true)]
async fn what_is_referred_to_survives_a_flood_and_nothing_else_does() {
    let mut w = World::new();
    w.l1_bytes = 1 << 20;
    let p = w.pod().await;
    assert_eq!(
        p.try_retain("k", "a", false).await.unwrap().here,
        Here::NotCached
    );
    for k in ["k", "other"] {
        p.stored(k).await;
    }
    assert_eq!(p.here("k"), Here::Pinned);
    p.tier.1.store(true, SeqCst);
    for n in 0..4000 {
        let k = format!("flood {n}");
        p.stored(&k).await;
        // Wanted more than what nobody has read.
        for _ in 0..4 {
            p.reads(&k).await;
        }
    }
    assert!(p.e.status().l1_entries < 1500, "L1 is small");
    assert_eq!(p.e.status().pinned_entries, 1);
    assert!(p.reads("k").await);
    assert!(!p.reads("other").await, "it had to make room");
    p.release("k", "a").await;
    assert_eq!(
        p.e.status().pinned_entries,
        0,
        "it is one of the others again"
    );
}

#[tokio::test(start_paused = true)]
async fn no_more_is_kept_than_the_share() {
    let mut w = World::new();
    w.l1_bytes = 1 << 20;
    let p = w.pod().await;
    let most = p.e.status().pinned_max_bytes;
    assert_eq!(most, (1 << 20) / 100 * 25);
    let mut refused = 0;
    for n in 0..500 {
        let k = format!("k{n}");
        p.stored(&k).await;
        let retained = p.try_retain(&k, "a", false).await.unwrap();
        refused += usize::from(retained.here == Here::NoRoom);
        assert!(p.e.status().pinned_bytes <= most);
    }
    let kept = p.e.status().pinned_entries;
    assert!(kept > 200 && refused > 100, "{kept} {refused}");
    // Room for others again: what is read is kept then.
    for n in 0..200 {
        p.release(&format!("k{n}"), "a").await;
    }
    assert!(p.reads("k499").await);
    assert_eq!(p.here("k499"), Here::Pinned);
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_is_judged_like_everything_else() {
    let mut w = World::new();
    let (p, q) = (w.pod().await, w.pod().await);
    p.set("k", new("v", 10_000), Ack::Log).await;
    p.retain("k", "a").await;
    q.retain("k", "b").await;
    assert!(q.reads("k").await);
    assert_eq!([p.here("k"), q.here("k")], [Here::Pinned, Here::Pinned]);
    // A newer one takes its place.
    p.set("k", new("w", 10_000), Ack::Log).await;
    let newer = Some(("w".to_owned(), None));
    assert_eq!(q.get("k", Level::Strong).await, newer);
    // Its ttl ends it, and an invalidation.
    seconds(11).await;
    assert!(!p.reads("k").await && !q.reads("k").await);
    p.stored("k").await;
    assert!(q.reads("k").await);
    let gone = p.e.invalidate(hard(&p, "k")).await.unwrap();
    q.reached(gone.position.unwrap().sequence).await;
    assert!(!p.reads("k").await && !q.reads("k").await);
    assert_eq!(
        [p.here("k"), q.here("k")],
        [Here::NotCached, Here::NotCached]
    );
}

#[tokio::test(start_paused = true)]
async fn with_the_references_away_what_is_kept_stays_for_its_term() {
    let mut w = World::new();
    let p = w.pod().await;
    p.stored("k").await;
    p.retain("k", "a").await;
    p.references.cut();
    let away = p.try_retain("k", "b", false).await.unwrap_err();
    assert!(matches!(away, Error::ReferencesUnavailable(_)), "{away}");
    assert_eq!(p.e.status().references_error.as_deref(), Some("cut"));
    seconds(28).await;
    assert_eq!(p.here("k"), Here::Pinned);
    seconds(4).await;
    assert_ne!(p.here("k"), Here::Pinned);
    p.references.mend();
    assert_eq!(p.retain("k", "b").await, 1);
}

#[tokio::test(start_paused = true)]
async fn what_ended_while_nobody_followed_is_dropped_afterwards() {
    let mut w = World::new();
    let (p, q) = (w.pod().await, w.pod().await);
    for k in ["dropped", "left", "renewed"] {
        p.stored(k).await;
    }
    p.retain_to_drop("dropped", "a").await;
    p.retain("left", "a").await;
    p.retain_to_drop("renewed", "a").await;
    p.references.cut();
    q.references.cut();
    seconds(25).await;
    q.references.mend();
    q.retain_to_drop("renewed", "a").await;
    q.references.cut();
    seconds(10).await;
    p.references.mend();
    q.references.mend();
    seconds(8).await;
    let mut reads = Vec::new();
    for k in ["dropped", "left", "renewed"] {
        reads.push(p.reads(k).await);
    }
    assert_eq!(reads, [false, true, true]);
    let drops = |pod: &Pod| pod.e.counters().reference_drops;
    assert_eq!(drops(&p) + drops(&q), 1);
}

#[tokio::test(start_paused = true)]
async fn explain_names_the_first_owners_and_says_whether_the_entry_is_kept() {
    let mut w = World::new();
    let (p, q) = (w.pod().await, w.pod().await);
    for n in 0..20 {
        q.retain_to_drop("k", &format!("owner {n:02}")).await;
    }
    p.stored("k").await;
    let explain = crate::explain::Explain {
        key: key("k"),
        deadline: p.dl(),
    };
    let told = p.e.explain(explain).await.unwrap().references;
    assert_eq!((told.count, told.owners.len(), told.pinned), (20, 16, true));
    let first = &told.owners[0];
    assert_eq!(first.reference.owner.as_str(), "owner 00");
    assert_eq!(first.reference.pod.as_ref(), "pod-2");
    assert!(first.left <= TERM && first.left > TERM / 2);
}

#[tokio::test(start_paused = true)]
async fn references_are_bounded() {
    let mut w = World::new();
    let p = w.pod().await;
    let present = |n: usize| Present {
        sequence: n as u64 + 1,
        reference: Reference {
            key: key("k"),
            owner: owner(&n.to_string()),
            drop_at_zero: false,
            pod: "p".into(),
        },
        left: TERM,
    };
    p.e.told(Event::State {
        present: (0..=limits::REFERENCES).map(present).collect(),
        gone: Vec::new(),
        sequence: 0,
    });
    assert_eq!(p.e.status().references, limits::REFERENCES as u64);
    let full = p.try_retain("k", "one more", false).await;
    assert_eq!(full, Err(Error::ReferencesFull));
    assert!(p.try_retain("k", "7", false).await.is_ok(), "it is known");
    // There was room when the call began: what is not counted is not left behind.
    let there = || p.references.core.lock().unwrap().there.len();
    let before = there();
    let id = present(9).reference.id();
    p.e.told(Event::Gone(Gone {
        sequence: 0,
        id,
        reference: None,
    }));
    let faster = Event::Present(present(limits::REFERENCES));
    *p.references.first.lock().unwrap() = Some(faster);
    let full = p.try_retain("k", "one more", false).await;
    assert_eq!((full, there()), (Err(Error::ReferencesFull), before));
}

#[tokio::test(start_paused = true)]
async fn a_write_before_a_drop_is_due_keeps_what_was_written() {
    let mut w = World::new();
    let (p, q) = (w.pod().await, w.pod().await);
    p.stored("k").await;
    p.retain_to_drop("k", "dead").await;
    // It was ended, and nobody's turn to drop it has come.
    tokio::time::sleep(TERM + Duration::from_millis(150)).await;
    assert_eq!(p.e.status().references, 0);
    assert!(p.reads("k").await);
    q.set("k", new("w", 600_000), Ack::Log).await;
    seconds(20).await;
    let drops = |pod: &Pod| pod.e.counters().reference_drops;
    assert_eq!(drops(&p) + drops(&q), 0);
    let kept = Some(("w".to_owned(), None));
    assert_eq!(p.get("k", Level::Strong).await, kept);
}

#[tokio::test(start_paused = true)]
async fn a_dead_application_is_dropped_after_within_seconds() {
    let mut w = World::new();
    let p = w.pod().await;
    for n in 0..2000 {
        p.retain_to_drop(&format!("k{n}"), "dead").await;
    }
    tokio::time::sleep(TERM).await;
    seconds(6).await;
    assert_eq!(p.e.counters().reference_drops, 2000);
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_deadline_passes_ends() {
    let mut w = World::new();
    let p = w.pod().await;
    // Acknowledged, and never told here.
    p.references.core.lock().unwrap().pods.clear();
    let began = p.e.now();
    let late = p.try_retain("k", "a", false).await;
    assert_eq!(late, Err(Error::DeadlineExceeded));
    let took = p.e.now().since(began);
    assert!(took < Duration::from_millis(5100), "{took:?}");
}
