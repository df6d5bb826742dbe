//! What somebody with the rights does to the log's stream.

use super::{Fault, Kind, partition};
use crate::cluster::STREAM;
use crate::fleet::Fleet;
use std::time::Duration;
use unstale_tests::eventually;

/// Records that a truncated log keeps: fewer than a pod that is away misses.
const KEPT: i64 = 8;
/// Records that the pod misses at least, if the log grows.
const MISSED: u64 = 2 * KEPT as u64;
/// How long it may take to.
const GROWS: Duration = Duration::from_secs(4);

/// Whether somebody was there who did it, or refused.
pub(super) async fn apply(fault: &Fault, fleet: &Fleet) -> bool {
    match fault.kind {
        Kind::LogPurge => purge(fleet).await,
        Kind::LogTruncated => behind(fault, fleet).await,
        _ => made_anew(fleet).await,
    }
}

/// Purges the log; the stream must refuse.
async fn purge(fleet: &Fleet) -> bool {
    let before = fleet.cluster.log_end().await;
    let purge = format!("STREAM.PURGE.{STREAM}");
    let Ok(answer) = fleet.cluster.api(&purge, "").await else {
        // Nobody answers: nobody purges.
        return false;
    };
    let told = format!("purge was answered {answer}");
    fleet.history.tell(None, told);
    if answer["error"].is_null() {
        let what = format!("the log (ended at {before:?}) was purged: {answer}");
        fleet.checker.broke("the log denies purge", None, what);
    }
    true
}

/// Truncates the log while a pod is away. Whether records were discarded that
/// the pod had not read.
async fn behind(fault: &Fault, fleet: &Fleet) -> bool {
    let pod = &fleet.pods[fault.pod];
    let work = async {
        let read = pod.reached().await;
        // If it does not grow, somebody else may be behind.
        let _ = tokio::time::timeout(GROWS, fleet.cluster.grows(MISSED)).await;
        let discarded = truncated(fleet).await;
        (read, pod.reached().await, discarded)
    };
    let (_, (before, after, discarded)) = partition::pod_while(fault, fleet, work).await;
    let told = format!(
        "pod {} had read {before:?}, then {after:?}; the log begins at {discarded:?}",
        fault.pod
    );
    fleet.history.tell(None, told);
    // What it has read last is not missed, nor what comes next if it is there.
    let missed = |(read, first)| read + 1 < first;
    before.is_some() && after.zip(discarded).is_some_and(missed)
}

/// What a purge would do, done by a limit for a moment: the oldest records go,
/// read or not, and with them the one that names the epoch. Where the log begins
/// then, if records were discarded.
async fn truncated(fleet: &Fleet) -> Option<u64> {
    let cluster = &fleet.cluster;
    let before = cluster.log_begins().await;
    let limited = cluster.limit(KEPT).await.is_ok();
    if !limited {
        // It may be done when there is a leader again, after the next one.
        let late = async { while cluster.limited().await != Some(KEPT) {} };
        let late = tokio::time::timeout(super::process::LEADER / 2, late).await;
        let late = format!("the log was limited late: {}", late.is_ok());
        fleet.history.tell(None, late);
    }
    let free = || cluster.limit(-1);
    eventually("a log without a limit", super::process::LEADER * 2, free).await;
    let first = cluster.log_begins().await.ok()?;
    before.is_ok_and(|before| before < first).then_some(first)
}

/// Deletes the stream; the pods make it again, and a new epoch.
async fn made_anew(fleet: &Fleet) -> bool {
    fleet.checker.loses_records();
    let delete = format!("STREAM.DELETE.{STREAM}");
    let answer = fleet.cluster.api(&delete, "").await;
    let told = format!("delete was answered {answer:?}");
    fleet.history.tell(None, told);
    // Whether it went without an answer is not known; converging tells.
    answer.is_ok_and(|answer| answer["success"] == true)
}
