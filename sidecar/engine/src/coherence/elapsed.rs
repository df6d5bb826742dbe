//! How much time passed at least while records were stamped.
//!
//! A server whose clock is set forward leaves one large gap between two stamps,
//! that looks like time. So every gap counts for so much at most, and a
//! few sets cannot make a young log old. It does not know of time in which
//! nothing was appended, beyond that.

use crate::clock::LogTime;
use std::time::Duration;

/// Sets of the clock, forward, that are allowed for.
const SETS: u32 = 4;

/// The sum of the gaps between replayed records, newest first.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Elapsed {
    oldest: Option<LogTime>,
    /// At most [`Elapsed::short`] of each gap.
    often: Duration,
    /// At most [`Elapsed::long`] of each gap.
    seldom: Duration,
    short: Duration,
    long: Duration,
}

impl Elapsed {
    /// From the newest record backwards. `bound` is D; every session says its
    /// Join again within `again`.
    pub(super) fn before(newest: LogTime, bound: Duration, again: Duration) -> Self {
        Self {
            oldest: Some(newest),
            short: bound / 16,
            long: again,
            ..Self::default()
        }
    }

    /// The next record: an older one.
    pub(super) fn meet(&mut self, stamped: LogTime) {
        let gap = self.oldest.map_or(Duration::ZERO, |at| at.since(stamped));
        self.often += gap.min(self.short);
        self.seldom += gap.min(self.long);
        self.oldest = Some(stamped);
    }

    /// So much passed at least, be the clock set forward [`SETS`] times or less.
    pub(super) fn at_least(&self) -> Duration {
        self.often.saturating_sub(self.short * SETS)
    }

    /// Planted bugs only: a stamp less another.
    pub(super) fn by_stamps(&self, newest: LogTime) -> Duration {
        self.oldest.map_or(Duration::ZERO, |at| newest.since(at))
    }

    /// Whether every live session has said its Join meanwhile, be the clock set
    /// forward once or not.
    pub(super) fn holds_every_join(&self) -> bool {
        self.seldom >= self.long * 5 / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const D: Duration = Duration::from_secs(16);
    const AGAIN: Duration = Duration::from_secs(900);

    fn spanning(stamps: impl IntoIterator<Item = u64>) -> Elapsed {
        let seconds = |s: u64| LogTime(s * 1_000_000);
        let mut elapsed = Elapsed::before(seconds(100_000), D, AGAIN);
        stamps.into_iter().for_each(|s| elapsed.meet(seconds(s)));
        elapsed
    }

    #[test]
    fn a_clock_that_was_set_forward_does_not_make_a_young_log_old() {
        assert_eq!(spanning([1]).at_least(), Duration::ZERO);
        assert_eq!(spanning([90_000, 50_000, 1]).at_least(), Duration::ZERO);
        assert!(!spanning([1]).holds_every_join());
    }

    #[test]
    fn records_all_along_do() {
        let busy = spanning((99_940..100_000).rev());
        assert_eq!(busy.at_least(), Duration::from_secs(56));
        let quiet = spanning([99_100, 98_200, 97_300]);
        assert!(quiet.holds_every_join());
    }

    #[test]
    fn a_clock_that_was_set_back_does_not_count() {
        assert_eq!(spanning([200_000]).at_least(), Duration::ZERO);
    }
}
