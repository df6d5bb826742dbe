//! What was counted and measured.

use super::super::spread::kind;
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
