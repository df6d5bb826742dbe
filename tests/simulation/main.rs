//! The real engine under one seeded scheduler: a few pods, a modelled log and
//! remote tier, faults, and a checker that judges every read while it runs.
//!
//! `UNSTALE_SEED=n cargo test -p unstale-tests --test simulation replay` runs
//! one schedule (UNSTALE_CASE plants a bug, UNSTALE_LESS leaves things out as a
//! report says, UNSTALE_TRACE prints everything, UNSTALE_SHRINK makes it small);
//! `UNSTALE_SCHEDULES` sets how many the main test runs, `UNSTALE_FROM` where it
//! begins, `UNSTALE_WITHIN` in
//! how many a planted bug must show (planted.rs tells how to search them all). A seed that failed goes to seeds.txt.

mod checker;
mod clients;
mod directed;
mod executor;
mod faults;
mod fleet;
mod grants;
mod less;
mod liveness;
mod lives;
mod log;
mod mix;
mod origin;
mod plan;
mod planted;
mod ports;
mod refs;
mod report;
mod runs;
mod schedule;
mod seeds;
mod shrink;
mod size;
mod table;
mod tier;
mod timeline;
mod world;

use less::Less;
use plan::Plan;
use std::time::Instant;
use unstale_engine::coherence::Bug;

/// Schedules of the main test unless UNSTALE_SCHEDULES says otherwise.
const SCHEDULES: u64 = 200_000;
/// So many reads are judged in them at least.
const READS: u64 = 10_000_000;
/// Faults of a schedule that can be made smaller.
const MANY_FAULTS: usize = 8;
/// So many schedules are made smaller.
const SHRUNK: usize = 3;
/// A planted bug must show within this many schedules unless UNSTALE_WITHIN
/// says otherwise.
const WITHIN: u64 = 20_000;
/// Directed schedules of each bug that are run without it.
const SOUND: u64 = 12;
/// One schedule in so many is run twice.
const TWICE: u64 = 100;

fn from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{name} must be a number"))
    })
}

#[test]
fn no_schedule_shows_a_stale_value_as_fresh() {
    repeat_kept_seeds();
    let schedules = from_environment("UNSTALE_SCHEDULES").unwrap_or(SCHEDULES);
    let begin = Instant::now();
    let from = from_environment("UNSTALE_FROM").unwrap_or(0);
    let (sum, failed) = runs::all(from..from + schedules, TWICE);
    if let Some(seed) = failed {
        panic!("{}", report::of(&Plan::new(seed, None, Less::default())));
    }
    println!(
        "0 violations in {schedules} schedules: {} reads judged, {} hits, {} invalidations, {:?}",
        sum.reads,
        sum.hits,
        sum.operations,
        begin.elapsed()
    );
    let (reads, few) = sum.excused;
    println!("{reads} reads in {few} schedules excused: the log had forgotten the version");
    println!("{}", sum.table);
    assert_eq!(
        sum.table.empty(),
        Vec::<String>::new(),
        "pairs that never met"
    );
    assert!(
        sum.hits > sum.reads / 10,
        "a cache that never hits proves nothing: {} of {}",
        sum.hits,
        sum.reads
    );
    assert!(
        sum.reads >= READS || schedules < SCHEDULES,
        "only {} reads were judged",
        sum.reads
    );
    for (seed, trace) in &sum.traces {
        let again = schedule::run(*seed, None).trace;
        assert_eq!(*trace, again, "seed {seed} run twice");
    }
    println!("{} schedules run twice with equal traces", sum.traces.len());
}

/// The seeds that failed once: mistakes do not come back unnoticed.
fn repeat_kept_seeds() {
    for kept in seeds::kept() {
        let plan = Plan::new(kept.seed, kept.case, kept.less);
        let caught = schedule::play(&plan, false).violation.is_some();
        assert!(
            caught == kept.case.is_some(),
            "kept seed ({}): {}",
            kept.why,
            report::of(&plan)
        );
    }
}

#[test]
fn every_planted_bug_is_caught() {
    let within = from_environment("UNSTALE_WITHIN").unwrap_or(WITHIN);
    let set = |name| std::env::var_os(name).is_some();
    let only = std::env::var("UNSTALE_CASE").ok();
    let asked = |name: &str| {
        only.as_deref()
            .is_none_or(|all| all.split(',').any(|of| of == name))
    };
    let mut record = planted::recorded();
    let mut missed = Vec::new();
    for bug in Bug::ALL.iter().copied() {
        let name = format!("{bug:?}");
        if !asked(&name) {
            continue;
        }
        let begin = Instant::now();
        let from = match set("UNSTALE_EVERY_BUG") {
            true => 0,
            false => planted::search_from(bug),
        };
        match caught(bug, from..from + within) {
            Some(caught) => {
                println!("{name} {caught:?} {:?}", begin.elapsed());
                record.insert(name, caught);
            }
            None => {
                println!("{name} missed {:?}", begin.elapsed());
                record.remove(&name);
                missed.push(bug);
            }
        }
        if set("UNSTALE_TABLE") {
            planted::write(&record);
        }
    }
    println!("{}", planted::table(&record));
    if !set("UNSTALE_EVERY_BUG") {
        assert_eq!(record, planted::recorded(), "record it again (planted.rs)");
    }
    assert!(
        missed.is_empty(),
        "not caught within {within} schedules: {missed:?}"
    );
}

#[test]
fn a_schedule_that_failed_is_shrunk_and_still_breaks_the_same_rule() {
    let plan = |seed| Plan::new(seed, Some(Bug::NoHorizon), Less::default());
    // Of few faults all may be needed.
    let many = |seed| plan(seed).strikes.len() >= MANY_FAULTS;
    let fails = |seed| schedule::run(seed, Some(Bug::NoHorizon)).violation;
    let (mut from, mut faults, mut left) = (0, 0, 0);
    // Of one schedule's, all may be needed as well.
    for _ in 0..SHRUNK {
        let next = runs::first(from..2000, |seed| many(seed) && fails(seed).is_some());
        let seed = next.expect("it is caught soon");
        let (all, small) = shrunk(&plan(seed));
        (from, faults, left) = (seed + 1, faults + all, left + small);
    }
    assert!(left < faults, "{left} of {faults} faults are left");
}

/// Faults of a schedule before and after.
fn shrunk(plan: &Plan) -> (usize, usize) {
    let violation = |less| schedule::play(&plan.with(less), false).violation;
    let rule = violation(Less::default()).expect("it was caught").rule;
    let small = shrink::shrink(plan, rule);
    let again: Less = small.less.to_string().parse().expect("its text form");
    let again = violation(again).map(|violation| violation.rule);
    assert_eq!(again, Some(rule), "{}", report::of(plan));
    assert!(small.strikes.len() <= plan.strikes.len());
    (plan.strikes.len(), small.strikes.len())
}

/// The first schedule that shows a bug; without the bug it has to pass.
fn caught(bug: Bug, seeds: std::ops::Range<u64>) -> Option<planted::Caught> {
    let run = |seed| schedule::run(seed, Some(bug)).violation;
    let seed = runs::first(seeds, |seed| run(seed).is_some())?;
    let rule = run(seed)
        .expect("a schedule depends on its seed alone")
        .rule;
    let sound = schedule::run_sound(seed, bug).violation;
    assert_eq!(sound, None, "{bug:?}, seed {seed}: without the bug, too");
    let rule = rule.to_owned();
    Some(planted::Caught { seed, rule })
}

/// What only directed schedules have breaks no sound engine.
#[test]
fn directed_schedules_pass_without_their_bug() {
    let directed = Bug::ALL.iter().filter(|bug| directed::is_directed(**bug));
    for bug in directed.copied() {
        let fails = |seed| schedule::run_sound(seed, bug).violation.is_some();
        let failed = runs::first(0..SOUND, fails);
        let why = failed.map(|seed| (seed, schedule::run_sound(seed, bug).violation));
        assert_eq!(why, None, "{bug:?}");
    }
}

#[test]
fn the_table_in_the_docs_is_the_recorded_one() {
    let docs = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/planted-bugs.md");
    let docs = std::fs::read_to_string(docs).expect("the page is there");
    assert_eq!(docs, planted::page(&planted::recorded()));
}

fn named_case() -> Option<Bug> {
    let name = std::env::var("UNSTALE_CASE").ok()?;
    if name.is_empty() {
        return None;
    }
    Some(crate::planted::named(&name).expect("UNSTALE_CASE names a planted bug"))
}

#[test]
fn replay() {
    let seed = from_environment("UNSTALE_SEED").unwrap_or(0);
    let less = std::env::var("UNSTALE_LESS").unwrap_or_default();
    let less = less.parse().expect("UNSTALE_LESS is what a report says");
    let plan = Plan::new(seed, named_case(), less);
    if std::env::var_os("UNSTALE_SHRINK").is_some() {
        println!("{}", report::of(&plan));
    }
    let outcome = schedule::play(&plan, true);
    println!(
        "seed {seed}: {} reads, {} hits, {} invalidations\nmix: {}\n{}",
        outcome.reads,
        outcome.hits,
        outcome.operations,
        plan.mix,
        outcome.timeline.join("\n")
    );
    assert_eq!(outcome.violation, None);
}
