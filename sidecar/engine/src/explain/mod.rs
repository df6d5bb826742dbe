//! Explain: why the entry under a key is served, or is not.
//!
//! Guarantees: nothing is changed by asking: no fill of L1, no count of who
//! wants the entry, no lease, no sight of one. (Reading the remote tier tells
//! whether it is there, as every read of it does.) No value is told. The judgement
//! is the hit rule's own, made at one moment for all that is held. `answer.rs`
//! looks; these are the words.

mod answer;

pub(crate) use answer::explain;

use crate::clock::Moment;
use crate::coherence::{Depends, Freshness};
use crate::key::{Key, Tag};
pub use crate::policy::adaptive_ttl::{Bound, Family};
pub use crate::policy::ttl::Giver;
use crate::position::Position;
use crate::references::Reference;
use crate::request::{Etag, Mode, Session, SessionState};
use std::sync::Arc;
use std::time::Duration;

/// Asks why.
#[derive(Clone, Debug)]
pub struct Explain {
    /// The key.
    pub key: Key,
    /// When the answer is of no more use.
    pub deadline: Moment,
}

/// What this pod knows of a key.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// This pod's position when it judged.
    pub position: Position,
    /// Whether it may call anything fresh.
    pub state: SessionState,
    /// For how long without a further beat.
    pub fresh_for: Duration,
    /// What L1 holds.
    pub l1: Option<Held>,
    /// What the remote tier holds, or what keeps it away.
    pub remote: Result<InTier, String>,
    /// The rest of the term of a lease that only this pod knows of.
    pub local_lease: Option<Duration>,
    /// Every floor that touches the key or a tag of what is held.
    pub floors: Vec<Floor>,
    /// The newest changes that touch them, newest first.
    pub changes: Vec<Change>,
    /// Every invalidation after this sequence is remembered.
    pub invalidations_after: u64,
    /// Every write after this sequence is remembered.
    pub writes_after: u64,
    /// What is known of keys like it; none: their ttl is not learned.
    pub family: Option<Family>,
    /// Who refers to the key.
    pub references: Referred,
}

/// Who refers to a key.
#[derive(Clone, Debug, Default)]
pub struct Referred {
    /// How many owners.
    pub count: usize,
    /// The first of them by name.
    pub owners: Vec<Referring>,
    /// Whether L1 keeps the entry.
    pub pinned: bool,
}

/// One owner's reference.
#[derive(Clone, Debug)]
pub struct Referring {
    /// The reference.
    pub reference: Reference,
    /// The rest of its term.
    pub left: Duration,
}

/// What the remote tier holds under a key.
#[derive(Clone, Debug)]
pub enum InTier {
    /// Nothing.
    Nothing,
    /// An entry.
    Entry(Box<Held>),
    /// Somebody's right to load it.
    Lease(Box<Leased>),
    /// What is not believed, whatever it is.
    Unreadable,
}

/// An entry, less its value.
#[derive(Clone, Debug)]
pub struct Held {
    /// Its version, as text.
    pub version: String,
    /// The hash of its content.
    pub etag: Etag,
    /// The origin has nothing.
    pub negative: bool,
    /// Bytes of its value.
    pub value_bytes: u64,
    /// What was known before its source was read.
    pub as_of: Position,
    /// The origin's version.
    pub source_version: Option<u64>,
    /// Its tags.
    pub tags: Arc<[Tag]>,
    /// What it depends on, the nearest first.
    pub depends: Vec<Depended>,
    /// Time since it was stored.
    pub age: Duration,
    /// How long it lasts.
    pub life: Life,
    /// How it is judged.
    pub judgement: Judgement,
}

/// A key that an entry depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Depended {
    /// The key's name.
    pub key: Arc<str>,
    /// How far it is away: 1 is direct, more is through others.
    pub level: u8,
}

/// How long an entry lasts, and why. In log time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Life {
    /// How long it is fresh, as it was stored.
    pub ttl: Duration,
    /// The ttl before anything was taken off; none if that was not stored.
    pub given: Option<Duration>,
    /// Who gave it.
    pub ttl_by: Giver,
    /// What was taken off at random.
    pub jitter: Duration,
    /// How long it may be served stale after its ttl.
    pub stale_for: Duration,
    /// Who gave that.
    pub stale_for_by: Giver,
    /// What ends both.
    pub valid_for: Option<Duration>,
    /// Until it expires.
    pub ttl_left: Duration,
    /// Until it is not served stale either.
    pub stale_left: Duration,
}

/// The right to load a key, less its token.
#[derive(Clone, Debug)]
pub struct Leased {
    /// This pod granted it.
    pub own: bool,
    /// Its term.
    pub term: Duration,
    /// The rest of it, as it is counted here.
    pub left: Duration,
    /// How often it was renewed.
    pub renewals: u32,
    /// What was known before the load began.
    pub as_of: Position,
    /// How it is judged.
    pub judgement: Judgement,
    /// What may be served stale meanwhile.
    pub stale: Option<Held>,
}

/// How something is judged, and by what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// The hit rule's word.
    pub freshness: Freshness,
    /// What decides it.
    pub decider: Decider,
}

/// What decides a judgement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decider {
    /// Nothing speaks against it.
    Nothing,
    /// A floor above its `as_of`.
    Floor(Floor),
    /// It is of another epoch.
    Epoch,
    /// Its ttl has passed.
    Ttl,
    /// All that it may be served for has passed.
    End,
    /// This pod's session is not fresh.
    Session,
    /// An own write or invalidation is under way.
    UnderWay,
    /// Its `as_of` is above this pod's position.
    Position,
    /// This pod still replays the log, or has not opened it.
    Replay,
    /// This pod does not know the log's time yet.
    LogTime,
}

/// What a floor is one of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cover {
    /// The key.
    Key,
    /// One of its tags.
    Tag(Tag),
    /// A prefix of the key.
    Prefix(Arc<str>),
    /// A key that it depends on.
    DependencyKey(Arc<str>),
    /// A tag of what it depends on.
    DependencyTag(Tag),
    /// A prefix of a key that it depends on.
    DependencyPrefix(Arc<str>),
    /// Its namespace.
    Namespace,
    /// Everything.
    Everything,
    /// The part of the log below it was not read here.
    Horizon,
    /// The origin's version of the key: the least that is accepted.
    SourceVersion(u64),
}

impl Cover {
    /// Whether it covers whatever is older than it, by a name.
    pub(crate) fn is_of_names(&self) -> bool {
        !matches!(self, Self::Horizon | Self::SourceVersion(_))
    }
}

/// What must not be older.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Floor {
    /// Of what.
    pub cover: Cover,
    /// Below it an entry is gone; of a source version, where it was told.
    pub hard: u64,
    /// Below it an entry is stale.
    pub soft: u64,
}

impl Floor {
    /// Whether it is a source version that what was read then lags behind.
    pub(crate) fn is_above(&self, version: Option<u64>, as_of: u64) -> bool {
        let Cover::SourceVersion(least) = self.cover else {
            return false;
        };
        as_of >= self.hard && version.is_some_and(|version| version < least)
    }
}

/// A change in the log that touches the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Where it is in the log.
    pub sequence: u64,
    /// Time since it was appended.
    pub age: Duration,
    /// What it did to what was there.
    pub mode: Mode,
    /// A Set or CompareAndSet of the key.
    pub write: bool,
    /// By what it touches the key.
    pub touches: Vec<Cover>,
    /// Who asked; without a pod's name when that is not known here any more.
    pub origin: Session,
    /// Why, as the caller said.
    pub reason: Option<String>,
    /// The trace that caused it.
    pub trace_id: Option<u128>,
}

/// A key, and the tags of what is held under it and what that depends on.
pub(crate) struct Names<'a> {
    pub(crate) key: &'a Key,
    pub(crate) tags: Vec<Tag>,
    pub(crate) depends: Vec<Arc<Depends>>,
}
