//! Every outage of a value tier: what is demanded during it and after it, and
//! how often the origin is read.

use super::demands;
use super::origin::{Callers, Load};
use super::outage::{Kind, Outage, Tier, Works};
use crate::fleet::Fleet;
use futures::StreamExt as _;
use futures::future::join_all;
use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use unstale_tests::{PATIENCE, eventually};

const PODS: usize = 2;
const ROUNDS: u32 = 2;
/// Keys that are tried: enough for each connection to have one.
const PROBES: usize = 16;
/// Fleets at the same time.
const AT_ONCE: usize = 2;
/// Reads of the origin by key and pod: in sequence while leases are impossible.
const MOST: u32 = 2;
/// Lines of the log that an outage of less than a minute may cost.
const LINES: usize = 6;
/// After the outage, of those before.
const AFTER: f64 = 1.2;

/// Those of a server of Redis' kind but for two, which a second fleet goes through.
const OF_REDIS: [Outage; 6] = [
    Outage::Full,
    Outage::Killed,
    Outage::Stopped,
    Outage::Cut,
    Outage::Stalled,
    Outage::ReadOnly,
];

/// The outages that one fleet goes through. The first of each is told of by its
/// log: what was said within the last minute is not said again.
const FLEETS: [(Kind, &[Outage]); 6] = [
    (Kind::Redis, &OF_REDIS),
    (
        Kind::Memcached,
        &[
            Outage::Full,
            Outage::Killed,
            Outage::Stopped,
            Outage::Cut,
            Outage::Stalled,
            Outage::Slow,
        ],
    ),
    (Kind::Valkey, &OF_REDIS),
    (Kind::Redis, &[Outage::Slow, Outage::Password]),
    (Kind::Valkey, &[Outage::Slow, Outage::Password]),
    (Kind::MemcachedLogin, &[Outage::Password]),
];

#[derive(Clone)]
struct Row {
    outage: Outage,
    kind: Kind,
    before: Load,
    during: Load,
    returning: Returning,
    after: Load,
}

/// Reads of the origin from the end of the outage until all pods use the tier.
#[derive(Clone, Copy)]
struct Returning {
    /// Of keys that the pods hold.
    held: u32,
    /// Of keys that nothing holds, by key and pod, in each wave of callers.
    mean: f64,
    most: u32,
}

/// The outages of one fleet, one after the other.
async fn rows(kind: Kind, outages: &[Outage]) -> Vec<Row> {
    let mut tier = Tier::start(kind).await;
    let fleet = Fleet::configured(PODS, &tier.config()).await;
    let all = Callers::new(fleet.clients().await, "hot:");
    let mut rows = Vec::new();
    for outage in outages {
        rows.push(row((&mut tier, kind), *outage, (&fleet, &all)).await);
        if rows.len() == 1 {
            is_said(&fleet).await;
        }
    }
    for pod in &fleet.pods {
        let log = pod.log();
        let lines = log.lines().filter(|line| line.contains("ERROR")).count();
        assert!(
            lines <= LINES * outages.len(),
            "{kind:?} {outages:?}: {log}"
        );
    }
    rows
}

/// One outage from before to after.
async fn row(
    (tier, kind): (&mut Tier, Kind),
    outage: Outage,
    (fleet, all): (&Fleet, &Callers),
) -> Row {
    let before = all.rounds(ROUNDS).await;
    let name = format!("{outage:?}");
    let needed = demands::before(&all.pods, &name).await;
    let works = Works::during(outage, kind);
    let failed = failed(fleet).await;
    tier.begin(outage).await;
    // The first round finds out.
    let during = all.rounds(ROUNDS).await;
    demands::during(works, &all.pods, &needed).await;
    is_told(fleet, works, &failed).await;
    tier.end(outage);
    let returning = returns(fleet, all, &name).await;
    let after = all.rounds(ROUNDS).await;
    demands::after(&all.pods, &needed).await;
    Row {
        outage,
        kind,
        before,
        during,
        returning,
        after,
    }
}

/// Calls to the tier that failed so far, by pod.
async fn failed(fleet: &Fleet) -> Vec<u64> {
    let pods = fleet.pods.iter();
    join_all(pods.map(|pod| pod.metric("unstale_remote_errors_total"))).await
}

/// An operator sees it in a metric, and in Status while not even reads succeed.
async fn is_told(fleet: &Fleet, works: Works, before: &[u64]) {
    for (failed, before) in failed(fleet).await.iter().zip(before) {
        assert!(failed > before, "{works:?}");
    }
    for pod in &fleet.pods {
        if works.reads == Some(false) {
            assert_ne!(pod.status().await.remote_error, "", "{works:?}");
            assert_eq!(pod.metric("unstale_remote_up").await, 0, "{works:?}");
        }
    }
}

/// And in the log, whatever it is.
async fn is_said(fleet: &Fleet) {
    for pod in &fleet.pods {
        let ask = || async {
            let log = pod.log();
            let said = log.contains("calls to the remote tier fail");
            said.then_some(()).ok_or(log)
        };
        eventually("a line in the log", PATIENCE, ask).await;
    }
}

/// Waits until every pod uses the tier again, while callers go on asking for
/// keys that the pods hold, and for new ones that nobody has. What the pods hold
/// is good: there need be no reads of that.
async fn returns(fleet: &Fleet, all: &Callers, name: &str) -> Returning {
    let held = AtomicU32::new(0);
    let waves = Mutex::new(Vec::new());
    for (pod, cache) in fleet.pods.iter().zip(&all.pods) {
        let ask = || async {
            held.fetch_add(all.ask_again().await, SeqCst);
            let wave = waves.lock().expect("no panic").len();
            let wave = all.ask_for_more(&format!("{name}:new:{wave}:")).await;
            waves.lock().expect("no panic").push(wave);
            // A pod may have several connections, each for some of the keys.
            let sets = (0..PROBES).map(|n| cache.set(format!("probe:{n}"), "probe"));
            for set in join_all(sets).await {
                let set = set.map_err(|e| e.to_string())?;
                set.degraded
                    .is_empty()
                    .then_some(())
                    .ok_or(format!("{set:?}"))?;
            }
            let error = pod.status().await.remote_error;
            error.is_empty().then_some(()).ok_or(error)
        };
        eventually("a pod that uses the tier again", PATIENCE, ask).await;
    }
    let waves = waves.into_inner().expect("no panic");
    let mean = waves.iter().map(|wave| wave.mean).sum::<f64>() / waves.len() as f64;
    let most = waves.iter().map(|wave| wave.most).max().unwrap_or_default();
    let held = held.into_inner();
    Returning { held, mean, most }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_origin_is_spared_in_every_outage_of_the_value_tier() {
    let fleets = futures::stream::iter(FLEETS).map(|(kind, outages)| rows(kind, outages));
    let fleets: Vec<_> = fleets.buffered(AT_ONCE).collect().await;
    let rows = fleets.concat();
    print(&rows);
    for row in &rows {
        let name = format!("{} {:?}", row.kind.name(), row.outage);
        assert!(row.during.most <= MOST, "{name}");
        assert_eq!(row.returning.held, 0, "{name}");
        assert!(row.returning.most <= MOST, "{name}");
        assert!(row.after.mean <= AFTER * row.before.mean, "{name}");
    }
}

/// Past the harness, which would keep it to itself.
fn print(rows: &[Row]) {
    let mut table = format!(
        "\norigin reads by key and pod, {PODS} pods, {ROUNDS} rounds in each phase\n\
         | outage | tier | before | during (most) | returning: held | new (most) | after | longest call during |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- |\n"
    );
    for row in rows {
        let Row {
            before,
            during,
            after,
            ..
        } = row;
        let written = writeln!(
            table,
            "| {:?} | {} | {:.2} | {:.2} ({}) | {} | {:.2} ({}) | {:.2} | {:.0?} |",
            row.outage,
            row.kind.name(),
            before.mean,
            during.mean,
            during.most,
            row.returning.held,
            row.returning.mean,
            row.returning.most,
            after.mean,
            during.longest
        );
        written.expect("memory takes it");
    }
    let mut log = std::io::stderr().lock();
    log.write_all(table.as_bytes()).expect("it is printed");
}
