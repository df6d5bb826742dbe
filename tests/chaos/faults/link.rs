//! Faults of the proxy between the last pod and NATS. They overlap, also two of
//! a kind. One counts that met bytes or a connection while it lasted.

use super::{Fault, Kind, lasts};
use crate::fleet::Fleet;
use crate::proxy::Wire;

/// Changes the wire for as long as the fault lasts; whether that was felt.
pub(super) async fn apply(fault: &Fault, fleet: &Fleet) -> bool {
    let wire = match fault.kind {
        Kind::WireLoses => return loses(fault, fleet).await,
        Kind::WireDelayed => Wire::Delay,
        Kind::WireStalled => Wire::Stall,
        Kind::WireCut => Wire::Cut,
        _ => Wire::HalfOpen,
    };
    let before = fleet.proxy.seen().met(wire);
    fleet.proxy.begin(wire);
    lasts(fault).await;
    let met = fleet.proxy.seen().met(wire) - before;
    fleet.proxy.end(wire);
    let told = format!("{} met the wire {met} times", fault.name);
    fleet.history.tell(None, told);
    met > 0
}

/// Goes together with the others.
async fn loses(fault: &Fault, fleet: &Fleet) -> bool {
    let before = fleet.proxy.seen().lost;
    fleet.proxy.lose();
    lasts(fault).await;
    fleet.proxy.lose_no_more();
    fleet.proxy.seen().lost > before
}
