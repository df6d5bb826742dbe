//! Watch: the invalidations of a namespace, in log order, from a bounded ring.
//!
//! Guarantees: ordered and complete, or explicitly lagged. A watcher that is
//! slower than the ring is told to drop what it holds. `filter.rs` leaves out
//! what is proven irrelevant.

mod filter;

use crate::clock::Moment;
use crate::coherence::Progress;
use crate::coherence::record::Invalidation;
use crate::engine::{Engine, lock};
use crate::key::Namespace;
use crate::limits::{WATCH_RING, WATCH_RING_BYTES};
use crate::position::{Epoch, Position};
use crate::read;
use crate::request::{Mode, WatchEvent, WatchFilter, Watched};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// A quiet stream says that it is alive this often.
const HEARTBEAT: Duration = Duration::from_secs(5);

struct Kept {
    sequence: u64,
    what: Arc<Invalidation>,
    reason: Option<String>,
}

impl Kept {
    /// About what it takes in memory.
    fn bytes(&self) -> usize {
        let names = [&self.what.keys, &self.what.tags, &self.what.prefixes];
        let names = names.into_iter().flatten();
        let names: usize = names.map(|name| name.len() + size_of::<String>()).sum();
        size_of::<Self>() + names + self.reason.as_ref().map_or(0, String::len)
    }
}

/// The newest invalidations of the current epoch.
#[derive(Default)]
pub(crate) struct Ring {
    epoch: Option<Epoch>,
    /// Everything after this sequence is here.
    complete_after: u64,
    newest: u64,
    kept: VecDeque<Kept>,
    bytes: usize,
}

impl Ring {
    pub(crate) fn reset(&mut self) {
        *self = Self::default();
    }

    /// Reading began anew, or lost something: complete after `sequence` only.
    pub(crate) fn begin(&mut self, progress: Progress, sequence: u64) {
        if self.epoch != progress.epoch {
            self.reset();
            self.epoch = progress.epoch;
        }
        self.complete_after = self.complete_after.max(sequence);
        self.newest = self.newest.max(sequence);
    }

    pub(crate) fn progress(&mut self, progress: Progress) {
        if self.epoch == progress.epoch {
            self.newest = self.newest.max(progress.processed);
        }
    }

    pub(crate) fn push(&mut self, sequence: u64, what: Arc<Invalidation>, reason: Option<String>) {
        if self.epoch.is_none() || sequence <= self.newest {
            return; // replayed: from before anybody could watch
        }
        let kept = Kept {
            sequence,
            what,
            reason,
        };
        self.bytes += kept.bytes();
        self.kept.push_back(kept);
        while self.kept.len() > WATCH_RING || self.bytes > WATCH_RING_BYTES {
            let Some(oldest) = self.kept.pop_front() else {
                return;
            };
            self.bytes -= oldest.bytes();
            self.complete_after = self.complete_after.max(oldest.sequence);
        }
    }

    fn position(&self) -> Position {
        Position {
            epoch: self.epoch.unwrap_or_default(),
            sequence: self.newest,
        }
    }

    fn covers(&self, position: Position) -> bool {
        let known = self.complete_after..=self.newest;
        self.epoch == Some(position.epoch) && known.contains(&position.sequence)
    }
}

/// A running Watch.
pub struct Watch {
    engine: Arc<Engine>,
    namespace: Namespace,
    filter: WatchFilter,
    progress: watch::Receiver<Progress>,
    cursor: Position,
    started: bool,
}

impl Watch {
    pub(crate) fn new(
        engine: Arc<Engine>,
        namespace: Namespace,
        from: Option<Position>,
        filter: WatchFilter,
    ) -> Self {
        let progress = engine.progress.subscribe();
        let cursor = from.unwrap_or_else(|| lock(&engine.ring).position());
        Self {
            engine,
            namespace,
            filter,
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
        let mut heartbeat = self.engine.now().plus(HEARTBEAT);
        self.catch_up(heartbeat).await;
        loop {
            if self.engine.is_closing() {
                return None;
            }
            self.progress.mark_unchanged();
            if let Some(event) = self.scan() {
                return Some(self.at(event));
            }
            tokio::select! {
                biased;
                changed = self.progress.changed() => changed.ok()?,
                () = self.engine.closed() => return None,
                () = self.engine.ports.clock.sleep_until(heartbeat) => {
                    // Silence is the truth while this pod may have missed something.
                    if self.engine.ask(|machine, now| machine.session_fresh(now)) {
                        return Some(self.at(WatchEvent::Heartbeat));
                    }
                    heartbeat = self.engine.now().plus(HEARTBEAT);
                }
            }
        }
    }

    /// Another pod may have processed more when it gave the position out.
    async fn catch_up(&self, deadline: Moment) {
        let newest = lock(&self.engine.ring).position();
        if self.cursor.epoch == newest.epoch && self.cursor.sequence > newest.sequence {
            // What a barrier does not reach is beyond the log: that is a lag.
            let _ = read::reach(&self.engine, self.cursor, deadline).await;
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
        let bugs = self.engine.options.bugs;
        let mine = |kept: &&Kept| {
            kept.what.namespace == self.namespace.as_str()
                && filter::is_relevant(&self.filter, &kept.what, bugs)
        };
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
        prefixes: what.prefixes.clone(),
        all: what.all,
        mode: match what.soft {
            true => Mode::Soft,
            false => Mode::Hard,
        },
        reason: kept.reason.clone(),
    }
}
