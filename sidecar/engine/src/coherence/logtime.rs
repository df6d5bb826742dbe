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
    /// By how much log time is ahead of the stamps from this record on, and how
    /// much of it the newest record that tells it says.
    ahead: Duration,
    from: u64,
    told: Duration,
}

/// A record's stamp, and its sequence.
pub(crate) type Stamp = (LogTime, u64);

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
    /// later cannot know, so the log has to be told ([`LogClock::is_untold`]).
    pub(crate) fn learn(&mut self, (stamp, sequence): Stamp, sent: Moment, echoed: Moment) {
        let stamped = self.time_of((stamp, sequence));
        let (least, most) = match self.at {
            LogTime(0) => (self.latest, self.latest),
            _ => (self.at_least(echoed), self.at_most(echoed)),
        };
        let least = least.max(self.latest);
        self.at = stamped.max(least);
        if least.since(stamped) > echoed.since(sent) + WENT_BACK {
            // Rather too late than too early: entries end a little sooner.
            self.at = most.max(least);
            (self.ahead, self.from) = (self.at.since(stamp), sequence);
        }
        (self.stamp, self.sent, self.echoed) = (stamp, sent, echoed);
    }

    /// Log time when a record was stamped, at least.
    fn time_of(&self, (stamp, sequence): Stamp) -> LogTime {
        match sequence >= self.from {
            true => stamp.plus(self.ahead),
            // Perhaps from before the server's clock went back.
            false => stamp,
        }
    }

    /// Takes note of an old record's stamp.
    pub(crate) fn replayed(&mut self, stamp: Stamp) {
        self.latest = self.latest.max(self.time_of(stamp));
    }

    /// Takes note of the stamp of a record that was read. It was made after the
    /// last Beat was sent, so what is known of the latest time stays true.
    pub(crate) fn read(&mut self, stamp: Stamp, now: Moment) {
        self.replayed(stamp);
        let read = self.time_of(stamp);
        if self.at != LogTime(0) && read > self.at_most(now) {
            (self.at, self.echoed) = (read, now);
        }
    }

    /// The newest record that tells it, of this stamp, says by how much log time
    /// is ahead. Who joined after the server's clock went back did not know.
    pub(crate) fn told(&mut self, ahead: Duration, (stamp, sequence): Stamp) {
        self.opened(ahead, sequence);
        // Else the last echo is from before it went back, and the next one tells.
        if self.at != LogTime(0) && self.stamp <= stamp {
            self.at = self.at.max(self.stamp.plus(self.ahead));
        }
    }

    /// The newest such record of the log that is opened.
    pub(crate) fn opened(&mut self, ahead: Duration, sequence: u64) {
        self.told = ahead;
        self.told_before(ahead, sequence);
    }

    /// An older one.
    pub(crate) fn told_before(&mut self, ahead: Duration, sequence: u64) {
        if ahead > self.ahead {
            (self.ahead, self.from) = (ahead, sequence);
        }
    }

    /// By how much log time is ahead of the stamps, as far as is known.
    pub(crate) fn ahead(&self) -> Duration {
        self.ahead
    }

    /// Another log, which was not told anything yet.
    pub(crate) fn untell(&mut self) {
        (self.told, self.from) = (Duration::ZERO, 0);
    }

    /// Whether the log tells of less: the server's clock went back, or whoever
    /// spoke last did not know of it.
    pub(crate) fn is_untold(&self) -> bool {
        self.ahead > self.told + WENT_BACK
    }

    /// Whether who knows this record alone takes log time for earlier than it is.
    pub(crate) fn is_ahead_of(&self, stamp: Stamp, now: Moment) -> bool {
        let known = self.at != LogTime(0);
        known && self.at_least(now).since(self.time_of(stamp)) > WORTH_A_BEAT
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
        clock.learn((time(500_000), 1), at(10), at(11));
        clock.learn((time(413_600), 1), at(20), at(21));
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
            clock.learn((time(9_000 + 4 * beat), 1), now, now);
        }
        let last = Moment::new(Duration::from_millis(4_080 * 999));
        assert_eq!(clock.at_least(last), time(9_000 + 4 * 999));
    }

    #[test]
    fn a_pod_that_joins_learns_the_latest_stamp_of_what_it_replays() {
        let mut clock = LogClock::default();
        clock.replayed((time(900), 1));
        clock.learn((time(300), 1), at(1), at(2));
        assert_eq!(clock.at_least(at(2)), time(900));
    }

    #[test]
    fn a_pod_that_joins_after_the_clock_was_set_back_learns_by_how_much() {
        let (mut old, mut joiner) = (LogClock::default(), LogClock::default());
        old.learn((time(1_000), 1), at(0), at(0));
        assert!(!old.is_untold());
        joiner.learn((time(105), 1), at(5), at(5));
        old.learn((time(110), 1), at(10), at(10));
        assert!(old.is_untold());
        let ahead = old.ahead();
        for clock in [&mut old, &mut joiner] {
            clock.told(ahead, (time(110), 1));
            assert!(clock.at_most(at(10)) >= time(1_010));
            clock.learn((time(150), 1), at(50), at(50));
            assert!(!clock.is_untold());
        }
        assert_eq!(joiner.at_least(at(50)), old.at_least(at(50)));
    }

    /// Simulation, seed 54666.
    #[test]
    fn a_pod_without_echoes_goes_on_from_the_stamps_that_it_reads() {
        let mut clock = LogClock::default();
        clock.learn((time(1_000), 1), at(0), at(0));
        // Set forward by a day, and back before this pod has an echo.
        clock.read((time(87_402), 1), at(3));
        clock.learn((time(1_008), 1), at(8), at(8));
        assert!(clock.at_least(at(8)) >= time(87_407));
        assert!(clock.ahead() >= Duration::from_secs(86_399));
    }

    #[test]
    fn what_the_log_tells_does_not_move_a_clock_that_has_not_met_the_change() {
        let mut clock = LogClock::default();
        clock.learn((time(1_000), 1), at(0), at(0));
        clock.told(Duration::from_secs(900), (time(101), 1));
        assert!(clock.at_most(at(2)) < time(1_003));
        clock.learn((time(103), 1), at(3), at(3));
        assert!(!clock.is_untold());
    }

    /// Simulation, seed 70223.
    #[test]
    fn what_the_log_has_forgotten_is_told_again() {
        let mut clock = LogClock::default();
        clock.told(Duration::from_secs(900), (time(101), 1));
        clock.learn((time(103), 1), at(3), at(3));
        assert!(!clock.is_untold());
        // Somebody who never read of it spoke last.
        clock.told(Duration::ZERO, (time(104), 1));
        assert!(clock.is_untold());
        clock.learn((time(105), 1), at(5), at(5));
        assert!(clock.is_untold());
        assert_eq!(clock.ahead(), Duration::from_secs(900));
    }

    #[test]
    fn records_from_before_the_clock_went_back_count_as_they_are() {
        let mut clock = LogClock::default();
        clock.opened(Duration::from_secs(900), 100);
        clock.learn((time(150), 101), at(0), at(0));
        // A slow reader comes to it only now.
        clock.read((time(1_040), 50), at(1));
        assert!(clock.at_most(at(1)) < time(1_052));
    }
}
