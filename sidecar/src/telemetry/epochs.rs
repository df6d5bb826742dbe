//! Says in the log that another epoch of the coherence log began, and why if
//! this pod knows: everything cached before is cold then.

use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use unstale_engine::Engine;

/// How often the counts are read.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Looks until `cancel`. The epoch that is met at the start is no news.
pub(crate) async fn run(engine: Arc<Engine>, cancel: CancellationToken) {
    let mut tick = tokio::time::interval(LOOK_EVERY);
    let (mut epochs, mut set_backs) = (1, 0);
    loop {
        tokio::select! {
            () = cancel.cancelled() => return,
            _ = tick.tick() => {}
        }
        let counters = engine.counters();
        if counters.set_backs > set_backs {
            tracing::error!(
                connection = "log",
                "the wall clock of the log's server went back by more than 2 s: a new epoch begins, \
                 and what was cached before is not used. Let the clocks of all NATS servers be \
                 slewed by one time service, and never set"
            );
        }
        if counters.epochs > epochs.max(1) {
            tracing::warn!(
                connection = "log",
                "another epoch of the log began: what was cached before is not used"
            );
        }
        (epochs, set_backs) = (counters.epochs, counters.set_backs);
    }
}
