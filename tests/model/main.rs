//! The coherence protocol as small state-space models, each searched whole.
//!
//! Guarantees: every design holds in every state that its bounds allow, every
//! "sometimes" property is reached, and each safeguard, taken away alone, is
//! seen to fail. `MODEL=<part of a name>` chooses models, `MODEL_TRACE=1`
//! prints the counterexamples.
//!
//! Not here: the engine's own code under faults (tests/simulation), bytes,
//! sockets and real clocks. Each module names what it leaves out.

mod confirmation;
mod engine;
mod epochs;
mod fills;
mod report;
mod row;
mod sessions;
mod truncation;
mod writes;

use report::{Design, Removal, Searched, Violation};
use std::sync::{Mutex, PoisonError};

/// One search at a time: each uses both cores.
static CORES: Mutex<()> = Mutex::new(());

fn designs() -> Vec<Design> {
    [
        sessions::designs(),
        fills::designs(),
        truncation::designs(),
        epochs::designs(),
        writes::designs(),
        confirmation::designs(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn removals() -> Vec<Removal> {
    [
        sessions::removals(),
        fills::removals(),
        truncation::removals(),
        epochs::removals(),
        writes::removals(),
        confirmation::removals(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Whether the environment asks for this model.
fn chosen(name: &str) -> bool {
    std::env::var("MODEL").map_or(true, |part| name.contains(&part))
}

#[test]
fn the_protocol_holds_in_every_state_of_every_model() {
    let _cores = CORES.lock().unwrap_or_else(PoisonError::into_inner);
    println!("{}", Searched::HEADER);
    let (mut unique, mut whole) = (0, true);
    for design in designs().iter().filter(|design| chosen(design.name)) {
        let searched = (design.search)();
        println!("{}", searched.row(design.name));
        unique += searched.unique;
        whole &= searched.reached_all();
    }
    assert!(whole, "a sometimes property was not reached");
    let all = std::env::var_os("MODEL").is_none();
    assert!(!all || unique >= 1_000_000, "only {unique} states");
}

#[test]
fn every_safeguard_is_needed() {
    let _cores = CORES.lock().unwrap_or_else(PoisonError::into_inner);
    println!("{}", Violation::HEADER);
    let mut unneeded = Vec::new();
    for removal in removals().iter().filter(|removal| chosen(removal.model)) {
        match (removal.search)() {
            Some(violation) => println!("{}", violation.row(removal)),
            None => unneeded.push(format!("{}: {}", removal.model, removal.safeguard)),
        }
    }
    assert!(unneeded.is_empty(), "hold without: {unneeded:#?}");
}
