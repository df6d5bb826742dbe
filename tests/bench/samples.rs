//! Durations of single calls, and what is said of them.

use std::time::{Duration, Instant};

/// The durations of one kind of call.
#[derive(Default)]
pub(crate) struct Samples(Vec<Duration>);

impl Samples {
    /// Takes the time since `begin`.
    pub(crate) fn add(&mut self, begin: Instant) {
        self.0.push(begin.elapsed());
    }

    /// Takes more of them.
    pub(crate) fn extend(&mut self, more: impl IntoIterator<Item = Duration>) {
        self.0.extend(more);
    }

    /// The duration that `part` (0 to 1) of the calls did not exceed.
    pub(crate) fn quantile(&self, part: f64) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        // Counts of samples are far below 2^52.
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss
        )]
        let at = (sorted.len() as f64 * part) as usize;
        let last = sorted.len().saturating_sub(1);
        sorted.get(at.min(last)).copied().unwrap_or_default()
    }

    /// The median.
    pub(crate) fn p50(&self) -> Duration {
        self.quantile(0.5)
    }

    /// "p50 / p99", in the unit that reads best.
    pub(crate) fn show(&self) -> String {
        let (p50, p99) = (self.p50(), self.quantile(0.99));
        if p50 < Duration::from_micros(100) {
            let [p50, p99] = [p50, p99].map(|d| d.as_secs_f64() * 1e6);
            return format!("{p50:.1} / {p99:.1} µs");
        }
        if p50 < Duration::from_millis(5) {
            return format!("{} / {} µs", p50.as_micros(), p99.as_micros());
        }
        format!("{} / {} ms", p50.as_millis(), p99.as_millis())
    }
}
