//! The engine's own machine against the models: a log played by hand.
//!
//! Guarantees that the hit rule which `fills` searches is the machine's: both
//! judge alike in every log, replay and position within bounds. The last test
//! shows what `truncation` found, and the machine prevents since.
//!
//! Model position `k` is sequence 10 `k`; Joins and Beats come in between.

use crate::fills;
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use unstale_engine::clock::{LogTime, Moment};
use unstale_engine::coherence::record::{Body, Invalidation, Record, RecordId, SessionId};
use unstale_engine::coherence::{
    Action, Facts, FleetOutcome, Freshness, Machine, Settings, Source,
};
use unstale_engine::key::{Key, NameHash, Namespace, Tag};
use unstale_engine::log::{Append, Appended, Backfilled, Command, Delivery, Event, Opened};
use unstale_engine::position::Epoch;
use unstale_engine::random::Random;

const EPOCH: Epoch = Epoch(7);
const NOW: Moment = Moment::new(Duration::from_secs(100));
const TAG: &str = "tag";

struct Count(AtomicU64);

impl Random for Count {
    fn bits(&self) -> u128 {
        u128::from(self.0.fetch_add(1, Ordering::Relaxed) + 1000)
    }
}

/// A machine and what it wanted done.
struct Pod {
    machine: Machine,
    actions: Vec<Action>,
    deliveries: u64,
}

impl Pod {
    /// Joins a log at `joined`, and is delivered its Join.
    fn join(joined: u64) -> Self {
        let mut settings = Settings::new("pod".into());
        settings.floor_width = 64;
        let machine = Machine::new(settings, Arc::new(Count(AtomicU64::new(0))));
        let mut pod = Self {
            machine,
            actions: Vec::new(),
            deliveries: 0,
        };
        pod.event(Event::Opened(Opened {
            epoch_told: 1,
            epoch: Some(EPOCH),
            first: 1,
            last: joined - 1,
            session_ttl: Duration::from_secs(15),
            retention: Duration::from_secs(31 * 86_400),
            alone: false,
        }));
        pod.commit(joined, false);
        pod
    }

    fn event(&mut self, event: Event) {
        self.machine.event(event, NOW);
        self.actions.extend(self.machine.take_actions());
    }

    /// The newest own append is in the log at `sequence`, and delivered.
    fn commit(&mut self, sequence: u64, expires: bool) {
        let own = |action: &Action| match action {
            Action::Append(append) => Some(append.clone()),
            _ => None,
        };
        let append: Append = self.actions.iter().rev().find_map(own).expect("an append");
        let answer = Appended::At(sequence);
        self.machine.appended(append.id, &answer, NOW);
        self.actions.extend(self.machine.take_actions());
        self.deliver(sequence, append.id, expires, append.payload);
    }

    fn deliver(&mut self, sequence: u64, id: RecordId, expires: bool, payload: Bytes) {
        let reads = self.actions.iter().rev().find_map(|action| match action {
            Action::Command(Command::Read { incarnation, .. }) => Some(*incarnation),
            _ => None,
        });
        self.deliveries += 1;
        self.event(Event::Delivered(Delivery {
            incarnation: reads.expect("it reads"),
            consumer_sequence: self.deliveries,
            sequence,
            time: stamp(sequence),
            id,
            expires,
            payload,
        }));
    }

    /// A Beat of its own at `sequence` echoes; `first` is retained then.
    fn beat(&mut self, sequence: u64, first: u64) {
        self.machine.barrier(NOW);
        self.actions.extend(self.machine.take_actions());
        self.commit(sequence, true);
        let asked = self.actions.iter().rev().find_map(|action| match action {
            Action::Command(Command::CheckFirst { token }) => Some(*token),
            _ => None,
        });
        let token = asked.expect("a check");
        self.event(Event::First { token, first });
    }

    fn record(&mut self, sequence: u64, record: &Record) {
        let payload = record.encode().into();
        self.deliver(sequence, record.id, false, payload);
    }

    fn judge(&self, key: &str, as_of: u64) -> Freshness {
        self.machine.judge(&facts(key, as_of), Source::Remote, NOW)
    }
}

/// The log is written slowly: its beginning is more than D ago.
fn stamp(sequence: u64) -> LogTime {
    LogTime(sequence * 60_000_000)
}

fn namespace() -> Namespace {
    Namespace::new("ns").expect("a name")
}

fn facts(key: &str, as_of: u64) -> Facts {
    let namespace = namespace();
    let tag = Tag::new(TAG).expect("a tag").hash(&namespace);
    Facts {
        epoch: EPOCH,
        as_of,
        key: Key::new(namespace.clone(), key).expect("a key"),
        namespace: NameHash::of_namespace(&namespace),
        prefixes: Box::default(),
        tags: Box::new([tag]),
        source_version: None,
        expires: LogTime(u64::MAX),
        gone: LogTime(u64::MAX),
    }
}

fn invalidate(key: Option<&str>, soft: bool, at: u64) -> Record {
    let body = Body::Invalidate(Invalidation {
        namespace: "ns".into(),
        keys: key.map(String::from).into_iter().collect(),
        tags: key.is_none().then(|| TAG.into()).into_iter().collect(),
        soft,
        ..Invalidation::default()
    });
    record(SessionId(1), at, body)
}

fn record(origin: SessionId, at: u64, body: Body) -> Record {
    Record {
        id: RecordId(u128::from(at)),
        origin,
        reason: None,
        trace_id: None,
        body,
    }
}

fn cover(cover: fills::Cover, at: u64) -> Record {
    match cover {
        fills::Cover::Hard => invalidate(Some("0"), false, at),
        fills::Cover::Soft => invalidate(Some("0"), true, at),
        fills::Cover::Tag => invalidate(None, false, at),
    }
}

/// A pod that joined after `replay.0` records, has replayed them down to
/// `replay.1`, and has processed up to `processed`.
fn pod(log: &[fills::Cover], replay: (u64, u64), processed: u64) -> Pod {
    let covers = |from: u64, to: u64| (from + 1..=to).map(|at| (at, log[at as usize - 1]));
    let (joined, unread) = (replay.0 * 10 + 1, replay.1);
    let mut pod = Pod::join(joined);
    let old = covers(unread, replay.0);
    let old = old.map(|(at, what)| {
        (
            at * 10,
            stamp(at * 10),
            cover(what, at * 10).encode().into(),
        )
    });
    pod.event(Event::Backfilled(Backfilled {
        from: unread * 10 + 1,
        to: joined,
        first: 1,
        records: old.collect(),
    }));
    for (at, what) in covers(replay.0, processed) {
        pod.record(at * 10, &cover(what, at * 10));
    }
    pod.beat(processed * 10 + 6, 1);
    pod
}

#[test]
fn the_engine_judges_as_the_model_of_fills_does() {
    let mut judged = 0;
    for log in fills::logs(3) {
        let length = log.len() as u64;
        for joined in 0..=length {
            for unread in 0..=joined {
                for processed in joined..=length {
                    let pod = pod(&log, (joined, unread), processed);
                    for (key, as_of) in (0..=length).flat_map(|at| [(0, at), (1, at)]) {
                        let model = fills::judgement(&log, (processed, unread), key, as_of);
                        let engine = pod.judge(["0", "1"][key], as_of * 10 + 5);
                        let place = (joined, unread, processed, key, as_of);
                        assert_eq!(engine, model, "{log:?} {place:?}");
                        judged += 1;
                    }
                }
            }
        }
    }
    println!("{judged} judgements of the engine are the model's");
    assert!(judged > 1000);
}

/// Another session's Join at 20 is removed before the caller's pod reads it:
/// its FLEET does not wait for that session.
#[test]
fn fleet_does_not_end_early_over_an_unread_join() {
    let mut pod = pod(&[fills::Cover::Hard], (1, 0), 1);
    pod.record(40, &invalidate(Some("0"), false, 40));
    pod.machine.await_fleet(40, NOW);
    pod.actions.extend(pod.machine.take_actions());
    let ended = pod
        .actions
        .iter()
        .any(|action| matches!(action, Action::Fleet(_, FleetOutcome::Done { .. })));
    assert!(
        !ended,
        "answered before D, the first retained sequence unasked"
    );
}
