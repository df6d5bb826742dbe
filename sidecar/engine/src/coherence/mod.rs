//! The coherence protocol as a state machine: events in, actions out.
//!
//! Guarantees: no clock, socket or randomness of its own; whatever order
//! events arrive in, nothing is judged fresh that a processed record, an own
//! pending cover or the session forbids. It does not hold values: entries are
//! judged by their [`Facts`].
//!
//! `apply.rs` processes records, `own.rs` keeps those under way, `session.rs` keeps the right to serve,
//! `fleet.rs` waits for other pods, `judge.rs` is the hit rule, `reader.rs`
//! judges the log's deliveries.

mod apply;
mod bugs;
mod depends;
mod elapsed;
mod events;
mod explain;
mod fleet;
mod floors;
mod history;
mod judge;
mod logtime;
mod own;
mod pending;
mod prefixes;
mod reader;
mod reading;
pub mod record;
mod replay;
mod session;
mod verified;
mod versions;
mod written;

pub use bugs::{Bug, Bugs};
pub use depends::Depends;
pub(crate) use judge::At;
pub use judge::{Facts, Freshness, Source};
pub use own::{Own, WriteCheck};
pub(crate) use verified::ASK_AGAIN;

use crate::clock::Moment;
use crate::key::Delimiters;
use crate::log::{Append, Command, WRITE_SHARDS};
use crate::position::{Epoch, Position};
use crate::random::Random;
use crate::request::{NotStored, Session};
use apply::End;
use elapsed::Elapsed;
use fleet::{Fleet, PeerState};
use floors::Floors;
use history::History;
use logtime::LogClock;
use own::Open;
use pending::Pending;
use reader::Reader;
use record::{Invalidation, RecordId, SessionId};
use session::OwnSession;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;
use verified::Verified;
use versions::SourceVersions;
use written::Written;

/// Registers per row of the floor table: 4 rows of 4 MiB, touched as used.
pub(crate) const FLOOR_WIDTH: usize = 1 << 18;
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
    /// What watchers are told is complete after this sequence, not before.
    WatchFrom(u64),
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
    /// Nothing was missed up to this one.
    pub verified: u64,
    /// The number of the newest own Beat that echoed, nothing before it having
    /// been truncated unread.
    pub echoed: u64,
}

/// Counts since the start.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Records processed.
    pub processed: u64,
    /// Records that could not be decoded.
    pub undecodable: u64,
    /// Incarnations of the reader built.
    pub incarnations: u64,
    /// Epochs met.
    pub epochs: u64,
    /// Times the clock of the log's server was seen to go back.
    pub set_backs: u64,
    /// Source versions forgotten for room.
    pub source_versions_forgotten: u64,
}

/// How the machine behaves.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The name this pod gives itself.
    pub pod: String,
    /// Registers per row of the floor table.
    pub floor_width: usize,
    /// Keys whose highest source version is remembered.
    pub source_versions: usize,
    /// Where a prefix may end to be hashed like a tag.
    pub delimiters: Delimiters,
    /// How long the log keeps a Beat.
    pub beat_ttl: Duration,
    /// A removed safeguard.
    pub bugs: Bugs,
}

impl Settings {
    /// The settings of a real pod.
    pub fn new(pod: String) -> Self {
        Self {
            pod,
            floor_width: FLOOR_WIDTH,
            source_versions: crate::limits::SOURCE_VERSIONS,
            delimiters: Delimiters::default(),
            beat_ttl: crate::log::BEAT_TTL,
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
    /// The like for what was truncated unread; it never falls.
    gap: u64,
    /// How far this pod had answered when the last gap was found.
    unsound: u64,
    /// First retained sequence as last read.
    first: u64,
    /// Newest processed Write per shard.
    shards: Vec<u64>,
    pending: Pending,
    versions: SourceVersions,
    verified: Verified,
    own: HashMap<RecordId, Open>,
    /// Other ids under which the log may have some of them.
    aliases: HashMap<RecordId, RecordId>,
    begun: u64,
    written: Written,
    session: OwnSession,
    peers: BTreeMap<SessionId, PeerState>,
    fleet: Fleet,
    clock: LogClock,
    log_error: Option<String>,
    /// Why the newest incarnation ended, until one is verified.
    reading_error: Option<String>,
    /// Incarnations in a row that ended before they were verified.
    failed_builds: u32,
    /// When the next incarnation is built, after failures.
    build_at: Option<Moment>,
    /// When the incarnation is replaced by an overlapping one.
    replace_at: Moment,
    /// When [`Machine::tick`] was called last.
    ticked: Moment,
    /// When the log is told again which epoch it has, and where it was told
    /// last; 0: not known.
    epoch_again_at: Moment,
    epoch_told: u64,
    /// Nobody else reads this log.
    alone: bool,
    counts: Counts,
    /// The NewEpoch record under way.
    epoch_append: Option<RecordId>,
    /// The log is not the one that was read before.
    backward: bool,
    /// The newest epoch that was met.
    met: Option<Epoch>,
    /// The clock of the log's server went back in this epoch, which is over.
    set_back: bool,
    /// Epochs that were left: a log that names one has lost its newest.
    left_epochs: Vec<Epoch>,
    /// The next question for the first retained sequence.
    check_token: u64,
    processed_at: Moment,
    /// What is below this is still to be replayed.
    backfill_to: Option<u64>,
    backfill_asked: Moment,
    /// How much time the replayed records span.
    elapsed: Elapsed,
    /// Every session that may be live is known from the log.
    replayed: bool,
    /// When it will be, after a gap.
    known_at: Option<Moment>,
    ends: HashMap<SessionId, End>,
    history: History,
}

impl Machine {
    /// A machine that has not seen its log yet.
    pub fn new(settings: Settings, random: Arc<dyn Random>) -> Self {
        Self {
            floors: Floors::new(settings.floor_width, settings.bugs),
            versions: SourceVersions::new(settings.source_versions),
            settings,
            random,
            actions: Vec::new(),
            epoch: None,
            session_ttl: Duration::from_secs(15),
            retention: crate::limits::TTL_MAX,
            reader: Reader::new(),
            horizon: u64::MAX,
            gap: 0,
            unsound: 0,
            first: 0,
            shards: vec![0; usize::from(WRITE_SHARDS)],
            pending: Pending::default(),
            verified: Verified::default(),
            own: HashMap::new(),
            aliases: HashMap::new(),
            begun: 0,
            written: Written::default(),
            session: OwnSession::default(),
            peers: BTreeMap::new(),
            fleet: Fleet::default(),
            clock: LogClock::default(),
            log_error: Some("not connected yet".into()),
            reading_error: None,
            failed_builds: 0,
            build_at: None,
            replace_at: Moment::default(),
            ticked: Moment::default(),
            epoch_again_at: Moment::default(),
            epoch_told: 0,
            alone: false,
            counts: Counts::default(),
            epoch_append: None,
            backward: false,
            met: None,
            set_back: false,
            left_epochs: Vec::new(),
            check_token: 0,
            processed_at: Moment::default(),
            backfill_to: None,
            backfill_asked: Moment::default(),
            elapsed: Elapsed::default(),
            replayed: false,
            known_at: None,
            ends: HashMap::new(),
            history: History::default(),
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
            verified: self.verified.to.min(self.reader.processed),
            echoed: self.session.echoed,
        }
    }

    /// The newest processed Write on a shard's subject.
    pub fn last_write(&self, shard: u16) -> u64 {
        self.shards[usize::from(shard)]
    }

    /// Entries from before this are not believed.
    pub fn horizon(&self) -> u64 {
        self.horizon.max(self.gap)
    }

    /// What was read up to here may lack records that were discarded unread.
    pub fn gap(&self) -> u64 {
        self.gap
    }

    /// What was answered at positions up to here may have been covered by
    /// records that were discarded unread; never below [`Machine::gap`].
    pub fn unsound(&self) -> u64 {
        self.unsound
    }

    /// Something up to `to` went unread: entries from before it are not believed,
    /// and no position that was told until now is.
    fn found_gap(&mut self, to: u64) {
        self.gap = self.gap.max(to);
        self.unsound = self.unsound.max(self.reader.processed).max(to);
    }

    /// What keeps the log away, or keeps it from being read.
    pub fn log_error(&self) -> Option<&str> {
        self.log_error.as_deref().or(self.reading_error.as_deref())
    }

    /// A record was left half applied (a panic): whatever it covers falls.
    pub fn distrust(&mut self) {
        self.cover_everything(self.reader.processed);
    }

    /// Nobody knows what the record at `sequence` covers.
    fn cover_everything(&mut self, sequence: u64) {
        self.floors.raise_everything(sequence);
        self.push(Action::WatchFrom(sequence));
    }

    /// What was counted since the start.
    pub fn counts(&self) -> Counts {
        let source_versions_forgotten = self.versions.forgotten();
        Counts {
            source_versions_forgotten,
            ..self.counts
        }
    }

    /// The session's id; it changes when a session is over.
    pub fn session_id(&self) -> SessionId {
        self.session.id
    }

    fn push(&mut self, action: Action) {
        self.actions.push(action);
    }

    fn command(&mut self, command: Command) {
        self.push(Action::Command(command));
    }
}

#[cfg(test)]
mod tests;
