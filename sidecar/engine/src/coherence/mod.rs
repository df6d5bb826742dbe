//! The coherence protocol as a state machine: events in, actions out.
//!
//! Guarantees: no clock, socket or randomness of its own; whatever order
//! events arrive in, nothing is judged fresh that a processed record, an own
//! pending cover or the session forbids. It does not hold values: entries are
//! judged by their [`Facts`].
//!
//! `apply.rs` processes records, `session.rs` keeps the right to serve,
//! `fleet.rs` waits for other pods, `judge.rs` is the hit rule, `reader.rs`
//! judges the log's deliveries.

mod apply;
mod bugs;
mod events;
mod fleet;
mod floors;
mod judge;
mod logtime;
mod reader;
pub mod record;
mod session;

pub use bugs::{Bug, Bugs};
pub use judge::{Facts, Freshness, Source};

use crate::clock::Moment;
use crate::key::NameHash;
use crate::log::{Append, Command, WRITE_SHARDS};
use crate::position::{Epoch, Position};
use crate::random::Random;
use crate::request::{NotStored, Session};
use apply::End;
use fleet::{Fleet, PeerState};
use floors::Floors;
use logtime::LogClock;
use reader::Reader;
use record::{Invalidation, RecordId, SessionId};
use session::OwnSession;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// Registers per row of the floor table: 4 rows of 512 KiB, touched as used.
const FLOOR_WIDTH: usize = 1 << 16;
/// Margin in D for what is not drift (timer granularity, one scheduling).
const MARGIN: Duration = Duration::from_millis(500);

/// What the machine wants done. In order.
#[derive(Debug)]
pub enum Action {
    /// For the log's driver.
    Command(Command),
    /// Append a record of the machine's own and report the outcome to
    /// [`Machine::appended`].
    Append(Append),
    /// An own write or invalidation was processed here.
    Decided(RecordId, Decision),
    /// A wait for the fleet ended.
    Fleet(u64, FleetOutcome),
    /// Records were processed: wake who waits for a position or a barrier.
    Progress,
    /// Names became invalid: for watchers.
    Invalidated(u64, Arc<Invalidation>, Option<String>),
    /// The epoch changed: watchers have lost track.
    Reset,
}

/// What became of an own record when it was processed here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It holds, at this position.
    Accepted(Position),
    /// The write is refused; its record is in the log all the same.
    Refused(NotStored),
    /// The epoch changed while it was under way: perhaps done.
    Unknown,
}

/// How a wait for the fleet ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FleetOutcome {
    /// Every session said its word or lapsed.
    Done {
        /// Sessions that said it.
        acked: Vec<Session>,
        /// Sessions that lapsed.
        lapsed: Vec<Session>,
    },
    /// The own session ended: not known.
    Unknown,
}

/// How far the log was processed here; compared by who waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// The epoch.
    pub epoch: Option<Epoch>,
    /// The last processed sequence.
    pub processed: u64,
    /// The number of the newest own Beat that echoed.
    pub echoed: u64,
}

/// An own write or invalidation that is under way.
pub struct Own {
    /// Names covered here until the record is processed.
    pub names: Vec<NameHash>,
    /// Namespace covered here as a whole.
    pub namespace: Option<NameHash>,
    /// For a write: what it is checked against when it is processed.
    pub check: Option<WriteCheck>,
}

/// What decides a write at its own echo.
pub struct WriteCheck {
    /// The written key.
    pub key: NameHash,
    /// The key's namespace.
    pub namespace: NameHash,
    /// The written entry's tags.
    pub tags: Vec<NameHash>,
    /// Refuse if a cover came after this.
    pub position: Option<Position>,
}

/// An own record that was not processed here yet.
struct Open {
    own: Own,
    /// Where the log said it is.
    acked: Option<u64>,
    /// It was in before this pod began to read anew: if the replay does not
    /// meet it, nobody will.
    before: bool,
}

/// How the machine behaves.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The name this pod gives itself.
    pub pod: String,
    /// Registers per row of the floor table.
    pub floor_width: usize,
    /// A removed safeguard.
    pub bugs: Bugs,
}

impl Settings {
    /// The settings of a real pod.
    pub fn new(pod: String) -> Self {
        Self {
            pod,
            floor_width: FLOOR_WIDTH,
            bugs: Bugs::NONE,
        }
    }
}

/// The machine. Whoever owns it serialises all calls.
pub struct Machine {
    settings: Settings,
    random: Arc<dyn Random>,
    actions: Vec<Action>,
    epoch: Option<Epoch>,
    session_ttl: Duration,
    retention: Duration,
    reader: Reader,
    floors: Floors,
    /// Entries from before it are not believed; falls while records are
    /// replayed newest first.
    horizon: u64,
    /// First retained sequence as last read.
    first: u64,
    /// Newest processed Write per shard.
    shards: Vec<u64>,
    pending: HashMap<NameHash, u32>,
    own: HashMap<RecordId, Open>,
    session: OwnSession,
    peers: BTreeMap<SessionId, PeerState>,
    fleet: Fleet,
    clock: LogClock,
    log_error: Option<String>,
    undecodable: u64,
    processed_count: u64,
    incarnations: u64,
    /// The NewEpoch record under way.
    epoch_append: Option<RecordId>,
    /// The log is not the one that was read before.
    backward: bool,
    /// The next question for the first retained sequence.
    check_token: u64,
    processed_at: Moment,
    /// What is below this is still to be replayed.
    backfill_to: Option<u64>,
    backfill_asked: Moment,
    /// Server time of the oldest replayed record.
    replayed_from: crate::clock::LogTime,
    /// Every session that may be live is known from the log.
    replayed: bool,
    /// When it will be, after a gap.
    known_at: Option<Moment>,
    ends: HashMap<SessionId, End>,
}

impl Machine {
    /// A machine that has not seen its log yet.
    pub fn new(settings: Settings, random: Arc<dyn Random>) -> Self {
        Self {
            floors: Floors::new(settings.floor_width),
            settings,
            random,
            actions: Vec::new(),
            epoch: None,
            session_ttl: Duration::from_secs(15),
            retention: crate::limits::TTL_MAX,
            reader: Reader::new(),
            horizon: u64::MAX,
            first: 0,
            shards: vec![0; usize::from(WRITE_SHARDS)],
            pending: HashMap::new(),
            own: HashMap::new(),
            session: OwnSession::default(),
            peers: BTreeMap::new(),
            fleet: Fleet::default(),
            clock: LogClock::default(),
            log_error: Some("not connected yet".into()),
            undecodable: 0,
            processed_count: 0,
            incarnations: 0,
            epoch_append: None,
            backward: false,
            check_token: 0,
            processed_at: Moment::default(),
            backfill_to: None,
            backfill_asked: Moment::default(),
            replayed_from: crate::clock::LogTime::default(),
            replayed: false,
            known_at: None,
            ends: HashMap::new(),
        }
    }

    /// What has to be done now, in order.
    pub fn take_actions(&mut self) -> Vec<Action> {
        std::mem::take(&mut self.actions)
    }

    /// D: how long a silent pod may still serve what was invalidated.
    pub fn staleness_bound(&self) -> Duration {
        if self.settings.bugs.has(Bug::NoDriftMargin) {
            return self.session_ttl;
        }
        self.session_ttl + self.session_ttl / 25 + MARGIN
    }

    /// What was processed here; `None` before the log was opened.
    pub fn position(&self) -> Option<Position> {
        let sequence = self.reader.processed;
        self.epoch.map(|epoch| Position { epoch, sequence })
    }

    /// How far the log was processed.
    pub fn progress(&self) -> Progress {
        Progress {
            epoch: self.epoch,
            processed: self.reader.processed,
            echoed: self.session.echoed,
        }
    }

    /// The newest processed Write on a shard's subject.
    pub fn last_write(&self, shard: u16) -> u64 {
        self.shards[usize::from(shard)]
    }

    /// Entries from before this are not believed.
    pub fn horizon(&self) -> u64 {
        self.horizon
    }

    /// What keeps the log away.
    pub fn log_error(&self) -> Option<&str> {
        self.log_error.as_deref()
    }

    /// Counts: processed records, undecodable ones, incarnations.
    pub fn counts(&self) -> (u64, u64, u64) {
        (self.processed_count, self.undecodable, self.incarnations)
    }

    /// The session's id; it changes when a session is over.
    pub fn session_id(&self) -> SessionId {
        self.session.id
    }

    /// Begins an own write or invalidation: its names are covered here until
    /// its record is processed or [`Machine::forget`] is called.
    pub fn begin(&mut self, id: RecordId, own: Own) {
        if !self.settings.bugs.has(Bug::NoPending) {
            for name in own.names.iter().chain(&own.namespace) {
                *self.pending.entry(*name).or_default() += 1;
            }
        }
        self.own.insert(
            id,
            Open {
                own,
                acked: None,
                before: false,
            },
        );
    }

    /// An own record was definitely not appended.
    pub fn forget(&mut self, id: RecordId) {
        let Some(Open { own, .. }) = self.own.remove(&id) else {
            return;
        };
        for name in own.names.iter().chain(&own.namespace) {
            if let Some(count) = self.pending.get_mut(name) {
                *count -= 1;
                if *count == 0 {
                    self.pending.remove(name);
                }
            }
        }
    }

    /// The log said that an own record is at `sequence`. If that was passed
    /// already it will not be delivered (again): it is settled now.
    pub fn acked(&mut self, id: RecordId, sequence: u64) {
        if let Some(open) = self.own.get_mut(&id) {
            open.acked = Some(sequence);
            self.settle_passed();
        }
    }

    /// Own records that reading has passed without meeting them: repeats of
    /// one processed before, or truncated unread. Their names fall here all
    /// the same; a write's covers may be gone too, so it is not decided.
    fn settle_passed(&mut self) {
        let processed = self.reader.processed;
        let passed = |open: &Open| open.acked.filter(|at| !open.before && *at <= processed);
        let all: Vec<(RecordId, u64)> = self
            .own
            .iter()
            .filter_map(|(id, open)| Some((*id, passed(open)?)))
            .collect();
        for (id, sequence) in all {
            self.settle(id, sequence);
        }
    }

    fn settle(&mut self, id: RecordId, sequence: u64) {
        let (Some(epoch), Some(Open { own, .. })) = (self.epoch, self.own.get(&id)) else {
            return;
        };
        let decision = match own.check {
            Some(_) => Decision::Unknown,
            None => Decision::Accepted(Position { epoch, sequence }),
        };
        for name in &own.names {
            self.floors.raise(*name, sequence);
        }
        if let Some(namespace) = own.namespace {
            self.floors.raise_namespace(namespace, sequence);
        }
        self.forget(id);
        self.push(Action::Decided(id, decision));
    }

    /// Whether an own record is still waiting to be processed.
    pub fn is_open(&self, id: RecordId) -> bool {
        self.own.contains_key(&id)
    }

    fn push(&mut self, action: Action) {
        self.actions.push(action);
    }

    fn command(&mut self, command: Command) {
        self.push(Action::Command(command));
    }
}
