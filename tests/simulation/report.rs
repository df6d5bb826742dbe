//! Everything there is to say of a schedule that failed: seed, options, the
//! shrunk schedule with its key's timeline, and the commands that replay both.

use crate::plan::Plan;
use crate::schedule::{self, Outcome};
use crate::shrink;

/// Runs the plan again, shrinks it, and tells.
pub(crate) fn of(plan: &Plan) -> String {
    let Some(violation) = schedule::play(plan, false).violation else {
        let what = match plan.case {
            Some(bug) => format!("{bug:?} is not caught"),
            None => "passes when run again: not deterministic".into(),
        };
        return format!("{what}\n{}", replay(plan));
    };
    let small = shrink::shrink(plan, violation.rule);
    let outcome = schedule::play(&small, true);
    let Plan {
        seed, case, less, ..
    } = &small;
    let case = case.map(|bug| format!(" {bug:?}")).unwrap_or_default();
    format!(
        "seed {seed}: {violation}\nmix: {}\n{} faults; replay: {}\n{}\nkeep it: add `{seed}{case} {less}` to tests/simulation/seeds.txt",
        plan.mix,
        plan.strikes.len(),
        replay(plan),
        shrunk(&small, &outcome),
    )
}

fn shrunk(plan: &Plan, outcome: &Outcome) -> String {
    let strikes = plan.strikes.iter().map(|strike| format!("{strike}\n"));
    let violation = outcome.violation.as_ref().map(ToString::to_string);
    format!(
        "shrunk: {}\nmix: {}\n{} faults:\n{}timeline of the key:\n{}\nreplay the shrunk one: {}",
        violation.unwrap_or_else(|| "passes when run again: not deterministic".into()),
        plan.mix,
        plan.strikes.len(),
        strikes.collect::<String>(),
        outcome.timeline.join("\n"),
        replay(plan),
    )
}

/// The command that runs it again.
fn replay(plan: &Plan) -> String {
    let Plan {
        seed, case, less, ..
    } = plan;
    let case = case.map(|bug| format!("{bug:?}")).unwrap_or_default();
    format!(
        "UNSTALE_SEED={seed} UNSTALE_CASE={case} UNSTALE_LESS='{less}' cargo test -p unstale-tests --test simulation replay -- --nocapture"
    )
}
