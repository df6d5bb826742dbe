//! Planted bugs: in which schedule each was caught last, and the table of them
//! all. [`Bug::ALL`] is declared with the bugs, so none is left out.
//!
//! `UNSTALE_EVERY_BUG=1 UNSTALE_TABLE=1 cargo test -p unstale-tests --test
//! simulation every_planted` searches every bug from seed 0 and writes
//! planted.txt and docs/planted-bugs.md; UNSTALE_CASE names the bugs that are
//! searched, the others keep their lines. A changed generator gives every seed
//! another meaning: run it again then.

use crate::directed;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use unstale_engine::coherence::Bug;

/// A search begins so many schedules before the recorded one.
const BEFORE: u64 = 2;

/// Bugs of coherence.md that no switch plants, and why.
const LATER: [(&str, &str); 1] = [(
    "early refresh reuses an old `as_of`",
    "an early fill has the `as_of` of its grant, as every fill: `AsOfAfterRead` plants what is wrong with that",
)];

/// What no switch of the engine can plant.
const OUTSIDE: &str = "
Outside the engine, so without a switch: a half-open breaker that lets all through. Taking the guard away fails three tests
of `sidecar/src/remote` and one of `tests/e2e/breaker.rs`.
";

/// The bug of this name.
pub(crate) fn named(name: &str) -> Option<Bug> {
    let mut all = Bug::ALL.iter().copied();
    all.find(|bug| format!("{bug:?}") == name)
}

/// The schedule that caught a bug, and the rule that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Caught {
    pub(crate) seed: u64,
    pub(crate) rule: String,
}

/// By the bug's name.
pub(crate) type Record = BTreeMap<String, Caught>;

/// planted.txt, a line each: bug, seed, rule.
pub(crate) fn recorded() -> Record {
    include_str!("planted.txt").lines().map(parse).collect()
}

fn parse(line: &str) -> (String, Caught) {
    let mut words = line.splitn(3, ' ');
    let mut word = || words.next().expect("a line has bug, seed and rule");
    let bug = word().to_owned();
    let seed = word().parse().expect("a number");
    let rule = word().to_owned();
    (bug, Caught { seed, rule })
}

/// Where the search for a bug begins, unless all of it is asked for.
pub(crate) fn search_from(bug: Bug) -> u64 {
    let caught = recorded().remove(&format!("{bug:?}"));
    caught.map_or(0, |caught| caught.seed.saturating_sub(BEFORE))
}

/// Writes planted.txt and the table in the docs.
pub(crate) fn write(record: &Record) {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let lines = record
        .iter()
        .map(|(bug, Caught { seed, rule })| format!("{bug} {seed} {rule}\n"));
    let texts = [
        ("simulation/planted.txt", lines.collect::<String>()),
        ("../docs/planted-bugs.md", page(record)),
    ];
    for (path, text) in texts {
        std::fs::write(here.join(path), text).expect("the tree can be written");
    }
}

/// The page of the docs.
pub(crate) fn page(record: &Record) -> String {
    let mut later = String::new();
    for (bug, feature) in LATER {
        writeln!(later, "| {bug} | {feature} |").expect("a string takes all");
    }
    format!(
        "{HEAD}{}\nNo switch plants:\n\n| bug | why |\n| --- | --- |\n{later}{OUTSIDE}",
        table(record)
    )
}

const HEAD: &str = "\
# Planted bugs

Each is a switch that only tests can set. It takes one safeguard out of the real
engine; the simulation runs schedules 0, 1, 2, … until a checker notices. The
same schedule without the bug passes. *Directed*: the schedules hold only what
the bug needs (`tests/simulation/directed.rs`). Written by

    UNSTALE_EVERY_BUG=1 UNSTALE_TABLE=1 cargo test -p unstale-tests --test simulation every_planted

";

/// Every bug, in the order of their declaration.
pub(crate) fn table(record: &Record) -> String {
    let mut table = "| planted bug | what it does | schedules | caught by | after |\n| --- | --- | --- | --- | ---: |\n".to_owned();
    for bug in Bug::ALL {
        let kind = match directed::is_directed(*bug) {
            true => "directed",
            false => "random",
        };
        let (rule, after) = match record.get(&format!("{bug:?}")) {
            Some(caught) => (caught.rule.as_str(), (caught.seed + 1).to_string()),
            None => ("not caught", String::new()),
        };
        let note = note(*bug);
        let meaning = bug.meaning();
        let what = match note.is_empty() {
            true => meaning.to_owned(),
            false => format!("{meaning} ({note})"),
        };
        writeln!(table, "| {bug:?} | {what} | {kind} | {rule} | {after} |")
            .expect("a string takes all");
    }
    table
}

/// What there is to say of how a bug is planted, beside what it does.
fn note(bug: Bug) -> &'static str {
    match bug {
        Bug::UnconditionalCas => {
            "a pair: either safeguard alone suffices, the append's condition and the floor of the other's Write at the own echo"
        }
        Bug::FleetEarly => {
            "a pair: the wait of D after an interruption and that of a young epoch mask each other, as in tests/model/epochs"
        }
        Bug::AcrossReconnect => {
            "in the engine; the modelled consumer goes on across the reconnect and its numbers fit, as after a node's restart"
        }
        Bug::OldIncarnation => {
            "in the engine; the modelled log keeps Beats for 4 s, and its consumers are made again and count from 1"
        }
        Bug::ConsumerErrorSwallowed => {
            "in the engine; the modelled driver reports the end, and the consumer in its place misses records"
        }
        Bug::NoDependencyFloor => "the schedules are those in which values are made of others",
        Bug::DroppingChannel => "in the engine; deliveries get lost on the modelled way to it",
        Bug::KeyNotChecked => "the modelled tier answers with another key's record now and then",
        Bug::ExpiryByOwnClock => {
            "wall-clock time of a pod: the modelled pods' own clocks differ by days"
        }
        Bug::BeatBeforeJoin | Bug::OverdueJoinIgnored => {
            "Joins get lost where Beats pass, as with a permission that is missing"
        }
        Bug::CasRetried | Bug::SetReplayed => "in the engine, for the log's indefinite answers",
        Bug::HeldForEver => {
            "the modelled log loses proposals in some schedules, and holds their ids"
        }
        _ => "",
    }
}
