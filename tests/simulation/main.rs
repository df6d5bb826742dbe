//! The real engine under one seeded scheduler: three pods, a modelled log and
//! remote tier, faults, and a checker that judges every read while it runs.
//!
//! `UNSTALE_SEED=n cargo test -p unstale-tests --test simulation replay` runs
//! one schedule; `UNSTALE_SCHEDULES` sets how many the main test runs.

mod executor;
mod ports;
mod schedule;
mod world;

use std::time::Instant;
use unstale_engine::coherence::{Bug, Bugs};

/// Schedules of the main test unless UNSTALE_SCHEDULES says otherwise.
const SCHEDULES: u64 = 2000;
/// A planted bug must show within this many schedules.
const WITHIN: u64 = 1000;

fn from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{name} must be a number"))
    })
}

#[test]
fn no_schedule_shows_a_stale_value_as_fresh() {
    let schedules = from_environment("UNSTALE_SCHEDULES").unwrap_or(SCHEDULES);
    let (mut reads, mut hits, mut operations) = (0, 0, 0);
    let begin = Instant::now();
    for seed in 0..schedules {
        if seed % 500 == 0 {
            println!("{seed} schedules, {reads} reads, {:?}", begin.elapsed());
        }
        let outcome = schedule::run(seed, Bugs::NONE);
        if let Some(violation) = outcome.violation {
            panic!(
                "seed {seed}: {violation}\nreplay: UNSTALE_SEED={seed} cargo test -p unstale-tests --test simulation replay -- --nocapture"
            );
        }
        reads += outcome.reads;
        hits += outcome.hits;
        operations += outcome.operations;
    }
    println!(
        "0 violations in {schedules} schedules: {reads} reads judged, {hits} hits, {operations} invalidations, {:?}",
        begin.elapsed()
    );
    assert!(
        hits > reads / 10,
        "a cache that never hits proves nothing: {hits} of {reads}"
    );
}

#[test]
fn equal_seeds_run_equal_schedules() {
    for seed in 0..15 {
        let (a, b) = (
            schedule::run(seed, Bugs::NONE),
            schedule::run(seed, Bugs::NONE),
        );
        assert_eq!(
            (a.trace, a.reads, a.hits),
            (b.trace, b.reads, b.hits),
            "seed {seed}"
        );
    }
}

#[test]
fn every_planted_bug_is_caught() {
    let bugs = [
        Bug::NoFloorsInL1,
        Bug::NoFloorsInRemote,
        Bug::AsOfAfterRead,
        Bug::NoTagFloor,
        Bug::NoPending,
        Bug::NoHorizon,
        Bug::BeatWithoutEcho,
        Bug::FleetIgnoresSilent,
        Bug::DroppingChannel,
    ];
    println!("| planted bug | caught by | schedules |\n| --- | --- | --- |");
    let mut missed = Vec::new();
    for bug in bugs {
        let caught = (0..WITHIN).find_map(|seed| {
            schedule::run(seed, Bugs::plant(bug))
                .violation
                .map(|v| (seed, v))
        });
        match caught {
            Some((seed, violation)) => {
                let invariant = violation.split(": ").nth(1).unwrap_or_default().to_owned();
                println!("| {bug:?} | {invariant} | {} |", seed + 1);
            }
            None => missed.push(bug),
        }
    }
    assert!(
        missed.is_empty(),
        "not caught within {WITHIN} schedules: {missed:?}"
    );
}

#[test]
fn replay() {
    let seed = from_environment("UNSTALE_SEED").unwrap_or(0);
    let outcome = schedule::run(seed, Bugs::NONE);
    println!(
        "seed {seed}: {} reads, {} hits, {} invalidations",
        outcome.reads, outcome.hits, outcome.operations
    );
    assert_eq!(outcome.violation, None);
}
