//! What the proxy does to bytes, and how many faults want it to now. Two faults
//! of a kind do not heal each other.

use std::time::Duration;

/// How much later everything comes that is delayed.
pub(super) const LATER: Duration = Duration::from_millis(150);

/// A fault of the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    /// Everything comes later.
    Delay,
    /// Nothing moves, nothing is lost.
    Stall,
    /// Connections are closed, new ones too.
    Cut,
    /// What the servers say is swallowed.
    HalfOpen,
}

impl Wire {
    /// How many there are.
    pub(super) const COUNT: usize = 4;
}

/// How many faults of each kind there are now.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wires([u32; Wire::COUNT]);

impl Wires {
    pub(super) fn begin(&mut self, wire: Wire) {
        self.0[wire as usize] += 1;
    }

    pub(super) fn end(&mut self, wire: Wire) {
        self.0[wire as usize] -= 1;
    }

    pub(super) fn has(self, wire: Wire) -> bool {
        self.0[wire as usize] > 0
    }
}
