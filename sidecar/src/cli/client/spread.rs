//! What durations and failures of many calls come to.

use std::time::Duration;
use unstale::Error;

/// Median, 99th and 99.9th percentile, and the most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Spread {
    pub(super) count: usize,
    pub(super) p50: Duration,
    pub(super) p99: Duration,
    pub(super) p999: Duration,
    pub(super) max: Duration,
}

impl Spread {
    pub(super) fn of(samples: &[Duration]) -> Self {
        let mut sorted = samples.to_vec();
        sorted.sort_unstable();
        let at = |thousandths: usize| {
            // The least sample that is not below this share of them.
            let rank = (sorted.len() * thousandths).div_ceil(1000).max(1);
            sorted.get(rank - 1).copied().unwrap_or_default()
        };
        Self {
            count: sorted.len(),
            p50: at(500),
            p99: at(990),
            p999: at(999),
            max: at(1000),
        }
    }
}

/// A failure in a word.
pub(super) fn kind(error: &Error) -> &'static str {
    match error {
        Error::Unreachable(_) | Error::Endpoint(_) => "unreachable",
        Error::Unavailable { .. } => "unavailable",
        Error::Overloaded { .. } => "overloaded",
        Error::DeadlineExceeded { .. } => "deadline",
        Error::OutcomeUnknown { .. } => "unknown outcome",
        Error::UnknownLease(_) => "unknown lease",
        Error::Invalid { .. } => "refused",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_samples() {
        let millis: Vec<_> = (1..=2000).rev().map(Duration::from_millis).collect();
        let spread = Spread::of(&millis);
        let expected = [1000, 1980, 1998, 2000].map(Duration::from_millis);
        let seen = [spread.p50, spread.p99, spread.p999, spread.max];
        assert_eq!(seen, expected);
        assert_eq!(Spread::of(&[]), Spread::default());
        let one = Spread::of(&millis[..1]);
        assert_eq!((one.count, one.p50), (1, Duration::from_millis(2000)));
    }
}
