//! Log time on this pod's clock: a bracket around the log server's time,
//! renewed by every echo, so that no two pods' clocks are compared.

use crate::clock::{LogTime, Moment};
use std::time::Duration;

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
