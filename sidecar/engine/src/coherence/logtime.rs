//! Log time on this pod's clock: a bracket around the log server's time,
//! renewed by every echo, so that no two pods' clocks are compared.
//!
//! A server whose clock is set forward takes every pod along at its next echo.
//! One that is set back is noticed by whoever knew the time before, and another
//! epoch begins: what was stored by the old time would live too long
//! (decision 11). Within an epoch log time does not go back.

use super::{Bug, Machine};
use crate::clock::{LogTime, Moment};
use std::time::Duration;

/// A server whose clock goes back by more is noticed, and a new epoch begins.
/// Less is tolerated: leaders of a cluster differ, and a leap second is 1 s.
const TOLERATED: Duration = Duration::from_secs(2);

/// What the last echo taught. A Beat is stamped by the server after `sent` and
/// before `echoed`, so the server's time lies between the two mappings.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LogClock {
    stamped: LogTime,
    sent: Moment,
    echoed: Moment,
    /// The latest stamp of any record.
    latest: LogTime,
}

impl LogClock {
    /// Whether an own echo has told the time of this epoch.
    pub(crate) fn is_known(&self) -> bool {
        self.stamped != LogTime::default()
    }

    /// Whether the server's clock was set back before it stamped an own record
    /// that was sent then: further than clock rates explain, and
    /// [`TOLERATED`]. Of one that was under way when the last was read, only
    /// the order of stamps can tell ([`Self::is_below`]).
    pub(crate) fn went_back(&self, stamped: LogTime, sent: Moment) -> bool {
        let later = self.is_known() && sent >= self.echoed;
        later && stamped.plus(TOLERATED) < self.at_least(sent)
    }

    /// Whether the server's clock was set back between a record and the latest
    /// of those before it in the log.
    pub(crate) fn is_below(&self, stamped: LogTime) -> bool {
        stamped.plus(TOLERATED) < self.latest
    }

    /// Learns from the echo of a Beat.
    ///
    /// Log time does not go back: a server whose clock does (a new leader, a
    /// clock that was set) would else make everything live longer.
    pub(crate) fn learn(&mut self, stamped: LogTime, sent: Moment, echoed: Moment) {
        let least = match self.stamped {
            LogTime(0) => self.latest,
            _ => self.latest.max(self.at_least(echoed)),
        };
        *self = Self {
            stamped: stamped.max(least),
            sent,
            echoed,
            latest: self.latest,
        };
    }

    /// Takes note of a record's stamp.
    pub(crate) fn observe(&mut self, stamped: LogTime) {
        self.latest = self.latest.max(stamped);
    }

    /// At most the server's time now, drift included; for stamping what is
    /// stored.
    pub(crate) fn at_least(&self, now: Moment) -> LogTime {
        let since = now.since(self.echoed);
        self.stamped.plus(since - drift(since))
    }

    /// At least the server's time now, drift included; for judging expiry.
    pub(crate) fn at_most(&self, now: Moment) -> LogTime {
        let since = now.since(self.sent);
        self.stamped.plus(since + drift(since))
    }
}

impl Machine {
    /// Every record's stamp, before the record is processed.
    pub(super) fn look_at_stamp(&mut self, stamped: LogTime) {
        if self.clock.is_below(stamped) {
            self.set_back();
        }
        self.clock.observe(stamped);
    }

    /// The stamp of an own record that was sent then and is read now.
    pub(super) fn learn_time(&mut self, stamped: LogTime, sent: Moment, now: Moment) {
        if self.clock.went_back(stamped, sent) {
            self.set_back();
        }
        self.clock.learn(stamped, sent, now);
    }

    /// The stamp of a record from before the own Join: what was read since must
    /// not be stamped before it.
    pub(super) fn look_at_old_stamp(&mut self, stamped: LogTime) {
        if self.anchor_time().plus(TOLERATED) < stamped {
            self.set_back();
        }
        self.clock.observe(stamped);
    }

    /// What was stored by the later time is not to be believed.
    fn set_back(&mut self) {
        if self.set_back || self.has_bug(Bug::SetBackIgnored) {
            return;
        }
        self.set_back = true;
        self.counts.set_backs += 1;
        self.end_set_back_epoch();
    }

    /// Declares another epoch if the clock went back in this one and nobody has
    /// answered yet.
    pub(super) fn end_set_back_epoch(&mut self) {
        if self.set_back && self.epoch_append.is_none() {
            self.declare_epoch(self.epoch_told);
        }
    }
}

/// Clock rates differ by at most 2 % (assumption A2).
fn drift(over: Duration) -> Duration {
    over / 50
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::new(Duration::from_secs(seconds))
    }

    fn time(seconds: u64) -> LogTime {
        LogTime(seconds * 1_000_000)
    }

    #[test]
    fn a_server_whose_clock_goes_back_a_day_does_not_turn_log_time_back() {
        let mut clock = LogClock::default();
        clock.learn(time(500_000), at(10), at(11));
        clock.learn(time(413_600), at(20), at(21));
        assert_eq!(clock.at_least(at(21)), LogTime(500_009_800_000));
        assert!(clock.at_most(at(21)) >= clock.at_least(at(21)));
    }

    #[test]
    fn a_clock_that_was_set_back_is_noticed_by_an_echo_and_by_order() {
        let mut clock = LogClock::default();
        assert!(!clock.went_back(time(1), at(10)), "nothing is known yet");
        clock.learn(time(500), at(10), at(11));
        clock.observe(time(500));
        // 10 s later the server's clock shows 509.8 s at least.
        assert!(!clock.went_back(time(508), at(21)));
        assert!(clock.went_back(time(507), at(21)));
        assert!(!clock.is_below(time(498)));
        assert!(clock.is_below(time(497)));
    }

    #[test]
    fn a_fast_clock_does_not_carry_log_time_ahead_of_the_servers() {
        let mut clock = LogClock::default();
        for beat in 0..1_000 {
            // 4 s of the server's are 4.08 s here.
            let now = Moment::new(Duration::from_millis(4_080 * beat));
            clock.learn(time(9_000 + 4 * beat), now, now);
        }
        let last = Moment::new(Duration::from_millis(4_080 * 999));
        assert_eq!(clock.at_least(last), time(9_000 + 4 * 999));
    }

    #[test]
    fn a_pod_that_joins_learns_the_latest_stamp_of_what_it_replays() {
        let mut clock = LogClock::default();
        clock.observe(time(900));
        clock.learn(time(300), at(1), at(2));
        assert_eq!(clock.at_least(at(2)), time(900));
    }
}
