//! Wall clocks jump by a day, one way or the other, and back. A server's counts
//! when the log is stamped by the new day. A pod tells its wall clock nowhere
//! often enough to ask: its jump counts when its clock's file was read after it
//! was written, which only libfaketime in the pod's process does.

use super::{Fault, Kind, lasts};
use crate::cluster;
use crate::fleet::Fleet;
use crate::pods;
use std::time::Duration;

const DAY: i64 = 24 * 3600;
/// libfaketime reads its file once a second.
const NOTICED: Duration = Duration::from_secs(2);
/// How long the log may take to stamp a record by the new time: its leader may
/// have to change first.
const STAMPED: Duration = Duration::from_secs(10);

/// Whether a clock jumped and, if a server's, the log's stamps with it.
pub(super) async fn apply(fault: &Fault, fleet: &Fleet) -> bool {
    let day = if fault.pod.is_multiple_of(2) {
        DAY
    } else {
        -DAY
    };
    if fault.kind == Kind::NodeClockJumps {
        return node(fault, fleet, day).await;
    }
    let pod = &fleet.pods[pods::JUMPY];
    pod.show(day);
    tokio::time::sleep(fault.lasts.max(NOTICED)).await;
    let noticed = pod.noticed().await;
    pod.show(0);
    noticed
}

async fn node(fault: &Fault, fleet: &Fleet, day: i64) -> bool {
    let node = &fleet.cluster.nodes[cluster::JUMPY];
    fleet.cluster.lead_by_jumpy().await;
    let before = stamped(fleet).await;
    node.show(day);
    let other = async {
        loop {
            let now = stamped(fleet).await;
            if now.is_ok() && now != before {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let seen = tokio::time::timeout(STAMPED, other).await.is_ok() && before.is_ok();
    lasts(fault).await;
    node.show(0);
    seen
}

/// The day of the newest record's stamp.
async fn stamped(fleet: &Fleet) -> Result<String, String> {
    let last = fleet.cluster.log_end().await?;
    let record = fleet.cluster.record(last).await?;
    let time = record["time"].as_str().unwrap_or_default();
    let day = time.get(..10).ok_or("a record without a stamp")?;
    Ok(day.to_owned())
}
