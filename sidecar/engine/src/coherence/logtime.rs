//! Log time on this pod's clock: a bracket around the log server's time,
//! renewed by every echo, so that no two pods' clocks are compared.

use crate::clock::{LogTime, Moment};
use std::time::Duration;

/// What the last echo taught. A Beat is stamped by the server after `sent` and
/// before `echoed`, so log time lies between the two mappings.
///
/// Log time is what the server stamps, and `ahead`, which the log tells: a
/// server whose clock went back does not take log time with it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LogClock {
    /// Log time of the last echo, and what it was stamped with.
    at: LogTime,
    stamp: LogTime,
    sent: Moment,
    echoed: Moment,
    /// The latest log time of any record.
    latest: LogTime,
    /// By how much log time is ahead of the stamps, as the log tells.
    ahead: Duration,
    /// By how much it is, if the log does not tell yet.
    untold: Option<Duration>,
}

/// Stamps are behind by more than clocks are coarse: the server's went back.
pub(super) const WENT_BACK: Duration = Duration::from_millis(2);
/// Who joins is told out of turn if it would be wrong by more. Less could be
/// the record's way here.
const WORTH_A_BEAT: Duration = Duration::from_secs(1);

impl LogClock {
    /// Learns from the echo of a Beat.
    ///
    /// Log time does not go back: a server whose clock does (a new leader, a
    /// clock that was set) would else make everything live longer. Who joins
    /// later cannot know, so the log has to be told ([`LogClock::untold`]).
    pub(crate) fn learn(&mut self, stamp: LogTime, sent: Moment, echoed: Moment) {
        let stamped = stamp.plus(self.ahead);
        let (least, most) = match self.at {
            LogTime(0) => (self.latest, self.latest),
            _ => (self.at_least(echoed), self.at_most(echoed)),
        };
        let least = least.max(self.latest);
        self.untold = None;
        self.at = stamped.max(least);
        if least.since(stamped) > echoed.since(sent) + WENT_BACK {
            // Rather too late than too early: entries end a little sooner.
            self.at = most.max(least);
            self.untold = Some(self.at.since(stamp));
        }
        (self.stamp, self.sent, self.echoed) = (stamp, sent, echoed);
    }

    /// Takes note of an old record's stamp.
    pub(crate) fn replayed(&mut self, stamp: LogTime) {
        self.latest = self.latest.max(stamp.plus(self.ahead));
    }

    /// Takes note of the stamp of a record that was read. It was made after the
    /// last Beat was sent, so what is known of the latest time stays true.
    pub(crate) fn read(&mut self, stamp: LogTime, now: Moment) {
        self.replayed(stamp);
        let read = stamp.plus(self.ahead);
        if self.at != LogTime(0) && read > self.at_most(now) {
            (self.at, self.echoed) = (read, now);
        }
    }

    /// A record of this stamp tells by how much log time is ahead. Who joined
    /// after the server's clock went back did not know.
    pub(crate) fn told(&mut self, ahead: Duration, stamp: LogTime) {
        self.ahead = self.ahead.max(ahead);
        // Else the last echo is from before it went back, and the next one tells.
        if self.at != LogTime(0) && self.stamp <= stamp {
            self.at = self.at.max(self.stamp.plus(self.ahead));
        }
    }

    /// The log that is opened tells by how much log time is ahead.
    pub(crate) fn opened(&mut self, ahead: Duration) {
        self.ahead = self.ahead.max(ahead);
    }

    /// By how much log time is ahead of the stamps, as far as is known.
    pub(crate) fn ahead(&self) -> Duration {
        self.untold.unwrap_or(self.ahead)
    }

    /// Another log, which was not told anything yet.
    pub(crate) fn untell(&mut self) {
        self.ahead = Duration::ZERO;
    }

    /// Whether the log does not tell yet that the server's clock went back.
    pub(crate) fn is_untold(&self) -> bool {
        self.untold.is_some()
    }

    /// Whether who knows this record alone takes log time for earlier than it is.
    pub(crate) fn is_ahead_of(&self, stamp: LogTime, now: Moment) -> bool {
        let known = self.at != LogTime(0);
        known && self.at_least(now).since(stamp.plus(self.ahead)) > WORTH_A_BEAT
    }

    /// At most the server's time now, drift included; for stamping what is
    /// stored.
    pub(crate) fn at_least(&self, now: Moment) -> LogTime {
        let since = now.since(self.echoed);
        self.at.plus(since - drift(since))
    }

    /// At least the server's time now, drift included; for judging expiry.
    pub(crate) fn at_most(&self, now: Moment) -> LogTime {
        let since = now.since(self.sent);
        self.at.plus(since + drift(since))
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
        assert!(clock.at_least(at(21)) >= LogTime(500_009_800_000));
        assert!(clock.at_least(at(21)) < time(500_012));
        assert!(clock.at_most(at(21)) >= clock.at_least(at(21)));
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
        clock.replayed(time(900));
        clock.learn(time(300), at(1), at(2));
        assert_eq!(clock.at_least(at(2)), time(900));
    }

    #[test]
    fn a_pod_that_joins_after_the_clock_was_set_back_learns_by_how_much() {
        let (mut old, mut joiner) = (LogClock::default(), LogClock::default());
        old.learn(time(1_000), at(0), at(0));
        assert!(!old.is_untold());
        joiner.learn(time(105), at(5), at(5));
        old.learn(time(110), at(10), at(10));
        assert!(old.is_untold());
        let ahead = old.ahead();
        for clock in [&mut old, &mut joiner] {
            clock.told(ahead, time(110));
            assert!(clock.at_most(at(10)) >= time(1_010));
            clock.learn(time(150), at(50), at(50));
            assert!(!clock.is_untold());
        }
        assert_eq!(joiner.at_least(at(50)), old.at_least(at(50)));
    }

    /// Simulation, seed 54666.
    #[test]
    fn a_pod_without_echoes_goes_on_from_the_stamps_that_it_reads() {
        let mut clock = LogClock::default();
        clock.learn(time(1_000), at(0), at(0));
        // Set forward by a day, and back before this pod has an echo.
        clock.read(time(87_402), at(3));
        clock.learn(time(1_008), at(8), at(8));
        assert!(clock.at_least(at(8)) >= time(87_407));
        assert!(clock.ahead() >= Duration::from_secs(86_399));
    }

    #[test]
    fn what_the_log_tells_does_not_move_a_clock_that_has_not_met_the_change() {
        let mut clock = LogClock::default();
        clock.learn(time(1_000), at(0), at(0));
        clock.told(Duration::from_secs(900), time(101));
        assert!(clock.at_most(at(2)) < time(1_003));
        clock.learn(time(103), at(3), at(3));
        assert!(!clock.is_untold());
    }
}
