//! What the engine is doing, who else is there, and counts.

use crate::coherence::record::SessionId;
use crate::position::Position;
use std::time::Duration;

/// A session of the fleet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// The name the pod gave itself.
    pub pod: String,
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
    /// References that are followed.
    pub references: u64,
    /// What keeps them away.
    pub references_error: Option<String>,
    /// Entries that L1 keeps for them; they are among its entries.
    pub pinned_entries: u64,
    /// Weighed bytes of those.
    pub pinned_bytes: u64,
    /// Bound of them.
    pub pinned_max_bytes: u64,
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
    /// Those of them for an entry that was still fresh.
    pub early_refreshes: u64,
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
    /// Entries dropped here because nobody referred to their keys any more.
    pub reference_drops: u64,
    /// Entries that were not dropped although nobody referred to their keys any
    /// more: too many waited for it.
    pub reference_drops_forgotten: u64,
    /// Sets with ack LOCAL whose value was not stored: refused, or undecided.
    pub locals_dropped: u64,
    /// Keys whose content was another one when they were stored again, of those
    /// that are observed for their ttl.
    pub seen_changed: u64,
    /// Those whose content was the same.
    pub seen_unchanged: u64,
    /// Namespaces of which what was learned before was read.
    pub learned_read: u64,
    /// Times that what was learned of a namespace was kept.
    pub learned_kept: u64,
    /// Records of what was learned that could not be read.
    pub learned_unreadable: u64,
}
