//! Invalidations.

use super::{Ack, Session};
use crate::clock::Moment;
use crate::key::{Key, Namespace, Prefix, Tag};
use crate::position::Position;

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
