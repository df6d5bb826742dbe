//! Processes stop, die, leave and come back.

use super::{Fault, Kind, lasts};
use crate::cluster::Node;
use crate::fleet::Fleet;
use crate::process::Process;
use crate::proxy::Wire;
use std::time::Duration;
use unstale_tests::eventually;

/// Longer than any drain.
const DRAIN: Duration = Duration::from_secs(15);
/// Longer than a healthy cluster needs to have a leader again.
pub(super) const LEADER: Duration = Duration::from_secs(30);

/// The longest that a planned restart takes.
const PLANNED: Duration = Duration::from_secs(1);
/// A consumer whose server is away for longer is given up by its reader.
const AWAY: Duration = Duration::from_millis(500);
/// After that a reader has given up a silent consumer.
const SILENCE: Duration = Duration::from_millis(2500);
/// How often a consumer is looked for that can be renumbered.
const TRIES: usize = 3;

/// A fault of one pod's process.
pub(super) async fn pod(fault: &Fault, fleet: &Fleet) -> bool {
    let pod = &fleet.pods[fault.pod];
    let mut process = pod.process.lock().await;
    if fault.kind == Kind::PodStopped {
        process.stop();
        lasts(fault).await;
        process.go_on();
        return true;
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
    true
}

/// A fault of one server's process, or of all in turn.
pub(super) async fn node(fault: &Fault, fleet: &Fleet) -> bool {
    let nodes = &fleet.cluster.nodes;
    match fault.kind {
        Kind::NodeStopped => {
            let process = nodes[fault.node].process.lock().await;
            process.stop();
            lasts(fault).await;
            process.go_on();
        }
        Kind::LeaderKilled => return leader(fault, fleet).await,
        Kind::RollingRestart => rolling(fault, fleet).await,
        Kind::ConsumerRenumbered => return renumber(fault, fleet).await,
        _ => restart(fault, &nodes[fault.node]).await,
    }
    true
}

/// The log's leader is away. Whether there was one, and still was when nobody
/// else could stop it.
async fn leader(fault: &Fault, fleet: &Fleet) -> bool {
    let found = async {
        loop {
            if let Some(leader) = fleet.cluster.leader().await {
                let node = &fleet.cluster.nodes[leader];
                let process = node.process.lock().await;
                if fleet.cluster.leader().await == Some(leader) {
                    return (node, process);
                }
            }
            tokio::time::sleep(AWAY).await;
        }
    };
    let Ok((node, mut process)) = tokio::time::timeout(LEADER, found).await else {
        return false;
    };
    away(fault, node, &mut process).await;
    true
}

/// Every server in turn is away for as long as a planned restart takes.
async fn rolling(fault: &Fault, fleet: &Fleet) {
    let short = fault.at_most(PLANNED);
    for node in &fleet.cluster.nodes {
        restart(&short, node).await;
        let ask = || fleet.cluster.log_works();
        eventually("a log between two restarts", LEADER, ask).await;
    }
}

/// A server that holds a reader's consumer comes back and makes it again: the
/// same name, counting from 1. The pod hears of it late, all at once, and not
/// all of it. Whether the numbers were seen to begin again.
async fn renumber(fault: &Fault, fleet: &Fleet) -> bool {
    let short = fault.at_most(AWAY);
    for _ in 0..TRIES {
        let Some(home) = home(fleet).await else {
            continue;
        };
        let before = fleet.proxy.seen().renumbered;
        fleet.proxy.begin(Wire::Stall);
        restart(&short, &fleet.cluster.nodes[home]).await;
        fleet.proxy.lose();
        fleet.proxy.end(Wire::Stall);
        // Longer than any reader waits for a heartbeat.
        tokio::time::sleep(SILENCE).await;
        fleet.proxy.lose_no_more();
        if fleet.proxy.seen().renumbered > before {
            return true;
        }
    }
    false
}

/// The server that holds the consumer of the pod behind the proxy; another one
/// than that through which it reads, whose restart it would notice. A pod that
/// reads through the same is made to connect again.
async fn home(fleet: &Fleet) -> Option<usize> {
    let (consumer, through) = fleet.proxy.seen().reading?;
    let home = fleet.cluster.home(&consumer).await;
    if home == Some(through) {
        fleet.proxy.begin(Wire::Cut);
        tokio::time::sleep(AWAY).await;
        fleet.proxy.end(Wire::Cut);
    }
    if home.is_none_or(|home| home == through) {
        tokio::time::sleep(SILENCE).await;
    }
    home.filter(|&home| home != through)
}

async fn restart(fault: &Fault, node: &Node) {
    let mut process = node.process.lock().await;
    away(fault, node, &mut process).await;
}

async fn away(fault: &Fault, node: &Node, process: &mut Process) {
    process.kill();
    lasts(fault).await;
    process.start();
    node.listens().await;
}
