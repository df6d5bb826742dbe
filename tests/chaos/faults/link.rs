//! Faults of the proxy between the last pod and NATS. One at a time: the last
//! one to begin decides what the wire does, and each heals it.

use super::{Fault, Kind, lasts};
use crate::fleet::Fleet;
use crate::proxy::Wire;
use std::time::Duration;

/// How much later everything comes.
const LATER: Duration = Duration::from_millis(150);

/// Changes the wire for as long as the fault lasts; whether that was felt.
pub(super) async fn apply(fault: &Fault, fleet: &Fleet) -> bool {
    let lost = fleet.proxy.seen().lost;
    fleet.proxy.set(match fault.kind {
        Kind::WireDelayed => Wire::Delay(LATER),
        Kind::WireStalled => Wire::Stall,
        Kind::WireCut => Wire::Cut,
        Kind::WireLoses => Wire::Loses,
        _ => Wire::HalfOpen,
    });
    lasts(fault).await;
    fleet.proxy.set(Wire::Whole);
    fault.kind != Kind::WireLoses || fleet.proxy.seen().lost > lost
}
