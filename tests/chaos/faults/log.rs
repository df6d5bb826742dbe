//! What somebody with the rights does to the log's stream.

use crate::cluster::STREAM;
use crate::fleet::Fleet;

/// Purges the log; the stream must refuse.
pub(super) async fn purge(fleet: &Fleet) {
    let before = fleet.cluster.log_end().await;
    let Ok(answer) = fleet
        .cluster
        .api(&format!("STREAM.PURGE.{STREAM}"), "")
        .await
    else {
        // Nobody answers: nobody purges.
        return;
    };
    fleet
        .history
        .tell(None, format!("purge was answered {answer}"));
    if answer["error"].is_null() {
        let what = format!("the log (ended at {before:?}) was purged: {answer}");
        fleet.checker.broke("the log denies purge", None, what);
    }
}

/// Deletes the stream; the pods make it again, and a new epoch.
pub(super) async fn made_anew(fleet: &Fleet) {
    fleet.checker.loses_records();
    let answer = fleet
        .cluster
        .api(&format!("STREAM.DELETE.{STREAM}"), "")
        .await;
    fleet
        .history
        .tell(None, format!("delete was answered {answer:?}"));
    if !answer.is_ok_and(|answer| answer["success"] == true) {
        // Whether it went is not known; converging tells.
        fleet
            .history
            .tell(None, "the log may not have been deleted".to_owned());
    }
}
