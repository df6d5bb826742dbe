//! Requests and answers of [`crate::Engine`], one pair per RPC, already
//! checked: whatever can be wrong in a request was refused before.

use crate::clock::Moment;
use crate::coherence::record::SessionId;
use crate::key::{Key, Namespace, Tag};
use crate::position::Position;
use bytes::Bytes;
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

/// An entry to store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEntry {
    /// The value.
    pub value: Value,
    /// Time to live; none means the default.
    pub ttl: Option<Duration>,
    /// Tags, without duplicates.
    pub tags: Vec<Tag>,
}

/// Which tier answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// This pod's memory.
    L1,
    /// The remote tier.
    Remote,
}

/// An entry as found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The value.
    pub value: Value,
    /// The opaque version.
    pub version: String,
    /// Tags.
    pub tags: Vec<Tag>,
    /// Which tier answered.
    pub tier: Tier,
    /// Time since it was stored.
    pub age: Duration,
    /// Time until it expires.
    pub ttl_left: Duration,
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
    /// This pod's position.
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
    /// When the answer is of no more use.
    pub deadline: Moment,
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
    /// How far.
    pub ack: Ack,
    /// When the answer is of no more use.
    pub deadline: Moment,
}

/// What became of a Set.
#[derive(Clone, Debug, PartialEq, Eq)]
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
}

/// What a compare-and-set expects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// An entry of this version.
    Version(String),
    /// No entry.
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
pub enum CasOutcome {
    /// Stored under this version.
    Stored(String),
    /// The expectation does not hold; what is there.
    Conflict(Option<Found>),
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
    /// The caller is the loader.
    Granted(LeaseToken, Duration),
    /// Somebody else is; ask again after this.
    Busy(Duration),
}

/// Why a lease is void.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Voided {
    /// Covered after it was granted.
    Invalidated,
    /// Taken over, or used.
    Expired,
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

/// Invalidate.
#[derive(Clone, Debug)]
pub struct Invalidate {
    /// The namespace of all names.
    pub namespace: Namespace,
    /// Keys of that namespace.
    pub keys: Vec<Key>,
    /// Tags.
    pub tags: Vec<Tag>,
    /// The whole namespace.
    pub all: bool,
    /// How far.
    pub ack: Ack,
    /// Idempotency id; none means a new one.
    pub id: Option<String>,
    /// Why.
    pub reason: Option<String>,
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
        /// The whole namespace.
        all: bool,
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
    /// Reads that found nothing.
    pub misses: u64,
    /// Records of the remote tier that failed a check (identity, checksum,
    /// format).
    pub bad_records: u64,
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
    /// Records of the log that could not be decoded.
    pub undecodable: u64,
    /// Reads or waits refused because too much was in flight.
    pub overloaded: u64,
}
