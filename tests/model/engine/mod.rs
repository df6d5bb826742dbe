//! The engine's own machine against the models: a log played by hand.
//!
//! Guarantees that the rules which the models search are the machine's: the hit
//! rule of `fills` (`judgement`), and all that a pod of `confirmation` does
//! (`paths`). Not here: the other models' pods.

mod judgement;
mod led;
mod paths;

use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use unstale_engine::clock::{LogTime, Moment};
use unstale_engine::coherence::record::{Body, Invalidation, Record, RecordId, SessionId};
use unstale_engine::coherence::{Action, Facts, Machine, Settings};
use unstale_engine::key::{Key, NameHash, Namespace, Tag};
use unstale_engine::log::{Append, Appended, Command, Delivery, Event, Opened};
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
    /// The incarnation that reads, and its count of deliveries.
    reading: (u64, u64),
    /// Its Join, as it is in the log.
    joined: (RecordId, bool, Bytes),
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
            reading: (0, 0),
            joined: (RecordId(0), false, Bytes::new()),
        };
        pod.open(1, joined - 1);
        let append = pod.append(joined);
        pod.joined = (append.id, false, append.payload.clone());
        pod.deliver(joined, append.id, false, append.payload);
        pod
    }

    fn open(&mut self, first: u64, last: u64) {
        self.event(Event::Opened(Opened {
            epoch_told: 1,
            epoch: Some(EPOCH),
            first,
            last,
            session_ttl: Duration::from_secs(15),
            retention: Duration::from_secs(31 * 86_400),
            alone: false,
        }));
    }

    fn event(&mut self, event: Event) {
        self.machine.event(event, NOW);
        self.take();
    }

    fn take(&mut self) {
        self.actions.extend(self.machine.take_actions());
    }

    /// The newest own append is in the log at `sequence`, and delivered.
    fn commit(&mut self, sequence: u64, expires: bool) {
        let append = self.append(sequence);
        self.deliver(sequence, append.id, expires, append.payload);
    }

    /// The newest own append is in the log at `sequence`.
    fn append(&mut self, sequence: u64) -> Append {
        let append: Append = self.newest(|action| match action {
            Action::Append(append) => Some(append.clone()),
            _ => None,
        });
        let answer = Appended::At(sequence);
        self.machine.appended(append.id, &answer, NOW);
        self.take();
        append
    }

    /// What the machine wanted last of this kind.
    fn newest<T>(&self, kind: impl FnMut(&Action) -> Option<T>) -> T {
        let newest = self.actions.iter().rev().find_map(kind);
        newest.expect("it was wanted")
    }

    fn deliver(&mut self, sequence: u64, id: RecordId, expires: bool, payload: Bytes) {
        let incarnation = self.newest(|action| match action {
            Action::Command(Command::Read { incarnation, .. }) => Some(*incarnation),
            _ => None,
        });
        let before = match self.reading {
            (same, deliveries) if same == incarnation => deliveries,
            _ => 0,
        };
        self.reading = (incarnation, before + 1);
        self.event(Event::Delivered(Delivery {
            incarnation,
            consumer_sequence: before + 1,
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
        self.take();
        self.commit(sequence, true);
        let token = self.newest(|action| match action {
            Action::Command(Command::CheckFirst { token }) => Some(*token),
            _ => None,
        });
        self.event(Event::First { token, first });
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
        prefixes: Arc::default(),
        tags: Box::new([tag]),
        depends: None,
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
