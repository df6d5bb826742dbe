//! One schedule: pods, their clients, and faults, all from one seed; then the
//! faults end and everything must serve again.

use crate::checker::Violation;
use crate::executor::{self, Rng};
use crate::faults;
use crate::fleet::Fleet;
use crate::liveness;
use crate::mix::Mix;
use crate::table::Table;
use crate::world::{NOBODY, Shared};
use unstale_engine::coherence::{Bug, Bugs};

/// The schedule ends here (µs).
pub(crate) const END: u64 = 20_500_000;

/// What one schedule showed.
pub(crate) struct Outcome {
    pub(crate) mix: Mix,
    pub(crate) violation: Option<Violation>,
    pub(crate) reads: u64,
    pub(crate) hits: u64,
    pub(crate) operations: u64,
    pub(crate) table: Table,
    pub(crate) trace: u64,
    /// The last events of the violated key, if a timeline was kept.
    pub(crate) timeline: Vec<String>,
}

pub(crate) fn run(seed: u64, case: Option<Bug>) -> Outcome {
    play(seed, case, bugs(case), false)
}

/// Runs the schedule of a bug without the bug.
pub(crate) fn run_sound(seed: u64, case: Bug) -> Outcome {
    play(seed, Some(case), Bugs::NONE, false)
}

/// Runs a schedule and keeps its timeline.
pub(crate) fn look_at(seed: u64, case: Option<Bug>) -> Outcome {
    play(seed, case, bugs(case), true)
}

fn bugs(case: Option<Bug>) -> Bugs {
    case.map_or(Bugs::NONE, Bugs::plant)
}

fn play(seed: u64, case: Option<Bug>, bugs: Bugs, keep_timeline: bool) -> Outcome {
    let shared = Shared::new(seed, Mix::with(seed, case), keep_timeline);
    let fleet = Fleet::start_all(shared.clone(), bugs);
    shared.handle.spawn(NOBODY, async move {
        faults::run(fleet.clone()).await;
        liveness::demand(&fleet).await;
    });
    let mut rng = Rng(seed ^ 0xABCD_EF01);
    let stop = shared.clone();
    let over = move || stop.with(|w| w.judged.violation.is_some());
    let (_, trace) = executor::run(&shared.handle, &mut rng, END, over);
    shared.with(|w| Outcome {
        mix: w.mix.clone(),
        timeline: w
            .timeline
            .of(w.judged.violation.as_ref().and_then(|v| v.key)),
        violation: w.judged.violation.take(),
        reads: w.judged.reads,
        hits: w.judged.hits,
        operations: w.judged.operations,
        table: std::mem::take(&mut w.table),
        trace,
    })
}
