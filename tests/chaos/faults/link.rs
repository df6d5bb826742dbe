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
    if fault.kind == Kind::WireLoses {
        return loses(fault, fleet).await;
    }
    fleet.proxy.set(match fault.kind {
        Kind::WireDelayed => Wire::Delay(LATER),
        Kind::WireStalled => Wire::Stall,
        Kind::WireCut => Wire::Cut,
        _ => Wire::HalfOpen,
    });
    lasts(fault).await;
    fleet.proxy.set(Wire::Whole);
    true
}

/// Goes together with the others.
async fn loses(fault: &Fault, fleet: &Fleet) -> bool {
    let before = fleet.proxy.seen().lost;
    fleet.proxy.lose();
    lasts(fault).await;
    fleet.proxy.lose_no_more();
    fleet.proxy.seen().lost > before
}
