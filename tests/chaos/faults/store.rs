//! What is under a server: a full disk, and a store put back to an older copy.

use super::{Fault, Kind, lasts};
use crate::cluster::Node;
use crate::fleet::Fleet;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use unstale_tests::eventually;

/// What a server says then.
const FULL: &str = "no space left on device";

/// Breaks it; whether that came about.
pub(super) async fn apply(fault: &Fault, fleet: &Fleet) -> bool {
    match fault.kind {
        Kind::DiskFull => return full(fault, fleet).await,
        Kind::LogPutBack => put_back(fault, fleet, false).await,
        Kind::LogPutBackUnseen => put_back(fault, fleet, true).await,
        _ => put_back_under_third(fault, fleet).await,
    }
    true
}

/// Fills the file system under one server. A server that met the full disk may
/// turn its JetStream off until it is started again, which is what an operator
/// does after making room. Whether the server met it.
async fn full(fault: &Fault, fleet: &Fleet) -> bool {
    let node = &fleet.cluster.nodes[fault.node];
    let mut process = node.process.lock().await;
    let filler = node.store.join("filler");
    let before = process.said(FULL);
    fill(&filler);
    lasts(fault).await;
    let met = process.said(FULL) > before;
    fs::remove_file(&filler).expect("the filler goes");
    process.kill();
    process.start();
    node.listens().await;
    met
}

fn fill(filler: &Path) {
    let mut file = File::create(filler).expect("a file");
    let block = vec![0; 64 << 10];
    // Until there is no room at all.
    while file.write_all(&block).is_ok() {}
}

/// Takes a copy, lets the fleet go on, and puts the copy back: all servers come
/// again with an older log. `unseen`: the pods are not connected meanwhile.
async fn put_back(fault: &Fault, fleet: &Fleet, unseen: bool) {
    let nodes: Vec<_> = fleet.cluster.nodes.iter().collect();
    copy(&nodes).await;
    progress(fleet).await;
    let cut = Fault {
        kind: Kind::PodFromNats,
        // Surely until the servers are back.
        lasts: fault.lasts + fleet.shape.session_ttl * 2,
        ..fault.clone()
    };
    let cuts = (0..fleet.pods.len()).map(|pod| Fault { pod, ..cut.clone() });
    let cuts = cuts.map(|cut| async move {
        super::partition::apply(&cut, fleet).await;
    });
    let swap = async {
        fleet.checker.loses_records();
        replace(&nodes).await;
    };
    if unseen {
        tokio::join!(swap, futures::future::join_all(cuts));
    } else {
        swap.await;
    }
}

/// The third server is stopped while the other two are put back, and goes on
/// with what it knew: it may bring back what was lost, and then nothing is.
async fn put_back_under_third(fault: &Fault, fleet: &Fleet) {
    let (third, others) = fleet.cluster.nodes.split_last().expect("three");
    let others: Vec<_> = others.iter().collect();
    copy(&others).await;
    progress(fleet).await;
    let third = third.process.lock().await;
    let last = fleet.cluster.log_end().await.unwrap_or_default();
    let known = fleet.cluster.record(last).await;
    fleet.checker.loses_records();
    third.stop();
    replace(&others).await;
    lasts(fault).await;
    third.go_on();
    let ask = || fleet.cluster.log_works();
    eventually("a log again", super::process::LEADER, ask).await;
    let now = fleet.cluster.record(last).await;
    let kept = known.is_ok() && known == now;
    fleet
        .history
        .tell(None, format!("the log kept record {last}: {kept}"));
    if kept {
        fleet.checker.lost_nothing();
    }
}

/// Waits until the log has grown since it was copied.
async fn progress(fleet: &Fleet) {
    let mut first = None;
    let grown = async {
        loop {
            if let Ok(end) = fleet.cluster.log_end().await {
                let first = *first.get_or_insert(end);
                if end > first + 20 {
                    return;
                }
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let grown = tokio::time::timeout(Duration::from_secs(30), grown).await;
    fleet
        .history
        .tell(None, format!("the log has grown: {grown:?}"));
}

async fn copy(nodes: &[&Node]) {
    for node in nodes {
        let mut process = node.process.lock().await;
        process.kill();
        cp(&node.jetstream(), &node.store.join("copy"));
        process.start();
        node.listens().await;
    }
}

async fn replace(nodes: &[&Node]) {
    let mut all = Vec::new();
    for node in nodes {
        let mut process = node.process.lock().await;
        process.kill();
        all.push((node, process));
    }
    for (node, process) in &mut all {
        fs::remove_dir_all(node.jetstream()).expect("the store goes");
        fs::rename(node.store.join("copy"), node.jetstream()).expect("the copy comes");
        process.start();
    }
    for (node, _) in &all {
        node.listens().await;
    }
}

fn cp(from: &Path, to: &Path) {
    let done = Command::new("cp").arg("-a").arg(from).arg(to).status();
    assert!(done.expect("cp starts").success());
}
