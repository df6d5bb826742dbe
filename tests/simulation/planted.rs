//! Planted bugs: which the schedules catch, and which they cannot.

use unstale_engine::coherence::Bug;

/// Every switch of the engine.
pub(crate) const ALL: [Bug; 35] = [
    Bug::WordBeforeProcessed,
    Bug::BeatWithoutEcho,
    Bug::SessionFromEcho,
    Bug::NoDriftMargin,
    Bug::FirstNotChecked,
    Bug::ExpelledAtOnce,
    Bug::NoFloorsInL1,
    Bug::NoFloorsInRemote,
    Bug::AsOfAfterRead,
    Bug::NoHorizon,
    Bug::DroppingChannel,
    Bug::AnchorNotVerified,
    Bug::EpochIgnored,
    Bug::FleetIgnoresSilent,
    Bug::FleetStaleList,
    Bug::NoPending,
    Bug::FillIgnoresFloor,
    Bug::NoTagFloor,
    Bug::PutOverHigher,
    Bug::BeatBeforeJoin,
    Bug::UnconditionalCas,
    Bug::LeaveBeforeSilence,
    Bug::PositionBelowHorizon,
    Bug::NoPrefixFloor,
    Bug::SoftOverridesHard,
    Bug::StaleUnflagged,
    Bug::StaleByMarker,
    Bug::NegativeNotJudged,
    Bug::OlderSourceVersion,
    Bug::StrongWithoutBarrier,
    Bug::RefreshNotJudged,
    Bug::ExpiryNotJudged,
    Bug::OneTokenForABatch,
    Bug::NotModifiedNotJudged,
    Bug::FilterDropsKeys,
];

/// The bug of this name.
pub(crate) fn named(name: &str) -> Option<Bug> {
    ALL.into_iter().find(|bug| format!("{bug:?}") == name)
}

/// Bugs that no schedule is known to show, and why.
pub(crate) const UNSEEN: [(Bug, &str); 2] = [
    (
        Bug::UnconditionalCas,
        "masked: the loser's Write is refused at its own echo, because the winner's floor is above its position",
    ),
    (
        Bug::BeatBeforeJoin,
        "open: seed 2630 of an older generator showed it; the directed mix of this one was not searched to its end",
    ),
];

/// Where the search begins: not at 0 where it is known to pass many schedules
/// before it finds the bug. UNSTALE_EVERY_BUG searches all.
pub(crate) fn search_from(bug: Bug) -> u64 {
    match bug {
        Bug::WordBeforeProcessed => 580,
        Bug::NoDriftMargin => 130,
        Bug::AnchorNotVerified => 410,
        _ => 0,
    }
}

/// Whether schedules must catch it.
pub(crate) fn must_be_caught(bug: Bug) -> bool {
    UNSEEN.iter().all(|(unseen, _)| *unseen != bug)
}
