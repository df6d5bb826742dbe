//! What was counted and measured.

use std::collections::BTreeMap;
use std::time::Duration;
use unstale::{Ack, Error};

/// Of one sidecar.
#[derive(Clone, Debug, Default)]
pub(super) struct PerEndpoint {
    /// Calls that ended.
    pub(super) calls: u64,
    /// Answers with a value, each of them judged.
    pub(super) judged: u64,
    /// Calls that failed, by what the failure was.
    pub(super) errors: BTreeMap<&'static str, u64>,
    /// How long after a LOG invalidation was answered a read that began then
    /// still returned the older value as fresh.
    pub(super) stale: Vec<Duration>,
    /// How long after it was asked for a read was answered without it.
    pub(super) observed: Vec<Duration>,
}

/// Of the run.
#[derive(Clone, Debug, Default)]
pub(super) struct Figures {
    pub(super) endpoints: Vec<PerEndpoint>,
    pub(super) loads: u64,
    /// Invalidations answered OK: LOCAL, LOG, FLEET.
    pub(super) invalidations: [u64; 3],
}

impl Figures {
    pub(super) fn of(endpoints: usize) -> Self {
        Self {
            endpoints: vec![PerEndpoint::default(); endpoints],
            ..Self::default()
        }
    }

    /// A call ended.
    pub(super) fn ended<T>(&mut self, endpoint: usize, result: &Result<T, Error>) {
        let figures = &mut self.endpoints[endpoint];
        figures.calls += 1;
        if let Err(error) = result {
            *figures.errors.entry(kind(error)).or_default() += 1;
        }
    }

    /// An invalidation was answered OK.
    pub(super) fn invalidated(&mut self, ack: Ack) {
        let at = match ack {
            Ack::Local => 0,
            Ack::Log => 1,
            Ack::Fleet => 2,
        };
        self.invalidations[at] += 1;
    }

    pub(super) fn judged(&self) -> u64 {
        self.endpoints.iter().map(|figures| figures.judged).sum()
    }
}

/// A failure in a word.
fn kind(error: &Error) -> &'static str {
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

/// Median, 99th percentile and the most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Spread {
    pub(super) count: usize,
    pub(super) p50: Duration,
    pub(super) p99: Duration,
    pub(super) max: Duration,
}

impl Spread {
    pub(super) fn of(samples: &[Duration]) -> Self {
        let mut sorted = samples.to_vec();
        sorted.sort_unstable();
        let at = |share: usize| {
            // The least sample that is not below this share of them.
            let rank = (sorted.len() * share).div_ceil(100).max(1);
            sorted.get(rank - 1).copied().unwrap_or_default()
        };
        Self {
            count: sorted.len(),
            p50: at(50),
            p99: at(99),
            max: at(100),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_samples() {
        let millis: Vec<_> = (1..=200).rev().map(Duration::from_millis).collect();
        let spread = Spread::of(&millis);
        let expected = [100, 198, 200].map(Duration::from_millis);
        assert_eq!([spread.p50, spread.p99, spread.max], expected);
        assert_eq!(Spread::of(&[]), Spread::default());
        let one = Spread::of(&millis[..1]);
        assert_eq!((one.count, one.p50), (1, Duration::from_millis(200)));
    }
}
