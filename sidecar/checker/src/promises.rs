//! What was promised, and from when it binds whom. No judgement is made here.
//!
//! All times are taken so that a rule binds later than it might, never
//! earlier: a record counts as committed when its answer arrived. A loss of
//! acknowledged records breaks assumption A1: from when it is injected until D
//! after the first new epoch was seen nothing is demanded, and after that
//! nothing from before the loss may come back (I-10). `min_position` of a lost
//! life of the log is not used again.

use crate::required::{Began, Reached, Required};
use std::collections::{HashSet, VecDeque};
use std::time::Duration;

/// Positions kept per key.
const POSITIONS: usize = 8;

/// What a rule binds.
#[derive(Clone, Copy, Debug, PartialEq)]
enum By {
    Fleet,
    Late,
    Epoch,
    Pod(usize),
}

#[derive(Default)]
struct Key {
    fleet: u64,
    late: u64,
    epoch: u64,
    pods: Vec<u64>,
    due: Vec<(Duration, By, u64)>,
    positions: VecDeque<(String, u64)>,
}

/// Everything that was promised.
pub(crate) struct Promises {
    keys: Vec<Key>,
    starts: Vec<u64>,
    epochs: HashSet<String>,
    newest: String,
    losses: u64,
    /// The origin when the log lost records, until a new epoch is seen.
    pub(crate) lost: Option<Vec<u64>>,
    /// Promises bind from then.
    from: Duration,
    pub(crate) unexpected: Vec<String>,
}

impl Promises {
    /// Nothing is promised yet.
    pub(crate) fn new(keys: usize, pods: usize) -> Self {
        Self {
            keys: (0..keys).map(|_| Key::new(pods)).collect(),
            starts: vec![0; pods],
            epochs: HashSet::new(),
            newest: String::new(),
            losses: 0,
            lost: None,
            from: Duration::ZERO,
            unexpected: Vec::new(),
        }
    }

    /// A call on `pod` begins.
    pub(crate) fn begin(&self, pod: usize, at: Duration) -> Began {
        Began {
            pod,
            at,
            start: self.starts[pod],
            losses: self.losses,
        }
    }

    /// What a read that began so must satisfy.
    pub(crate) fn required(&mut self, began: &Began, keys: &[usize]) -> Vec<Required> {
        let one = |&key: &usize| self.keys[key].required(began.pod, began.at);
        keys.iter().map(one).collect()
    }

    /// A position that promised something of the key, and what.
    pub(crate) fn position(&self, key: usize) -> Option<(String, Required)> {
        let (position, everywhere) = self.keys[key].positions.back()?.clone();
        let rule = "I-4 min_position was given";
        let required = Required {
            everywhere,
            rule,
            here: 0,
        };
        Some((position, required))
    }

    /// An invalidation was answered OK at `now`.
    pub(crate) fn promised(
        &mut self,
        began: &Began,
        values: &[(usize, u64)],
        reached: Reached,
        (position, bound): (&str, Duration),
        now: Duration,
    ) {
        if !self.binds(began, reached, position) {
            return;
        }
        let same = self.same(began);
        let (from, late) = (self.from.max(now), self.from.max(now + bound));
        for &(key, value) in values {
            let key = &mut self.keys[key];
            if same {
                key.due.push((from, By::Pod(began.pod), value));
            }
            if reached == Reached::Fleet {
                key.due.push((from, By::Fleet, value));
            }
            if reached != Reached::Local {
                key.due.push((late, By::Late, value));
                key.after(position, value);
            }
        }
    }

    /// Whether an answer named this epoch before.
    pub(crate) fn knows(&self, epoch: &str) -> bool {
        self.epochs.contains(epoch)
    }

    /// An answer named this epoch; says what is special about it, if anything.
    pub(crate) fn saw(
        &mut self,
        epoch: &str,
        bound: Duration,
        now: Duration,
    ) -> Option<&'static str> {
        if self.knows(epoch) {
            return None;
        }
        let first = self.epochs.is_empty();
        self.epochs.insert(epoch.to_owned());
        self.newest = epoch.to_owned();
        let Some(origin) = self.lost.take() else {
            let after_loss = self.losses > 0 && now < self.from;
            if first || after_loss {
                return Some(if first { "the first" } else { "once more" });
            }
            self.unexpected.push(epoch.to_owned());
            return Some("although nothing was lost");
        };
        self.from = now + bound;
        for (key, value) in self.keys.iter_mut().zip(origin) {
            key.due.push((self.from, By::Epoch, value));
        }
        Some("after a loss")
    }

    /// The log is about to lose records; the origin is so far.
    pub(crate) fn loses_records(&mut self, origin: Vec<u64>) {
        self.losses += 1;
        self.lost = Some(origin);
        let pods = self.starts.len();
        self.keys.fill_with(|| Key::new(pods));
    }

    /// Whether promises do not bind yet, or no more.
    pub(crate) fn suspended(&self, now: Duration) -> bool {
        self.lost.is_some() || now < self.from
    }

    /// A pod ends or starts: what it promised of itself is over.
    pub(crate) fn restarted(&mut self, pod: usize) {
        self.starts[pod] += 1;
        for key in &mut self.keys {
            key.pods[pod] = 0;
            key.due.retain(|due| due.1 != By::Pod(pod));
        }
    }

    /// Starts of this pod since the first.
    pub(crate) fn starts(&self, pod: usize) -> u64 {
        self.starts[pod]
    }

    /// Whether no start of the pod was seen since the call began.
    pub(crate) fn same(&self, began: &Began) -> bool {
        self.starts[began.pod] == began.start
    }

    /// Whether records were lost since the call began.
    pub(crate) fn lost_since(&self, began: &Began) -> bool {
        self.losses != began.losses
    }

    /// What of this binds an answer that arrives now.
    pub(crate) fn still(&self, began: &Began, required: Required) -> Required {
        if self.lost_since(began) {
            return Required::default();
        }
        Required {
            here: if self.same(began) { required.here } else { 0 },
            ..required
        }
    }

    /// Whether an answer is surely of the life of the log that goes on.
    fn binds(&self, began: &Began, reached: Reached, position: &str) -> bool {
        let epoch = position.split('-').next().unwrap_or_default();
        let newest = epoch == self.newest;
        let crossed = self.losses != began.losses || self.lost.is_some();
        match (crossed, reached) {
            (true, _) => newest && self.lost.is_none(),
            (false, Reached::Local) => true,
            (false, _) => newest || self.losses == 0,
        }
    }
}

impl Key {
    fn new(pods: usize) -> Self {
        Self {
            pods: vec![0; pods],
            ..Self::default()
        }
    }

    fn after(&mut self, position: &str, value: u64) {
        self.positions.push_back((position.to_owned(), value));
        if self.positions.len() > POSITIONS {
            self.positions.pop_front();
        }
    }

    fn required(&mut self, pod: usize, now: Duration) -> Required {
        let due = std::mem::take(&mut self.due);
        for (from, by, value) in due {
            let floor = match by {
                _ if from > now => {
                    self.due.push((from, by, value));
                    continue;
                }
                By::Fleet => &mut self.fleet,
                By::Late => &mut self.late,
                By::Epoch => &mut self.epoch,
                By::Pod(pod) => &mut self.pods[pod],
            };
            *floor = value.max(*floor);
        }
        let all = [
            (self.fleet, "I-1 FLEET had returned OK"),
            (self.late, "I-2 D had passed"),
            (self.epoch, "I-10 of another epoch"),
        ];
        let (everywhere, rule) = all.into_iter().max_by_key(|r| r.0).unwrap_or_default();
        Required {
            everywhere,
            rule,
            here: self.pods[pod],
        }
    }
}
