//! Chaos: real sidecars and real NATS servers in network namespaces of their
//! own, faults while clients run, and a checker that judges every answer.
//!
//! `UNSTALE_CHAOS=full` runs four times as many storms; `UNSTALE_SEED=n` draws
//! the same faults again (real processes do not run the same way twice);
//! `UNSTALE_PHASE`, `UNSTALE_STORMS` and `UNSTALE_POD_LOG` look at a part of it
//! (plan.rs, pods.rs). A whole run in which a kind of fault never came about has
//! failed. It needs root: where it cannot run it says so, a failure when CI=true.

mod checker;
mod clients;
mod cluster;
mod converge;
mod faults;
mod fleet;
mod history;
mod network;
mod phases;
mod plan;
mod pods;
mod process;
mod proxy;
mod report;

use report::Report;
use std::process::ExitCode;
use std::time::Instant;

fn main() -> ExitCode {
    // What cargo test passes on: a part of a test's name.
    let filter = std::env::args().skip(1).find(|arg| !arg.starts_with('-'));
    if filter.is_some_and(|filter| !"chaos".contains(&filter)) {
        return closing(0, 0, 0);
    }
    if let Some(why) = network::impossible() {
        let ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
        println!("chaos cannot run: {why}");
        return closing(0, u64::from(ci), u64::from(!ci));
    }
    network::sweep();
    let seed = std::env::var("UNSTALE_SEED").ok();
    let seed = seed.map_or_else(|| fastrand::u64(..1 << 32), |s| s.parse().expect("a seed"));
    println!("UNSTALE_SEED={seed}");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let began = Instant::now();
    let report = Report::default();
    let caught = runtime.block_on(phases::lies_are_caught(0, seed));
    println!("loaders that lie were caught: {caught}");
    let (mut passed, mut failed) = (u64::from(caught), u64::from(!caught));
    for (number, phase) in plan::phases().iter().enumerate() {
        let whole = runtime.block_on(phase.run(number + 1, seed + number as u64, &report));
        *if whole { &mut passed } else { &mut failed } += 1;
    }
    report.print();
    if !plan::partial() {
        let lacks = report.lacks();
        lacks.iter().for_each(|lack| println!("LACKS {lack}"));
        *if lacks.is_empty() {
            &mut passed
        } else {
            &mut failed
        } += 1;
    }
    println!("took {:.0} s", began.elapsed().as_secs_f64());
    closing(passed, failed, 0)
}

/// The line by which tests/run counts.
fn closing(passed: u64, failed: u64, ignored: u64) -> ExitCode {
    let word = if failed == 0 { "ok" } else { "FAILED" };
    println!("test result: {word}. {passed} passed; {failed} failed; {ignored} ignored");
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
