//! The run: one fleet after another, each through storms of faults that
//! overlap, and demanded to converge after every storm.

use crate::clients;
use crate::converge::{Converged, converge};
use crate::faults::{Fault, Kind};
use crate::fleet::{Fleet, Shape};
use crate::report::Report;
use fastrand::Rng;
use futures::FutureExt as _;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::time::Duration;
use unstale_tests::{PATIENCE, eventually};

/// One fleet's life.
pub(crate) struct Phase {
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
    pub(crate) storms: usize,
    pub(crate) faults_per_storm: usize,
    /// How long a storm's faults begin for.
    pub(crate) storm: Duration,
    /// The longest fault, in session ttls.
    pub(crate) most_ttls: f64,
    pub(crate) kinds: Vec<Kind>,
    /// One after the other, with clients but no storm, at the end: what no other
    /// fault may keep from coming about, and what takes the log away.
    pub(crate) alone: Vec<Kind>,
}

impl Phase {
    /// Runs it; true when nothing was broken.
    pub(crate) async fn run(&self, number: usize, seed: u64, report: &Report) -> bool {
        let fleet = Fleet::start(number, self.shape).await;
        println!("{}: a fleet of {} pods", self.name, fleet.pods.len());
        let mut converged = Vec::new();
        let life = async {
            tokio::select! {
                () = clients::run(&fleet, seed) => {}
                () = self.weather(&fleet, seed, report, &mut converged) => {}
            }
        };
        // The logs of whatever did not happen in time are wanted, too.
        if AssertUnwindSafe(life).catch_unwind().await.is_err() {
            let what = "see the panic's message".to_owned();
            fleet.checker.broke("not in time", None, what);
        }
        report.phase(self.name, &fleet, &converged);
        explain(self.name, &fleet);
        fleet.checker.broken().is_empty()
    }

    /// Storm after storm, until something is broken.
    async fn weather(
        &self,
        fleet: &Fleet,
        seed: u64,
        report: &Report,
        converged: &mut Vec<Converged>,
    ) {
        let mut rng = Rng::with_seed(seed);
        converged.push(converge(fleet).await);
        let mut number = 0;
        for storm in self.forecast(&mut rng) {
            let mut fault = |kind| {
                number += 1;
                Fault::draw(kind, (fleet, &mut rng), self.storm, self.most_ttls, number)
            };
            let faults: Vec<_> = storm.into_iter().map(&mut fault).collect();
            let faults = faults.iter().map(|fault| fault.run(fleet, report));
            futures::future::join_all(faults).await;
            converged.push(converge(fleet).await);
            if !fleet.checker.broken().is_empty() {
                return;
            }
        }
    }

    /// What each storm consists of: the kinds in turn, shuffled.
    fn forecast(&self, rng: &mut Rng) -> Vec<Vec<Kind>> {
        let mut left = Vec::new();
        let mut next = || {
            if left.is_empty() {
                left.clone_from(&self.kinds);
                rng.shuffle(&mut left);
            }
            left.pop().expect("at least one kind")
        };
        let mut storm = |_| (0..self.faults_per_storm).map(|_| next()).collect();
        let storms = (0..self.storms).map(&mut storm);
        let alone = self.alone.iter().map(|&kind| vec![kind]);
        storms.chain(alone).collect()
    }
}

/// What a fleet whose loaders lie must break before anybody is believed.
const LIES: [&str; 4] = ["I-1", "I-2", "I-3", "I-4"];

/// Runs such a fleet, without faults; true when the checker caught it all.
pub(crate) async fn lies_are_caught(number: usize, seed: u64) -> bool {
    let fleet = Fleet::start(
        number,
        Shape {
            pods: 2,
            nodes: 1,
            session_ttl: Duration::from_secs(2),
            lies: true,
        },
    );
    let fleet = fleet.await;
    let caught = |rule: &&str| {
        let broken = fleet.checker.broken();
        broken.iter().any(|broken| broken.rule.starts_with(*rule))
    };
    let all = || async {
        let left: Vec<_> = LIES.iter().filter(|rule| !caught(rule)).collect();
        left.is_empty().then_some(()).ok_or(format!("{left:?}"))
    };
    tokio::select! {
        () = clients::run(&fleet, seed) => false,
        () = eventually("lies that are caught", PATIENCE, all) => true,
    }
}

/// Prints what was broken with the key's timeline, and keeps the whole history.
fn explain(name: &str, fleet: &Fleet) {
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("chaos-{name}"));
    std::fs::create_dir_all(&dir).expect("a directory");
    fleet.history.keep(&dir.join("history"));
    fleet.keep_logs(&dir);
    for violation in fleet.checker.broken().iter().take(5) {
        println!("\nBROKEN {}: {}", violation.rule, violation.what);
        let within = fleet.checker.bound() * 2 + Duration::from_secs(5);
        println!("{}", fleet.history.timeline(violation.key, within));
    }
    println!(
        "{name}: the whole history and all logs are in {}",
        dir.display()
    );
}
