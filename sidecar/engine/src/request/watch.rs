//! Watch: which invalidations are wanted, and what is told of them.

use super::Mode;
use crate::key::{Key, Prefix, Tag};
use crate::position::Position;

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
