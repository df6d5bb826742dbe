//! The origin: one counter per key, and of one key a replica that lags.

use crate::world::{KEYS, LAGGING, Shared};

/// How far the replica may be behind (µs).
const LAG: u64 = 300_000;
/// So long after the log lost what it said of versions nobody can refuse what
/// the replica shows, so it does not lag (coherence.md: how far back source
/// versions reach is bounded).
const HEEDED: u64 = LAG + 100_000;
/// So long after a read a Set or Fill of it may still be decided: pauses, and
/// answers that take as long as callers wait.
const STORED: u64 = 6_000_000;

#[derive(Default)]
pub(crate) struct Origin {
    pub(crate) counters: [u64; KEYS],
    /// When the lagging key reached each of its values but 0.
    reached: Vec<u64>,
    /// When the log last forgot records, or an epoch began.
    amnesia: Option<u64>,
    /// When the replica last showed an older value.
    lagged: Option<u64>,
    /// What it showed may be stored after the log forgot why not: nothing is
    /// demanded of the lagging key any more.
    pub(crate) unheeded: bool,
}

impl Origin {
    /// The next value of a key.
    pub(crate) fn change(&mut self, key: usize, now: u64) -> u64 {
        self.counters[key] += 1;
        if key == LAGGING {
            self.reached.push(now);
        }
        self.counters[key]
    }

    /// The log forgets what it said of versions.
    pub(crate) fn forgotten(&mut self, now: u64) {
        self.amnesia = Some(now);
        self.unheeded |= self.lagged.is_some_and(|at| now < at + STORED);
    }

    fn replica(&mut self, now: u64, lag: u64) -> u64 {
        let at = now.saturating_sub(lag);
        let shown = self.reached.iter().take_while(|t| **t <= at).count() as u64;
        if shown < self.counters[LAGGING] {
            self.lagged = Some(now);
        }
        shown
    }
}

/// One read of the origin: the value is that of one moment in between, or what
/// the replica shows then.
pub(crate) async fn read(shared: &Shared, key: usize) -> u64 {
    shared.delay(200, 20_000).await;
    let now = shared.handle.now();
    let value = shared.with(|w| {
        let heeded = w.origin.amnesia.is_none_or(|at| now > at + HEEDED);
        if key == LAGGING && heeded && w.rng.chance(60) {
            let lag = w.rng.range(0, LAG);
            w.origin.replica(now, lag)
        } else {
            w.origin.counters[key]
        }
    });
    shared.delay(200, 300_000).await;
    value
}
