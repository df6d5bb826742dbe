//! Durations of single calls, and what is said of them.

use std::time::{Duration, Instant};

/// The durations of one kind of call.
#[derive(Clone, Default)]
pub(crate) struct Samples(Vec<Duration>);

/// What that many calls did not exceed.
#[derive(Clone, Copy, Default)]
pub(crate) struct Quantiles {
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
    pub(crate) p999: Duration,
}

impl Samples {
    /// Takes the time since `begin`.
    pub(crate) fn add(&mut self, begin: Instant) {
        self.0.push(begin.elapsed());
    }

    /// Takes more of them.
    pub(crate) fn extend(&mut self, more: impl IntoIterator<Item = Duration>) {
        self.0.extend(more);
    }

    /// How many.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The three of them.
    pub(crate) fn quantiles(&self) -> Quantiles {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let at = |thousandths: usize| {
            // The least sample that is not below this share of them.
            let rank = (sorted.len() * thousandths).div_ceil(1000).max(1);
            sorted.get(rank - 1).copied().unwrap_or_default()
        };
        Quantiles {
            p50: at(500),
            p99: at(990),
            p999: at(999),
        }
    }

    /// The median.
    pub(crate) fn p50(&self) -> Duration {
        self.quantiles().p50
    }

    /// "p50 / p99", in the unit that reads best; p50 alone if fewer than ten calls
    /// lie above the other.
    pub(crate) fn show(&self) -> String {
        let Quantiles { p50, p99, .. } = self.quantiles();
        match self.len() / 100 {
            10.. => format!("{} / {}", time(p50), time(p99)),
            _ => time(p50),
        }
    }
}

/// A duration in the unit that reads best.
pub(crate) fn time(time: Duration) -> String {
    match time.as_secs_f64() * 1e6 {
        us if us < 100.0 => format!("{us:.1} µs"),
        us if us < 5000.0 => format!("{us:.0} µs"),
        us => format!("{:.1} ms", us / 1e3),
    }
}
