//! What setting the clock of the log's server excuses of expiry (I-12), and
//! that the pods notice when it is set back.
//!
//! Set forward: until D later, when every session has met the new time. Set
//! back: what was stored by the old time ends with the epoch, D after the next
//! NewEpoch; a set that clock rates and slow answers may hide lets everything
//! live longer by as much.

use crate::world::D_US;

/// Below this a pod need not notice: what is tolerated, and what slow answers
/// hide (µs).
const HIDDEN: u64 = 8_000_000;

struct Set {
    at: u64,
    by: i64,
    /// Pods (and their starts) that knew the time before.
    witnesses: Vec<(usize, u64)>,
    /// When the next epoch began, and its sequence.
    ended: Option<(u64, u64)>,
}

impl Set {
    fn must_be_noticed(&self) -> bool {
        self.by < 0 && self.by.unsigned_abs() >= HIDDEN
    }

    /// How much longer an entry may live, for a read that began at `asked`.
    fn excuses(&self, asked: u64) -> u64 {
        let recent = |at: u64| asked <= at + D_US;
        let back = self.by < 0;
        let excused = match self.ended {
            _ if recent(self.at) => true,
            Some((at, _)) if self.must_be_noticed() => recent(at),
            _ => back,
        };
        if excused { self.by.unsigned_abs() } else { 0 }
    }
}

/// The times the clock was set.
#[derive(Default)]
pub(crate) struct ServerClock {
    sets: Vec<Set>,
}

impl ServerClock {
    /// Pods that are fresh know the time, unless it was set a moment ago.
    pub(crate) fn was_set(&mut self, at: u64, by: i64, fresh: Vec<(usize, u64)>) {
        let newest = self.sets.last().map(|set| set.at);
        let witnesses = match newest.is_some_and(|newest| at < newest + D_US) {
            true => Vec::new(),
            false => fresh,
        };
        self.sets.push(Set {
            at,
            by,
            witnesses,
            ended: None,
        });
    }

    pub(super) fn new_epoch(&mut self, sequence: u64, at: u64) {
        for set in &mut self.sets {
            set.ended.get_or_insert((at, sequence));
        }
    }

    pub(super) fn lost_tail(&mut self, last: u64) {
        for set in &mut self.sets {
            set.ended = set.ended.filter(|(_, sequence)| *sequence <= last);
        }
    }

    /// Whether it was set back after `at`: a cause for an epoch.
    pub(super) fn went_back_since(&self, at: u64) -> bool {
        self.sets.iter().any(|set| set.by < 0 && set.at >= at)
    }

    /// Whether what had ended `by` µs before may still be served.
    pub(crate) fn excuses(&self, asked: u64, by: u64) -> bool {
        let longer = self.sets.iter().map(|set| set.excuses(asked));
        by <= longer.fold(0, u64::saturating_add)
    }

    /// The last set, if a pod which `lives` had to notice it and no epoch
    /// followed. One that was undone may have met nobody.
    pub(crate) fn unnoticed(&self, lives: impl Fn(&(usize, u64)) -> bool) -> Option<(u64, i64)> {
        let set = self.sets.last()?;
        let unnoticed = set.must_be_noticed() && set.ended.is_none();
        (unnoticed && set.witnesses.iter().any(lives)).then_some((set.at, set.by))
    }
}
