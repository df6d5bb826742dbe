//! The clients of one pod, over its Unix socket: two readers, a loader, one who
//! changes the origin and invalidates, and one who writes and swaps. They go on through every fault; an
//! error or a timeout promises nothing and is not retried.

mod change;
mod load;
mod read;
mod swap;

pub(crate) use change::change;
pub(crate) use read::read_all;
pub(crate) use swap::REGISTERS;

use crate::fleet::Fleet;
use change::changes;
use fastrand::Rng;
use load::loads;
use read::reads;
use std::time::Duration;
use swap::swaps;
use tonic::Request;

/// Between two calls of one client, for each pod that the machine has to run.
const PACE: Duration = Duration::from_millis(5);
/// No healthy read takes as long.
const READ: Duration = Duration::from_millis(800);

/// Runs every client of every pod for ever.
pub(crate) async fn run(fleet: &Fleet, seed: u64) {
    let clients = (0..fleet.pods.len()).map(|pod| async move {
        let mut rngs = (0..5).map(|i| Rng::with_seed(seed ^ (pod as u64 * 8 + i)));
        let mut next = || rngs.next().expect("five");
        tokio::join!(
            reads(fleet, pod, next()),
            reads(fleet, pod, next()),
            loads(fleet, pod, next()),
            changes(fleet, pod, next()),
            swaps(fleet, pod, next()),
        )
    });
    futures::future::join_all(clients).await;
}

/// Rests between two calls of one client, `times` as long as the quickest.
async fn rest(fleet: &Fleet, times: u32) {
    let pods = u32::try_from(fleet.pods.len()).expect("a few pods");
    tokio::time::sleep(PACE * pods * times).await;
}

/// A request with a deadline.
pub(crate) fn within<T>(message: T, deadline: Duration) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(deadline);
    request
}
