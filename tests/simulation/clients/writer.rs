//! Changes the origin, then invalidates the key, its tag, a prefix of it or
//! the whole namespace, hard or soft; sometimes twice at once.

use super::{Client, key, names, namespace, tag};
use crate::table::Operation;
use crate::timeline::Scope;
use crate::world::{KEYS, LAGGING};
use unstale_engine::request::{Ack, Invalidate, Mode};

/// By what a key is covered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Key,
    Tag,
    HashedPrefix,
    ExactPrefix,
    All,
}

/// One invalidation, before it is asked for.
#[derive(Clone, Copy, Debug)]
struct Change {
    number: usize,
    value: u64,
    by: By,
    mode: Mode,
    ack: Ack,
}

impl Client {
    pub(super) async fn write(self) {
        loop {
            self.shared.delay(10_000, 900_000).await;
            if self.shared.with(|w| w.quiet) {
                return;
            }
            if self.shared.chance(25) {
                let other = self.clone();
                let task = async move { other.invalidate().await };
                self.shared.handle.spawn(self.pod, task);
            }
            self.invalidate().await;
        }
    }

    async fn invalidate(&self) {
        let asked = self.shared.handle.now();
        let change = self.change(asked);
        self.count_change(change);
        self.shared.with(|w| match change.by {
            // Its pending cover is there at once.
            By::All | By::ExactPrefix => w.grants.all_raised(asked),
            _ => w.grants.raised(change.number, asked),
        });
        let outcome = self.engine.invalidate(self.request(change)).await;
        let pod = self.pod;
        self.shared.note(Scope::Key(change.number), || {
            let at = outcome.as_ref().map(|done| done.position);
            format!("pod {pod} invalidated {change:?}: {at:?}")
        });
        let Ok(done) = outcome else {
            return;
        };
        let now = self.shared.handle.now();
        let is_done = self.shared.with(|w| {
            if let Some(position) = done.position {
                w.judged.reached(pod, self.start, position);
            }
            let what = (change.number, change.value, change.mode == Mode::Soft);
            let how = (change.ack, done.position);
            w.judged.answered(pod, what, how, (asked, now))
        });
        if !is_done {
            let what = format!("pod {pod} answered OK, and {change:?} is not in the log");
            self.shared.violate("I-13", Some(change.number), what);
        }
    }

    fn change(&self, now: u64) -> Change {
        let number = self.shared.draw(KEYS);
        let ways = [
            By::Key,
            By::Key,
            By::Tag,
            By::Tag,
            By::HashedPrefix,
            By::ExactPrefix,
            By::All,
        ];
        let by = match number {
            // Only a record that names the key tells its source version.
            LAGGING => By::Key,
            _ => ways[self.shared.draw(ways.len())],
        };
        let soft = self.shared.chance(25);
        let acks = [Ack::Local, Ack::Log, Ack::Fleet, Ack::Fleet];
        Change {
            number,
            by,
            mode: if soft { Mode::Soft } else { Mode::Hard },
            ack: acks[self.shared.draw(acks.len())],
            value: self.shared.with(|w| {
                w.judged.operations += 1;
                w.origin.change(number, now)
            }),
        }
    }

    fn count_change(&self, change: Change) {
        self.shared.began(match change.ack {
            Ack::Local => Operation::InvalidateLocal,
            Ack::Log => Operation::InvalidateLog,
            Ack::Fleet => Operation::InvalidateFleet,
        });
        let others = [
            (change.mode == Mode::Soft, Operation::InvalidateSoft),
            (change.by == By::HashedPrefix, Operation::InvalidatePrefix),
            (change.by == By::ExactPrefix, Operation::InvalidateText),
            (change.by == By::All, Operation::InvalidateAll),
            (change.number == LAGGING, Operation::InvalidateVersion),
        ];
        let named = others.into_iter().filter(|(named, _)| *named);
        named.for_each(|(_, operation)| self.shared.began(operation));
    }

    fn request(&self, change: Change) -> Invalidate {
        let Change { number, by, .. } = change;
        let soft = if change.mode == Mode::Soft {
            "soft"
        } else {
            "hard"
        };
        Invalidate {
            namespace: namespace(),
            keys: some(by == By::Key, || key(number)),
            tags: some(by == By::Tag, || tag(number)),
            prefixes: some(matches!(by, By::HashedPrefix | By::ExactPrefix), || {
                names::prefix(number, by == By::HashedPrefix)
            }),
            all: by == By::All,
            mode: change.mode,
            min_source_version: (number == LAGGING).then_some(change.value),
            ack: change.ack,
            id: None,
            reason: Some(format!("{number}:{}:{soft}", change.value)),
            trace_id: None,
            deadline: self.deadline(8_000),
        }
    }
}

fn some<T>(wanted: bool, name: impl FnOnce() -> T) -> Vec<T> {
    wanted.then(name).into_iter().collect()
}
