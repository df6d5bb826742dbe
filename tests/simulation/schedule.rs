//! One schedule: pods, their clients, and faults, all from one seed; then the
//! faults end and everything must serve again.

use crate::checker::Violation;
use crate::executor::{self, Rng};
use crate::faults;
use crate::fleet::Fleet;
use crate::less::Less;
use crate::liveness;
use crate::plan::Plan;
use crate::table::Table;
use crate::world::{NOBODY, Shared};
use unstale_engine::coherence::{Bug, Bugs};

/// What one schedule showed.
pub(crate) struct Outcome {
    pub(crate) violation: Option<Violation>,
    pub(crate) reads: u64,
    pub(crate) hits: u64,
    /// Reads of the lagging key that were excused (origin.rs).
    pub(crate) excused: u64,
    pub(crate) operations: u64,
    pub(crate) table: Table,
    pub(crate) trace: u64,
    /// The last events of the violated key, if a timeline was kept.
    pub(crate) timeline: Vec<String>,
}

/// Runs the schedule of a seed.
pub(crate) fn run(seed: u64, case: Option<Bug>) -> Outcome {
    play(&Plan::new(seed, case, Less::default()), false)
}

/// Runs the schedule of a bug without the bug.
pub(crate) fn run_sound(seed: u64, case: Bug) -> Outcome {
    let plan = Plan::new(seed, Some(case), Less::default());
    play_with(&plan, Bugs::NONE, false)
}

/// Runs a plan, and keeps its timeline if that is wanted.
pub(crate) fn play(plan: &Plan, keep_timeline: bool) -> Outcome {
    let bugs = plan.case.map_or(Bugs::NONE, Bugs::plant);
    play_with(plan, bugs, keep_timeline)
}

fn play_with(plan: &Plan, bugs: Bugs, keep_timeline: bool) -> Outcome {
    let shared = Shared::new(plan, keep_timeline);
    let fleet = Fleet::start_all(shared.clone(), bugs);
    shared.handle.spawn(NOBODY, async move {
        faults::run(fleet.clone()).await;
        liveness::demand(&fleet).await;
    });
    let mut rng = Rng(plan.randomness() ^ 0xABCD_EF01);
    let stop = shared.clone();
    let over = move || stop.with(|w| w.converged || w.judged.violation.is_some());
    let end = shared.with(|w| w.mix.size.end());
    let (_, trace) = executor::run(&shared.handle, &mut rng, end, over);
    shared.with(|w| Outcome {
        timeline: w
            .timeline
            .of(w.judged.violation.as_ref().and_then(|v| v.key)),
        violation: w.judged.violation.take(),
        reads: w.judged.reads,
        hits: w.judged.hits,
        excused: w.origin.excused,
        operations: w.judged.operations,
        table: std::mem::take(&mut w.table),
        trace,
    })
}
