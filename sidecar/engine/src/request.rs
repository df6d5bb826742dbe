//! Requests and answers of [`crate::Engine`], one pair per RPC, already
//! checked: whatever can be wrong in a request was refused before.

use crate::clock::Moment;
use crate::coherence::record::SessionId;
use crate::key::{Key, Namespace, Prefix, Tag};
use crate::position::Position;
use crate::text::Text;
use bytes::Bytes;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A value in the form in which it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// The bytes.
    pub data: Bytes,
    /// Whether they were given as text (they are UTF-8 then).
    pub text: bool,
    /// What the value is, for SDK codecs.
    pub content_type: String,
}

/// What an entry says about its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// The origin has this value.
    Value(Value),
    /// The origin has nothing.
    NotFound,
}

impl Payload {
    /// The value's bytes; none of a negative entry.
    pub fn data(&self) -> &[u8] {
        match self {
            Self::Value(value) => &value.data,
            Self::NotFound => &[],
        }
    }
}

/// Hash of a payload: equal content has equal etags.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Etag(pub u128);

impl Etag {
    /// 32 hex digits.
    pub fn text(self) -> Text {
        Text::new().hex(self.0.to_be_bytes())
    }
}

/// What names a value: the position of its write or the token of its fill. Its
/// text form is opaque to clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// Of a Set or a CompareAndSet.
    Write(Position),
    /// Of a load.
    Fill(LeaseToken),
}

impl Version {
    /// The text form.
    pub fn text(self) -> Text {
        match self {
            Self::Write(position) => position.text(Text::new().mark(b'w')),
            Self::Fill(token) => Text::new().mark(b'f').hex(token.0.to_be_bytes()),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text().as_str())
    }
}

/// An entry to store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEntry {
    /// The value, or that there is none.
    pub payload: Payload,
    /// Time to live; none means the policy's default.
    pub ttl: Option<Duration>,
    /// How long it may be served stale after that; none means the policy's
    /// default.
    pub stale_for: Option<Duration>,
    /// Gone after this whatever else holds; none: no such end.
    pub valid_for: Option<Duration>,
    /// Up to this much is taken off the ttl at random; none means the policy's
    /// default.
    pub jitter: Option<Duration>,
    /// Tags, without duplicates.
    pub tags: Vec<Tag>,
    /// The origin's version.
    pub source_version: Option<u64>,
}

/// Which tier answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// This pod's memory.
    L1,
    /// The remote tier.
    Remote,
}

/// Why an entry is not fresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StaleReason {
    /// Its ttl has passed.
    Expired,
    /// A soft invalidation covers it.
    SoftInvalidated,
    /// This pod's session is not fresh.
    SessionNotFresh,
}

/// An entry as found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The value, or that there is none.
    pub payload: Payload,
    /// The version.
    pub version: Version,
    /// Hash of the content.
    pub etag: Etag,
    /// The origin's version.
    pub source_version: Option<u64>,
    /// Tags.
    pub tags: Arc<[Tag]>,
    /// Which tier answered.
    pub tier: Tier,
    /// Why it is not fresh; none: it is.
    pub stale: Option<StaleReason>,
    /// This pod's position when it was judged: nothing that was processed by
    /// then forbids it.
    pub position: Position,
    /// Time since it was stored.
    pub age: Duration,
    /// Time until it expires.
    pub ttl_left: Duration,
    /// Time until it may not even be served stale.
    pub stale_left: Duration,
}

/// How current an answer has to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Level {
    /// Coherent within D.
    #[default]
    Bounded,
    /// As of now.
    Strong,
    /// A stale entry is better than none.
    StaleOk,
}

/// What was not available while a call was answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Degraded {
    /// The remote tier did not answer.
    pub remote: bool,
    /// The session is not fresh.
    pub session: bool,
}

/// An answer with what every answer carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer<T> {
    /// The answer.
    pub result: T,
    /// This pod's position, safe to give to a Set of what is made of the answer:
    /// none newer than the one at which what is in it was judged.
    pub position: Position,
    /// What was not available.
    pub degraded: Degraded,
}

/// Get: one key.
#[derive(Clone, Debug)]
pub struct Get {
    /// The key.
    pub key: Key,
    /// Wait until this position is processed.
    pub min_position: Option<Position>,
    /// How current the answer has to be.
    pub level: Level,
    /// The newest beat that was read back was sent less than this ago.
    pub max_staleness: Option<Duration>,
    /// The etag of what the caller holds.
    pub if_none_match: Option<Etag>,
    /// When the answer is of no more use.
    pub deadline: Moment,
}

/// What a read demands of its answer, whatever the key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Demand {
    pub(crate) level: Level,
    pub(crate) max_staleness: Option<Duration>,
    pub(crate) if_none_match: Option<Etag>,
    pub(crate) deadline: Moment,
}

impl Get {
    pub(crate) fn demand(&self) -> Demand {
        Demand {
            level: self.level,
            max_staleness: self.max_staleness,
            if_none_match: self.if_none_match,
            deadline: self.deadline,
        }
    }

    /// A plain read: BOUNDED, without conditions.
    pub fn plain(key: Key, deadline: Moment) -> Self {
        Self {
            key,
            min_position: None,
            level: Level::Bounded,
            max_staleness: None,
            if_none_match: None,
            deadline,
        }
    }
}

/// A read of many keys at once.
#[derive(Clone, Debug)]
pub struct GetMany {
    /// The keys; they may repeat.
    pub keys: Vec<Key>,
    /// Wait until this position is processed.
    pub min_position: Option<Position>,
    /// How current each answer has to be.
    pub level: Level,
    /// The newest beat that was read back was sent less than this ago.
    pub max_staleness: Option<Duration>,
    /// When the answer is of no more use.
    pub deadline: Moment,
}

impl GetMany {
    /// What is demanded of each.
    pub(crate) fn demand(&self) -> Demand {
        Demand {
            level: self.level,
            max_staleness: self.max_staleness,
            if_none_match: None,
            deadline: self.deadline,
        }
    }
}

/// What a Get found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GetOutcome {
    /// The entry; a negative one too.
    Found(Found),
    /// The entry, which the caller holds already.
    NotModified(Found),
    /// Nothing that may be served.
    Missing,
}

impl GetOutcome {
    /// The entry, if there is one.
    pub fn found(&self) -> Option<&Found> {
        match self {
            Self::Found(found) | Self::NotModified(found) => Some(found),
            Self::Missing => None,
        }
    }
}

/// How far an invalidation or write must have got before it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ack {
    /// This pod obeys.
    Local,
    /// In the log and processed here.
    Log,
    /// Every live pod processed it or its session lapsed.
    Fleet,
}

/// Set: an unconditional write.
#[derive(Clone, Debug)]
pub struct Set {
    /// The key.
    pub key: Key,
    /// The entry.
    pub entry: NewEntry,
    /// The position held before the origin was read.
    pub position: Option<Position>,
    /// Only if nothing is cached.
    pub if_absent: bool,
    /// How far.
    pub ack: Ack,
    /// When the answer is of no more use.
    pub deadline: Moment,
}

/// What became of a Set.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "one at a time, and soon told")]
pub enum SetOutcome {
    /// Stored under this version; none when the log has not decided yet
    /// (LOCAL).
    Stored(Option<String>),
    /// Not stored, and what is there instead.
    NotStored(NotStored, Option<Found>),
}

/// Why a write was not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotStored {
    /// An invalidation or another write came after the caller's position.
    Covered,
    /// The position is of another epoch or below the horizon.
    PositionTooOld,
    /// The position is beyond the log's end.
    PositionUnknown,
    /// A higher source version is known: this one.
    OlderSourceVersion(u64),
    /// Something is cached.
    Present,
}

/// What a compare-and-set expects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// An entry of this version.
    Version(String),
    /// An entry of this content.
    Etag(Etag),
    /// No entry, or a negative one.
    Absent,
}

/// CompareAndSet.
#[derive(Clone, Debug)]
pub struct CompareAndSet {
    /// The key.
    pub key: Key,
    /// What must be current.
    pub expected: Expected,
    /// The entry.
    pub entry: NewEntry,
    /// Log or Fleet.
    pub ack: Ack,
    /// When the answer is of no more use.
    pub deadline: Moment,
}

/// What became of a CompareAndSet.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "one at a time, and soon told")]
pub enum CasOutcome {
    /// Stored under this version.
    Stored(String),
    /// Not stored, and what is there; why, if not because the expectation does
    /// not hold.
    Conflict(Option<NotStored>, Option<Found>),
}

/// Lease: read, or obtain the right to load.
#[derive(Clone, Debug)]
pub struct Lease {
    /// The key.
    pub key: Key,
    /// How long the lease lasts without renewal.
    pub term: Duration,
    /// How long to wait for another loader.
    pub wait: Duration,
    /// Wait until this position is processed.
    pub min_position: Option<Position>,
    /// When the answer is of no more use.
    pub deadline: Moment,
}

/// 128 unpredictable bits that name one grant of one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LeaseToken(pub u128);

/// What a Lease got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeaseOutcome {
    /// The entry is cached.
    Hit(Found),
    /// The caller is the loader, for this term; what may be served meanwhile.
    Granted(LeaseToken, Duration, Option<Found>),
    /// Somebody else is; ask again after this; what may be served meanwhile.
    Busy(Duration, Option<Found>),
}

impl LeaseOutcome {
    /// The entry, if there is one.
    pub fn found(&self) -> Option<&Found> {
        match self {
            Self::Hit(found) => Some(found),
            Self::Granted(_, _, stale) | Self::Busy(_, stale) => stale.as_ref(),
        }
    }
}

/// Why a lease is void.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Voided {
    /// Covered after it was granted.
    Invalidated,
    /// Taken over, or used.
    Expired,
    /// A higher source version is known: this one.
    OlderSourceVersion(u64),
}

/// Fill: the loaded value.
#[derive(Clone, Debug)]
pub struct Fill {
    /// The grant.
    pub token: LeaseToken,
    /// The entry.
    pub entry: NewEntry,
    /// When the answer is of no more use.
    pub deadline: Moment,
}

/// What became of a Fill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FillOutcome {
    /// Stored under this version.
    Stored(String),
    /// Not stored.
    Voided(Voided),
}

/// What became of a Renew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RenewOutcome {
    /// For another term.
    Renewed(Duration),
    /// The lease is gone.
    Voided(Voided),
}

/// Abandon: the load failed.
#[derive(Clone, Debug)]
pub struct Abandon {
    /// The grant.
    pub token: LeaseToken,
    /// The stale entry may be served for this much longer.
    pub serve_stale_for: Option<Duration>,
    /// Nobody is granted the lease before this has passed.
    pub retry_after: Option<Duration>,
    /// When the answer is of no more use.
    pub deadline: Moment,
}

/// What an invalidation does to what it covers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    /// It is gone.
    #[default]
    Hard,
    /// It is stale.
    Soft,
}

/// Invalidate.
#[derive(Clone, Debug)]
pub struct Invalidate {
    /// The namespace of all names.
    pub namespace: Namespace,
    /// Keys of that namespace.
    pub keys: Vec<Key>,
    /// Tags.
    pub tags: Vec<Tag>,
    /// Prefixes of keys.
    pub prefixes: Vec<Prefix>,
    /// The whole namespace.
    pub all: bool,
    /// Gone or stale.
    pub mode: Mode,
    /// Fills of the keys below this are refused.
    pub min_source_version: Option<u64>,
    /// How far.
    pub ack: Ack,
    /// Idempotency id; none means a new one.
    pub id: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// The trace that caused it.
    pub trace_id: Option<u128>,
    /// When the answer is of no more use.
    pub deadline: Moment,
}

/// A session of the fleet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// The name the pod gave itself.
    pub pod: String,
}

/// What an Invalidate did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Invalidated {
    /// Where it is in the log; none after LOCAL.
    pub position: Option<Position>,
    /// Who said they processed it (FLEET).
    pub acked: Vec<Session>,
    /// Whose sessions lapsed instead (FLEET).
    pub lapsed: Vec<Session>,
}

/// Which invalidations a watcher wants: the names of what it holds. Empty
/// means any.
#[derive(Clone, Debug, Default)]
pub struct WatchFilter {
    /// Keys it holds.
    pub keys: Vec<Key>,
    /// Prefixes of keys it holds, beside those.
    pub prefixes: Vec<Prefix>,
    /// Every tag that what it holds carries.
    pub tags: Vec<Tag>,
}

/// One event of a Watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watched {
    /// Complete up to here.
    pub position: Position,
    /// What happened.
    pub event: WatchEvent,
}

/// What a Watch reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchEvent {
    /// Always first.
    Started,
    /// Names became invalid.
    Invalidation {
        /// Keys.
        keys: Vec<String>,
        /// Tags.
        tags: Vec<String>,
        /// Prefixes.
        prefixes: Vec<String>,
        /// The whole namespace.
        all: bool,
        /// Gone or stale.
        mode: Mode,
        /// Why.
        reason: Option<String>,
    },
    /// Alive.
    Heartbeat,
    /// Events were lost.
    Lagged,
}

/// Whether this pod may call anything fresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionState {
    /// Waiting for the log or the first echo.
    Joining,
    /// It may.
    Fresh,
    /// The last echo is too old.
    Lapsed,
    /// Draining.
    Left,
}

/// What the engine is doing.
#[derive(Clone, Debug)]
pub struct Status {
    /// This pod's session.
    pub session: Session,
    /// Its state.
    pub state: SessionState,
    /// How long it stays fresh.
    pub fresh_for: Duration,
    /// What was processed.
    pub position: Position,
    /// Entries from before this sequence are not believed.
    pub horizon: u64,
    /// What keeps the log away.
    pub log_error: Option<String>,
    /// What kept the remote tier away at its last use.
    pub remote_error: Option<String>,
    /// Entries in L1.
    pub l1_entries: u64,
    /// Weighed bytes in L1.
    pub l1_bytes: u64,
    /// D of the coherence protocol.
    pub staleness_bound: Duration,
}

/// A session as this pod knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The session.
    pub session: Session,
    /// Whether it is this pod's.
    pub own: bool,
    /// Being waited out.
    pub expelled: bool,
    /// Sequence of its newest Join.
    pub joined: u64,
    /// The highest sequence it said it processed.
    pub processed: u64,
}

/// What happened since the start, for metrics. Monotonic counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Reads answered from L1.
    pub hits_l1: u64,
    /// Reads answered from the remote tier.
    pub hits_remote: u64,
    /// Reads answered with an entry that is not fresh.
    pub hits_stale: u64,
    /// Reads answered with a negative entry.
    pub hits_negative: u64,
    /// Reads whose caller held the entry already.
    pub not_modified: u64,
    /// Sets of equal content that needed no record in the log.
    pub refreshed: u64,
    /// Writes and fills refused for their source version.
    pub older_source_versions: u64,
    /// Source versions forgotten for room: an older one would be accepted.
    pub source_versions_forgotten: u64,
    /// Leases not granted because of the rate limit.
    pub grants_limited: u64,
    /// Loads given back because the origin failed.
    pub fail_safes: u64,
    /// Reads that found nothing.
    pub misses: u64,
    /// Records of the remote tier that failed a check (identity, checksum,
    /// format).
    pub bad_records: u64,
    /// Those of them that had been stored, whole, for another key.
    pub wrong_keys: u64,
    /// Calls to the remote tier that failed or were not answered in time.
    pub remote_errors: u64,
    /// Leases granted.
    pub leases_granted: u64,
    /// Fills refused because the lease was void.
    pub fills_voided: u64,
    /// Invalidations and writes appended.
    pub appended: u64,
    /// Records processed.
    pub processed: u64,
    /// Incarnations of the log reader built.
    pub incarnations: u64,
    /// Epochs of the log met.
    pub epochs: u64,
    /// Times the wall clock of the log's server was seen to go back.
    pub set_backs: u64,
    /// Records of the log that could not be decoded.
    pub undecodable: u64,
    /// Reads or waits refused because too much was in flight.
    pub overloaded: u64,
    /// Sets with ack LOCAL whose value was not stored: refused, or undecided.
    pub locals_dropped: u64,
}
