//! One measured line: what was done, on what, and how it went.

use crate::samples::{Quantiles, Samples};
use serde::Serialize;
use std::time::Duration;

/// A measured line. What a row has no use for is left out.
#[derive(Clone, Default, Serialize)]
pub(crate) struct Figure {
    /// The kind of work: "Get, L1 hit".
    pub(crate) row: String,
    /// Who did it: "unstale, stream".
    pub(crate) what: String,
    /// Size of a value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) bytes: Option<usize>,
    /// Calls under way at a time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) in_flight: Option<usize>,
    /// Sidecars of the fleet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pods: Option<usize>,
    /// How many were measured.
    pub(crate) calls: usize,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) p999_us: f64,
    /// Operations a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) per_second: Option<f64>,
    /// Processor time, user and system, of all servers that had a part in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cpu_us: Option<f64>,
    /// Resident memory of these servers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rss_kib: Option<u64>,
    /// What else is to be said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) note: Option<String>,
}

impl Figure {
    /// With the latencies of these calls. A quantile that fewer than ten calls lie
    /// above is left out: it would be the longest of them.
    pub(crate) fn of(row: &str, what: &str, samples: &Samples) -> Self {
        let Quantiles { p50, p99, p999 } = samples.quantiles();
        let enough = |time, one_in: usize| match samples.len() / one_in {
            10.. => micros(time),
            _ => 0.0,
        };
        Self {
            row: row.into(),
            what: what.into(),
            calls: samples.len(),
            p50_us: micros(p50),
            p99_us: enough(p99, 100),
            p999_us: enough(p999, 1000),
            ..Self::default()
        }
    }

    /// Of a fleet of so many.
    pub(crate) fn pods(self, pods: usize) -> Self {
        let pods = Some(pods);
        Self { pods, ..self }
    }

    /// Of values of this size.
    pub(crate) fn bytes(self, bytes: usize) -> Self {
        let bytes = Some(bytes);
        Self { bytes, ..self }
    }

    /// And this.
    pub(crate) fn note(self, note: String) -> Self {
        let note = Some(note);
        Self { note, ..self }
    }
}

/// In microseconds.
pub(crate) fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// Bytes of a value.
pub(crate) fn size(bytes: usize) -> String {
    match bytes {
        1024.. => format!("{} KiB", bytes / 1024),
        _ => format!("{bytes} B"),
    }
}
