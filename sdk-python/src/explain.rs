//! Why an entry is served, or is not, as Python objects. Times are seconds.

use crate::pods::session_state;
use pyo3::prelude::*;
use std::time::Duration;
use unstale::{ExplainedRemote as Remote, FloorKind, InvalidateMode};

/// What the answering pod knows of a key, without its value.
#[pyclass(frozen, get_all, module = "unstale._native")]
pub(crate) struct Explanation {
    /// The pod's position when it judged.
    position: String,
    /// "JOINING", "FRESH", "LAPSED", "LEFT" or "OTHER".
    session_state: &'static str,
    /// For how long without a further beat.
    fresh_for: f64,
    /// What the pod's L1 holds.
    l1: Option<Explained>,
    /// What the remote tier holds.
    remote: ExplainedRemote,
    /// The rest of the term of a lease that only this pod knows of.
    local_lease_left: Option<f64>,
    /// Every floor that touches the key, or a tag of what is held.
    floors: Vec<Floor>,
    /// The newest changes that touch them, newest first.
    changes: Vec<Change>,
    /// The pod remembers every invalidation after this sequence.
    invalidations_after: u64,
    /// The pod remembers every write after this sequence.
    writes_after: u64,
    /// Who refers to the key; none when nobody does.
    references: Option<ExplainedReferences>,
    /// What the pod has learned of keys like it, where ttls are learned.
    family: Option<ExplainedFamily>,
}

/// Who refers to a key.
#[pyclass(frozen, get_all, module = "unstale._native")]
#[derive(Clone)]
pub(crate) struct ExplainedReferences {
    /// Owners, in the whole fleet.
    count: u32,
    /// The first of them by name: owner, pod, seconds left, whether the entry is
    /// dropped if it is the last to go.
    owners: Vec<(String, String, f64, bool)>,
    /// Whether the pod's L1 keeps the entry.
    pinned: bool,
}

impl From<unstale::ExplainedReferences> for ExplainedReferences {
    fn from(told: unstale::ExplainedReferences) -> Self {
        let owners = told.owners.into_iter();
        let owners = owners.map(|of| (of.owner, of.pod, seconds(of.left), of.drop_at_zero));
        Self {
            count: told.count,
            owners: owners.collect(),
            pinned: told.pinned,
        }
    }
}

/// What a pod has learned of the keys that one template stands for.
#[pyclass(frozen, get_all, module = "unstale._native")]
#[derive(Clone)]
pub(crate) struct ExplainedFamily {
    /// Empty: the rest.
    template: String,
    configured: bool,
    ttl: f64,
    /// "NOTHING", "MIN", "MAX" or "FAMILY_SHARE".
    bound: &'static str,
    changes_per_second: f64,
    reads_per_second: f64,
    observations: f64,
    stale_share: f64,
}

/// What the remote tier holds under a key.
#[pyclass(frozen, get_all, module = "unstale._native")]
#[derive(Clone)]
pub(crate) struct ExplainedRemote {
    /// "nothing", "entry", "lease", "unreadable", "away" or "other".
    kind: &'static str,
    /// The entry, if it is one.
    entry: Option<Explained>,
    /// The lease, if it is one.
    lease: Option<ExplainedLease>,
    /// What keeps the tier away, if it is.
    away: Option<String>,
}

/// An entry, without its value.
#[pyclass(frozen, get_all, module = "unstale._native")]
#[derive(Clone)]
pub(crate) struct Explained {
    version: String,
    etag: String,
    negative: bool,
    value_bytes: u64,
    as_of: String,
    source_version: Option<u64>,
    tags: Vec<String>,
    depends_on: Vec<(String, u32)>,
    age: f64,
    ttl: f64,
    given_ttl: Option<f64>,
    ttl_by: &'static str,
    jitter: f64,
    stale_for: f64,
    stale_for_by: &'static str,
    valid_for: Option<f64>,
    ttl_left: f64,
    stale_left: f64,
    judgement: &'static str,
    decider: &'static str,
    floor: Option<Floor>,
}

/// Somebody's right to load a key.
#[pyclass(frozen, get_all, module = "unstale._native")]
#[derive(Clone)]
pub(crate) struct ExplainedLease {
    own: bool,
    term: f64,
    left: f64,
    renewals: u32,
    as_of: String,
    stale: Option<Explained>,
    judgement: &'static str,
    decider: &'static str,
    floor: Option<Floor>,
}

/// What an entry must not be older than.
#[pyclass(frozen, get_all, module = "unstale._native")]
#[derive(Clone)]
pub(crate) struct Floor {
    /// "KEY", "TAG", "PREFIX", "NAMESPACE", "EVERYTHING", "HORIZON",
    /// "SOURCE_VERSION" or "OTHER".
    kind: &'static str,
    name: String,
    hard: u64,
    soft: u64,
    source_version: Option<u64>,
}

/// A change in the log that touches the key.
#[pyclass(frozen, get_all, module = "unstale._native")]
#[derive(Clone)]
pub(crate) struct Change {
    sequence: u64,
    age: f64,
    /// "HARD" or "SOFT".
    mode: &'static str,
    write: bool,
    /// By what it touches the key: a kind, and the tag or prefix.
    touches: Vec<(&'static str, String)>,
    /// The name of the pod that asked; empty when it is not known any more.
    pod: String,
    /// Its session.
    session: String,
    reason: String,
    trace_id: String,
}

fn seconds(time: Duration) -> f64 {
    time.as_secs_f64()
}

impl From<unstale::Explanation> for Explanation {
    fn from(told: unstale::Explanation) -> Self {
        Self {
            position: told.position,
            session_state: session_state(told.session_state),
            fresh_for: seconds(told.fresh_for),
            l1: told.l1.map(Explained::from),
            remote: told.remote.into(),
            local_lease_left: told.local_lease_left.map(seconds),
            floors: told.floors.into_iter().map(Floor::from).collect(),
            changes: told.changes.into_iter().map(Change::from).collect(),
            invalidations_after: told.invalidations_after,
            writes_after: told.writes_after,
            references: told.references.map(ExplainedReferences::from),
            family: told.family.map(ExplainedFamily::from),
        }
    }
}

impl From<unstale::ExplainedFamily> for ExplainedFamily {
    fn from(told: unstale::ExplainedFamily) -> Self {
        Self {
            template: told.template,
            configured: told.configured,
            ttl: seconds(told.ttl),
            bound: told.bound.as_str(),
            changes_per_second: told.changes_per_second,
            reads_per_second: told.reads_per_second,
            observations: told.observations,
            stale_share: told.stale_share,
        }
    }
}

impl From<Remote> for ExplainedRemote {
    fn from(told: Remote) -> Self {
        let of = |kind| Self {
            kind,
            entry: None,
            lease: None,
            away: None,
        };
        match told {
            Remote::Nothing => of("nothing"),
            Remote::Entry(entry) => Self {
                entry: Some((*entry).into()),
                ..of("entry")
            },
            Remote::Lease(lease) => Self {
                lease: Some((*lease).into()),
                ..of("lease")
            },
            Remote::Unreadable => of("unreadable"),
            Remote::Away(why) => Self {
                away: Some(why),
                ..of("away")
            },
            _ => of("other"),
        }
    }
}

impl From<unstale::Explained> for Explained {
    fn from(told: unstale::Explained) -> Self {
        Self {
            version: told.version,
            etag: told.etag,
            negative: told.negative,
            value_bytes: told.value_bytes,
            as_of: told.as_of,
            source_version: told.source_version,
            tags: told.tags,
            depends_on: told.depends_on,
            age: seconds(told.age),
            ttl: seconds(told.ttl),
            given_ttl: told.given_ttl.map(seconds),
            ttl_by: told.ttl_by.as_str(),
            jitter: seconds(told.jitter),
            stale_for: seconds(told.stale_for),
            stale_for_by: told.stale_for_by.as_str(),
            valid_for: told.valid_for.map(seconds),
            ttl_left: seconds(told.ttl_left),
            stale_left: seconds(told.stale_left),
            judgement: told.judged.judgement.as_str(),
            decider: told.judged.decider.as_str(),
            floor: told.judged.floor.map(Floor::from),
        }
    }
}

impl From<unstale::ExplainedLease> for ExplainedLease {
    fn from(told: unstale::ExplainedLease) -> Self {
        Self {
            own: told.own,
            term: seconds(told.term),
            left: seconds(told.left),
            renewals: told.renewals,
            as_of: told.as_of,
            stale: told.stale.map(Explained::from),
            judgement: told.judged.judgement.as_str(),
            decider: told.judged.decider.as_str(),
            floor: told.judged.floor.map(Floor::from),
        }
    }
}

impl From<unstale::Floor> for Floor {
    fn from(told: unstale::Floor) -> Self {
        Self {
            kind: told.kind.as_str(),
            name: told.name,
            hard: told.hard,
            soft: told.soft,
            source_version: told.source_version,
        }
    }
}

impl From<unstale::Change> for Change {
    fn from(told: unstale::Change) -> Self {
        let touches = told.touches.into_iter();
        let touches = touches.map(|(kind, name): (FloorKind, String)| (kind.as_str(), name));
        Self {
            sequence: told.sequence,
            age: seconds(told.age),
            mode: match told.mode {
                InvalidateMode::Hard => "HARD",
                InvalidateMode::Soft => "SOFT",
            },
            write: told.write,
            touches: touches.collect(),
            pod: told.origin.pod,
            session: told.origin.id,
            reason: told.reason,
            trace_id: told.trace_id,
        }
    }
}
