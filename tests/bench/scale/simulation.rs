//! Fleets that do not fit this machine, with the costs that were measured on it.
//!
//! Two queues in a row: NATS, which sends each record to all pods, on as many
//! processors as its servers have, and one pod, which applies it on one. Records
//! come at random (Poisson); each waits for what came before it (Lindley's
//! recursion). What is said of delays leaves out the network and the disk. A
//! queue that is given more than it can do has no answer but that.

use super::costs::{BEATS, Costs};
use super::cpu::float;
use super::page;
use crate::Result;
use fastrand::Rng;

/// Pods, keys invalidated in a second, keys of a record.
const FLEETS: [(usize, usize, usize); 9] = [
    (32, 1_000, 1),
    (100, 1_000, 1),
    (100, 10_000, 1),
    (100, 100_000, 256),
    (1_000, 1_000, 1),
    (1_000, 10_000, 16),
    (1_000, 100_000, 1),
    (1_000, 100_000, 16),
    (1_000, 100_000, 256),
];
/// Processors of all NATS servers of the fleet together.
const NATS_CORES: f64 = 8.0;
/// Records that are simulated.
const RECORDS: usize = 200_000;
/// A queue that is busier has no steady state worth telling.
const FULL: f64 = 0.95;

/// One line for each fleet.
pub(crate) fn run(costs: Costs) -> Result<()> {
    let mut table = format!(
        "NATS with {NATS_CORES:.0} processors, one processor for each pod's log\n\n\
         | pods | keys/s | keys of a record | processors NATS needs | NATS sends | a pod is sent | a pod's CPU | beats, 1/s | publish to apply, p50 / p99 |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n"
    );
    for fleet in FLEETS {
        table += &row(costs, fleet);
    }
    page::write("simulation", &table)
}

fn row(costs: Costs, (pods, per_second, keys): (usize, usize, usize)) -> String {
    let records = float(per_second) / float(keys);
    let beats = float(pods) * BEATS;
    // What a key adds to a record, NATS moves once for each pod.
    let longer = costs.stored.at(keys) - costs.stored.at(1);
    let sent = costs.written.each + longer;
    let nats = costs.nats_of(pods, keys);
    // A beat is stored, and sent to its own pod alone.
    let cores = (records * nats + beats * costs.nats.at(1)) / 1e6;
    let pod = costs.pod.at(keys);
    let busy = records * pod / 1e6;
    let mib = |bytes: f64| bytes / f64::from(1 << 20);
    let delay = match cores / NATS_CORES < FULL && busy < FULL {
        true => delays(records, nats / NATS_CORES, pod),
        false => "more than it can do".into(),
    };
    format!(
        "| {pods} | {per_second} | {keys} | {cores:.2} | {:.1} MiB/s | {:.2} MiB/s | {:.2} % | {beats:.0} | {delay} |\n",
        mib(records * sent * float(pods)),
        mib(records * sent),
        100.0 * busy,
    )
}

/// How long records take through both queues; costs in microseconds.
fn delays(per_second: f64, nats: f64, pod: f64) -> String {
    let mut rng = Rng::with_seed(7);
    let mut now = 0.0;
    let (mut nats_free, mut pod_free) = (0.0_f64, 0.0_f64);
    let delays = (0..RECORDS).map(|_| {
        now += -rng.f64().max(1e-12).ln() * 1e6 / per_second;
        nats_free = nats_free.max(now) + nats;
        pod_free = pod_free.max(nats_free) + pod;
        pod_free - now
    });
    let mut delays: Vec<f64> = delays.collect();
    delays.sort_by(f64::total_cmp);
    let [p50, p99] = [RECORDS / 2, RECORDS - RECORDS / 100].map(|at| delays[at] / 1e3);
    format!("{p50:.2} / {p99:.2} ms")
}
