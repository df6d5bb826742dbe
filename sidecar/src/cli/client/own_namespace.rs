//! A namespace of a command's own: filled by it, and invalidated as a whole at
//! the end. No other is touched.

use super::exit::{Failure, note};
use std::time::Duration;
use unstale::{Ack, Cache, Invalidate};

/// How long emptying it may take, whoever hangs.
const EMPTY: Duration = Duration::from_secs(5);

/// Refuses what would touch what is not the command's.
pub(super) fn check(namespace: &str) -> Result<(), Failure> {
    if ["", "default"].contains(&namespace) {
        let why = "--namespace must not be default: all of it is invalidated at the end";
        return Err(Failure::Usage(why.to_owned()));
    }
    Ok(())
}

/// Empties it, in bounded time. All sidecars are asked at once; one that answers is
/// enough.
pub(super) async fn empty(caches: impl Iterator<Item = &Cache>, reason: &str) {
    let asked = caches.map(|cache| {
        let all = Invalidate::default().all().ack(Ack::Log);
        Box::pin(cache.invalidate(all.reason(reason)))
    });
    let one = futures::future::select_ok(asked);
    if !matches!(tokio::time::timeout(EMPTY, one).await, Ok(Ok(_))) {
        not_emptied();
    }
}

/// It keeps what the command stored.
pub(super) fn not_emptied() {
    note("the namespace could not be emptied: its entries end with their ttl");
}
