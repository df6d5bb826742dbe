//! Ctrl-C and a request to end, for commands that run for a while.

use super::exit::Failure;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Both. Made before anything is stored, none that comes early is lost.
pub(super) struct Interrupts {
    interrupt: Signal,
    terminate: Signal,
}

impl Interrupts {
    pub(super) fn new() -> Result<Self, Failure> {
        let refused = |error| Failure::Usage(format!("cannot wait for signals: {error}"));
        Ok(Self {
            interrupt: signal(SignalKind::interrupt()).map_err(refused)?,
            terminate: signal(SignalKind::terminate()).map_err(refused)?,
        })
    }

    /// Returns when the next one has come.
    pub(super) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
