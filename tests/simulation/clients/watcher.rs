//! I-19: a Watch is ordered, unique, and complete or explicitly lagged; its
//! filter drops only what it proves irrelevant.

use super::{Client, key, namespace, tag};
use crate::table::Operation;
use crate::timeline::Scope;
use unstale_engine::position::Position;
use unstale_engine::request::{WatchEvent, WatchFilter, Watched};

/// What a watcher may rely on.
struct Cursor {
    /// Complete from here on; none: it lagged, or has not begun.
    at: Option<Position>,
    losses: usize,
    /// The filter names what this key carries; none: no filter.
    holds: Option<usize>,
}

impl Client {
    /// Follows, and now and then goes on with a new Watch where the last ended.
    pub(super) async fn follow(self, holds: Option<usize>) {
        let mut cursor = Cursor {
            at: None,
            losses: 0,
            holds,
        };
        loop {
            self.shared.began(match holds {
                None => Operation::Watch,
                Some(_) => Operation::WatchFiltered,
            });
            let filter = holds.map_or_else(WatchFilter::default, filter);
            let mut watch = self.engine.watch(namespace(), cursor.at, filter);
            for _ in 0..5 + self.shared.draw(60) {
                let Some(watched) = watch.next().await else {
                    return;
                };
                self.judge_watched(&mut cursor, &watched);
            }
            self.shared.delay(1_000, 500_000).await;
        }
    }

    fn judge_watched(&self, cursor: &mut Cursor, watched: &Watched) {
        let position = watched.position;
        let losses = self.shared.with(|w| w.judged.losses.len());
        let is_event = matches!(watched.event, WatchEvent::Invalidation { .. });
        let lagged = matches!(watched.event, WatchEvent::Lagged) || losses != cursor.losses;
        // Starting, a Watch says from where it goes on.
        let resumed = cursor.at.is_none() || position.epoch == Default::default();
        if !lagged && !resumed {
            self.judge_step(cursor, position, is_event);
        }
        (cursor.at, cursor.losses) = (Some(position), losses);
    }

    fn judge_step(&self, cursor: &Cursor, to: Position, is_event: bool) {
        let from = cursor.at.expect("it was checked");
        let (pod, holds) = (self.pod, cursor.holds);
        let on = match is_event {
            true => to.sequence > from.sequence,
            false => to.sequence >= from.sequence,
        };
        let what = if to.epoch != from.epoch {
            Some(format!("went from {from} to {to} without a word"))
        } else if !on {
            Some(format!("went back from {from} to {to}"))
        } else {
            let until = to.sequence + u64::from(!is_event);
            let range = from.sequence + 1..until;
            let missed = self.shared.with(|w| w.missed(to.epoch, range, holds));
            missed.map(|at| format!("from {from} to {to} missed {at}"))
        };
        if let Some(what) = what {
            let what = format!("a Watch of pod {pod} (holds {holds:?}) {what}");
            self.shared.violate("I-19", None, what);
        }
        self.shared.note(Scope::Detail, || {
            format!("pod {pod} watched (holds {holds:?}) to {to}, an event: {is_event}")
        });
    }
}

fn filter(number: usize) -> WatchFilter {
    WatchFilter {
        keys: vec![key(number)],
        prefixes: Vec::new(),
        tags: vec![tag(number)],
    }
}
