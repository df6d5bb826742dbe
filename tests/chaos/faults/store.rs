//! What is under a server: a full disk, and a store put back to an older copy.
//! The latter counts unless the log still has the last record that a pod had
//! read; under a stalled third server always, as that one may bring it back.

use super::{Fault, Kind, lasts};
use crate::cluster::Node;
use crate::fleet::Fleet;
use serde_json::Value;
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
        Kind::DiskFull => full(fault, fleet).await,
        Kind::LogPutBack => put_back(fault, fleet, false).await,
        Kind::LogPutBackUnseen => put_back(fault, fleet, true).await,
        _ => put_back_under_third(fault, fleet).await,
    }
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
async fn put_back(fault: &Fault, fleet: &Fleet, unseen: bool) -> bool {
    let nodes: Vec<_> = fleet.cluster.nodes.iter().collect();
    copy(&nodes).await;
    progress(fleet).await;
    let newest = Newest::of(fleet).await;
    fleet.checker.loses_records();
    let away = if unseen {
        replace_unseen(fault, fleet, &nodes).await
    } else {
        replace(&nodes).await;
        true
    };
    let kept = newest.kept(fleet).await == Some(true);
    if kept {
        fleet.checker.lost_nothing();
    }
    // Nobody may have told what the record was.
    !kept && away
}

/// Every pod is cut off before the servers end, until they are back and some
/// more. Whether all of them noticed.
async fn replace_unseen(fault: &Fault, fleet: &Fleet, nodes: &[&Node]) -> bool {
    let (back, _) = tokio::sync::watch::channel(false);
    let pods = 0..fleet.pods.len();
    let cuts = pods.map(|pod| {
        (
            Fault {
                pod,
                ..fault.clone()
            },
            back.subscribe(),
        )
    });
    let cuts = cuts.map(|(cut, mut back)| async move {
        let work = async {
            // The sender outlives the cuts.
            let _ = back.wait_for(|back| *back).await;
            tokio::time::sleep(fault.lasts + fleet.shape.session_ttl).await;
        };
        super::partition::pod_while(&cut, fleet, work).await.0
    });
    let swap = async {
        replace(nodes).await;
        back.send_replace(true);
    };
    // The cuts are polled first, and so in force.
    let cuts = futures::future::join_all(cuts);
    let (met, ()) = tokio::join!(cuts, swap);
    met.into_iter().all(|met| met)
}

/// The third server is stopped while the other two are put back, and goes on
/// with what it knew, when they have a log of their own: it may not bring back
/// what was lost. At the end it is emptied, which is what an operator does:
/// until then it may not follow what the cluster decides, for as long as it
/// likes, and answer for streams that are gone.
async fn put_back_under_third(fault: &Fault, fleet: &Fleet) -> bool {
    let (node, others) = fleet.cluster.nodes.split_last().expect("three");
    let others: Vec<_> = others.iter().collect();
    copy(&others).await;
    progress(fleet).await;
    let mut third = node.process.lock().await;
    let newest = Newest::of(fleet).await;
    fleet.checker.loses_records();
    third.stop();
    replace(&others).await;
    let led = || fleet.cluster.log_works();
    eventually("a log of two", super::process::LEADER, led).await;
    lasts(fault).await;
    third.go_on();
    newest.outgrown(fleet).await;
    third.kill();
    fs::remove_dir_all(node.jetstream()).expect("the store goes");
    third.start();
    node.listens().await;
    // Now no copy but the one that the others follow can tell.
    if newest.kept(fleet).await == Some(true) {
        fleet.checker.lost_nothing();
    }
    // The two had another log while the third stood still, whatever became of it.
    true
}

/// The last record that a pod has read, if somebody says. Whoever loses only
/// what nobody has read may go on.
struct Newest {
    sequence: u64,
    record: Option<Value>,
    /// Where the log ended.
    end: u64,
}

impl Newest {
    async fn of(fleet: &Fleet) -> Self {
        let end = end(fleet).await;
        let sequence = read(fleet).await.unwrap_or(end);
        let ask = || fleet.cluster.record(sequence);
        let record = eventually("a record", super::process::LEADER, ask).await;
        let record = Some(record).filter(|record| !record.is_null());
        Self {
            sequence,
            record,
            end,
        }
    }

    /// Whether the log, when it can be read again, still has it; if it was known.
    async fn kept(&self, fleet: &Fleet) -> Option<bool> {
        let ask = || fleet.cluster.log_is_back();
        eventually("a log again", super::process::LEADER, ask).await;
        let ask = || fleet.cluster.record(self.sequence);
        let now = eventually("an answer about a record", super::process::LEADER, ask).await;
        let kept = self.record.as_ref().map(|record| *record == now);
        let told = format!("the log kept record {}: {kept:?}", self.sequence);
        fleet.history.tell(None, told);
        kept
    }

    /// Waits until the log is longer than it was, a minute at most. Until then the
    /// third one's copy has other records in the same places (it takes none that
    /// it thinks it has), whoever reads there finds that the log went backwards,
    /// and one epoch follows another: the fault is not over.
    async fn outgrown(&self, fleet: &Fleet) {
        let end = || fleet.cluster.agreed_end();
        let outgrown = async {
            while end().await.unwrap_or_default() <= self.end {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let outgrown = tokio::time::timeout(Duration::from_secs(60), outgrown).await;
        let told = format!("the log is longer than {}: {outgrown:?}", self.end);
        fleet.history.tell(None, told);
    }
}

/// Where the log ends, as soon as somebody says: servers were just started again.
async fn end(fleet: &Fleet) -> u64 {
    let ask = || fleet.cluster.log_end();
    eventually("the end of the log", super::process::LEADER, ask).await
}

/// How far the pod has read that has read most.
async fn read(fleet: &Fleet) -> Option<u64> {
    let reached = fleet.pods.iter().map(|pod| pod.reached());
    let reached = futures::future::join_all(reached).await;
    reached.into_iter().flatten().max()
}

/// Waits until the log has grown since it was copied, and a pod has read it.
async fn progress(fleet: &Fleet) {
    let copied = end(fleet).await;
    let grown = async {
        while read(fleet).await.is_none_or(|read| read <= copied + 20) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let grown = tokio::time::timeout(Duration::from_secs(30), grown).await;
    let told = format!("the log has grown from {copied}, and was read: {grown:?}");
    fleet.history.tell(None, told);
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
