//! Processes stop, die, leave and come back; wall clocks jump.

use super::{Fault, Kind, lasts};
use crate::cluster::Node;
use crate::fleet::Fleet;
use crate::pods::{JUMPY, Pod};
use crate::proxy::Wire;
use std::time::Duration;
use unstale_tests::eventually;

/// Longer than any drain.
const DRAIN: Duration = Duration::from_secs(15);
/// Longer than a healthy cluster needs to have a leader again.
pub(super) const LEADER: Duration = Duration::from_secs(30);

/// A consumer whose server is away for longer is given up by its reader.
const AWAY: Duration = Duration::from_millis(500);

/// A fault of one pod's process.
pub(super) async fn pod(fault: &Fault, fleet: &Fleet) {
    if fault.kind == Kind::PodClockJumps {
        return clock(fault, &fleet.pods[JUMPY]).await;
    }
    let pod = &fleet.pods[fault.pod];
    let mut process = pod.process.lock().await;
    if fault.kind == Kind::PodStopped {
        process.stop();
        lasts(fault).await;
        return process.go_on();
    }
    // Before and after: an answer may arrive in between.
    fleet.checker.restarted(fault.pod);
    if fault.kind == Kind::PodDrained {
        process.terminate();
        let process = std::sync::Mutex::new(&mut *process);
        let ask = || async {
            let runs = process.lock().expect("no panic").runs();
            (!runs).then_some(()).ok_or("it drains".to_owned())
        };
        eventually("the end of a drain", DRAIN, ask).await;
    }
    process.kill();
    fleet.checker.restarted(fault.pod);
    lasts(fault).await;
    process.start();
}

/// The wall clock of a pod is a day off, one way or the other, and back.
async fn clock(fault: &Fault, pod: &Pod) {
    let day = if fault.node.is_multiple_of(2) {
        "+1d"
    } else {
        "-1d"
    };
    pod.show(day);
    lasts(fault).await;
    pod.show("+0d");
}

/// A fault of one server's process, or of all in turn.
pub(super) async fn node(fault: &Fault, fleet: &Fleet) {
    let nodes = &fleet.cluster.nodes;
    match fault.kind {
        Kind::NodeStopped => {
            let process = nodes[fault.node].process.lock().await;
            process.stop();
            lasts(fault).await;
            process.go_on();
        }
        Kind::LeaderKilled => {
            let leader = fleet.cluster.leader().await.unwrap_or(fault.node);
            restart(fault, &nodes[leader]).await;
        }
        Kind::RollingRestart => {
            for node in nodes {
                restart(fault, node).await;
                let ask = || fleet.cluster.log_works();
                eventually("a log between two restarts", LEADER, ask).await;
            }
        }
        Kind::ConsumerRenumbered => renumber(fault, fleet).await,
        _ => restart(fault, &nodes[fault.node]).await,
    }
}

/// A server that holds a reader's consumer comes back and makes it again: the
/// same name, counting from 1. The last pod hears of it late and all at once.
async fn renumber(fault: &Fault, fleet: &Fleet) {
    let home = fleet.cluster.consumer_home(fault.pod).await;
    let short = Fault {
        lasts: fault.lasts.min(AWAY),
        ..fault.clone()
    };
    fleet.proxy.set(Wire::Stall);
    restart(&short, &fleet.cluster.nodes[home.unwrap_or(fault.node)]).await;
    fleet.proxy.set(Wire::Whole);
}

async fn restart(fault: &Fault, node: &Node) {
    let mut process = node.process.lock().await;
    process.kill();
    lasts(fault).await;
    process.start();
    node.listens().await;
}
