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
    /// When the replica showed an older value, and which, as long as one read
    /// then may still be stored.
    lagged: Vec<(u64, u64)>,
    /// Set when the log forgot records soon after.
    forgiven: Option<Forgiven>,
    /// Reads that were excused for it.
    pub(crate) excused: u64,
}

/// An older value that the replica showed may be stored after the log forgot
/// why not, and nobody can know.
struct Forgiven {
    /// The newest of what was shown.
    shown: u64,
    /// What was asked for before the log forgot: at most this.
    asked: u64,
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
        self.lagged.retain(|(at, _)| now < at + STORED);
        if let Some(shown) = self.lagged.iter().map(|(_, shown)| *shown).max() {
            let asked = self.counters[LAGGING];
            self.forgiven = Some(Forgiven { shown, asked });
        }
    }

    /// Whether nobody could know that `got`, of a key, is less than `least`.
    pub(crate) fn excuses(&mut self, key: usize, got: u64, least: u64) -> bool {
        let known = |forgiven: &Forgiven| got <= forgiven.shown && least <= forgiven.asked;
        let excused = key == LAGGING && self.forgiven.as_ref().is_some_and(known);
        self.excused += u64::from(excused);
        excused
    }

    fn replica(&mut self, now: u64, lag: u64) -> u64 {
        let at = now.saturating_sub(lag);
        let shown = self.reached.iter().take_while(|t| **t <= at).count() as u64;
        if shown < self.counters[LAGGING] {
            self.lagged.push((now, shown));
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
