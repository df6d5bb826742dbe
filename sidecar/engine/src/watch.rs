//! Watch: the invalidations of a namespace, in log order, from a bounded ring.
//!
//! Guarantees: ordered and complete, or explicitly lagged. A watcher that is
//! slower than the ring is told to drop what it holds.

use crate::coherence::Progress;
use crate::coherence::record::Invalidation;
use crate::engine::{Engine, lock};
use crate::key::Namespace;
use crate::position::{Epoch, Position};
use crate::request::{WatchEvent, Watched};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::watch;

/// Invalidations kept for watchers.
const RING: usize = 8192;
/// A quiet stream says that it is alive this often.
const HEARTBEAT: Duration = Duration::from_secs(5);

struct Kept {
    sequence: u64,
    what: Arc<Invalidation>,
    reason: Option<String>,
}

/// The newest invalidations of the current epoch.
#[derive(Default)]
pub(crate) struct Ring {
    epoch: Option<Epoch>,
    /// Everything after this sequence is here.
    complete_after: u64,
    newest: u64,
    kept: VecDeque<Kept>,
}

impl Ring {
    pub(crate) fn reset(&mut self) {
        *self = Self::default();
    }

    pub(crate) fn progress(&mut self, progress: Progress) {
        if self.epoch != progress.epoch {
            *self = Self {
                epoch: progress.epoch,
                complete_after: progress.processed,
                ..Self::default()
            };
        }
        self.newest = self.newest.max(progress.processed);
    }

    pub(crate) fn push(&mut self, sequence: u64, what: Arc<Invalidation>, reason: Option<String>) {
        if self.epoch.is_none() || sequence <= self.newest {
            return; // replayed: from before anybody could watch
        }
        if self.kept.len() >= RING
            && let Some(oldest) = self.kept.pop_front()
        {
            self.complete_after = oldest.sequence;
        }
        self.kept.push_back(Kept {
            sequence,
            what,
            reason,
        });
    }

    fn position(&self) -> Position {
        Position {
            epoch: self.epoch.unwrap_or_default(),
            sequence: self.newest,
        }
    }

    fn covers(&self, position: Position) -> bool {
        self.epoch == Some(position.epoch) && position.sequence >= self.complete_after
    }
}

/// A running Watch.
pub struct Watch {
    engine: Arc<Engine>,
    namespace: Namespace,
    progress: watch::Receiver<Progress>,
    cursor: Position,
    started: bool,
}

impl Watch {
    pub(crate) fn new(engine: Arc<Engine>, namespace: Namespace, from: Option<Position>) -> Self {
        let progress = engine.progress.subscribe();
        let cursor = from.unwrap_or_else(|| lock(&engine.ring).position());
        Self {
            engine,
            namespace,
            progress,
            cursor,
            started: false,
        }
    }

    /// The next event; heartbeats every 5 s. Ends with `None` when the sidecar
    /// drains. Cancel safe.
    pub async fn next(&mut self) -> Option<Watched> {
        if !std::mem::replace(&mut self.started, true) {
            return Some(self.at(WatchEvent::Started));
        }
        let heartbeat = self.engine.now().plus(HEARTBEAT);
        loop {
            if self.engine.closing.load(Ordering::Acquire) {
                return None;
            }
            self.progress.mark_unchanged();
            if let Some(event) = self.scan() {
                return Some(self.at(event));
            }
            tokio::select! {
                changed = self.progress.changed() => changed.ok()?,
                () = self.engine.ports.clock.sleep_until(heartbeat) => return Some(self.at(WatchEvent::Heartbeat)),
            }
        }
    }

    fn at(&self, event: WatchEvent) -> Watched {
        Watched {
            position: self.cursor,
            event,
        }
    }

    /// Moves the cursor to the next event, or to the newest position.
    fn scan(&mut self) -> Option<WatchEvent> {
        let ring = lock(&self.engine.ring);
        ring.epoch?;
        if !ring.covers(self.cursor) {
            self.cursor = ring.position();
            return Some(WatchEvent::Lagged);
        }
        let first = ring
            .kept
            .partition_point(|kept| kept.sequence <= self.cursor.sequence);
        let mine = |kept: &&Kept| kept.what.namespace == self.namespace.as_str();
        if let Some(kept) = ring.kept.iter().skip(first).find(mine) {
            self.cursor.sequence = kept.sequence;
            return Some(event(kept));
        }
        self.cursor.sequence = self.cursor.sequence.max(ring.newest);
        None
    }
}

fn event(kept: &Kept) -> WatchEvent {
    let what = &kept.what;
    WatchEvent::Invalidation {
        keys: what.keys.clone(),
        tags: what.tags.clone(),
        all: what.all || !what.prefixes.is_empty(),
        reason: kept.reason.clone(),
    }
}
