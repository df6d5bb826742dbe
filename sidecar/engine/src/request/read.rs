//! Reads: of one key, of many.

use super::{Etag, Found};
use crate::clock::Moment;
use crate::key::Key;
use crate::position::Position;
use std::time::Duration;

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
