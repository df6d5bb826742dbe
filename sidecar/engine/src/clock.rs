//! The clock port: CLOCK_BOOTTIME of this pod, and waiting for it.
//!
//! No correctness decision compares the clocks of two pods: a [`Moment`] never
//! leaves the process. [`LogTime`] is what the log's server stamped on records.

use std::time::Duration;

/// A reading of this pod's CLOCK_BOOTTIME (it counts suspension).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(Duration);

impl Moment {
    /// The moment `since_boot` after boot.
    pub const fn new(since_boot: Duration) -> Self {
        Self(since_boot)
    }

    /// This moment and `by` more.
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(by))
    }

    /// This moment less `by`, not before boot.
    pub fn minus(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(by))
    }

    /// Time from `earlier` to this moment; zero when `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

/// Time as the log's server stamps it, in microseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogTime(pub u64);

impl LogTime {
    /// This time and `by` more.
    pub fn plus(self, by: Duration) -> Self {
        Self(
            self.0
                .saturating_add(u64::try_from(by.as_micros()).unwrap_or(u64::MAX)),
        )
    }

    /// Time from `earlier` to this; zero when `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

/// Where the engine gets time from.
#[async_trait::async_trait]
pub trait Clock: Send + Sync + 'static {
    /// Now, by CLOCK_BOOTTIME. Cheap: it is read on every hit.
    fn now(&self) -> Moment;
    /// Returns at `at` or a little later. Cancel safe.
    async fn sleep_until(&self, at: Moment);
}
