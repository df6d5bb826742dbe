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
}

impl LogClock {
    /// Learns from the echo of a Beat.
    pub(crate) fn learn(&mut self, stamped: LogTime, sent: Moment, echoed: Moment) {
        *self = Self {
            stamped,
            sent,
            echoed,
        };
    }

    /// At most the server's time now; for stamping what is stored.
    pub(crate) fn at_least(&self, now: Moment) -> LogTime {
        self.stamped.plus(now.since(self.echoed))
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
