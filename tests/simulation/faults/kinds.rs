//! What can go wrong.

/// What can go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A pod's link to the log: both ways, then one way each.
    Cut,
    CutSends,
    CutReceives,
    /// Its link to the remote tier.
    TierCut,
    TierCutSends,
    TierCutReceives,
    /// Its links to both.
    AllCut,
    AllCutSends,
    AllCutReceives,
    /// SIGSTOP: its clock goes on.
    Pause,
    /// Killed and started again.
    Crash,
    /// Killed at its n-th next action, and started again.
    CrashAt,
    /// Leaves, is stopped and started again.
    Drain,
    /// The log's deliveries stop or trickle; answers come.
    SlowReader,
    /// Requests take up to 0.9 s, longer than callers wait.
    SlowNetwork,
    /// Deliveries come twice, and those of dead incarnations still come.
    Duplicates,
    /// Answers, words and deliveries get lost.
    Lossy,
    TierAway,
    /// Reads of the tier come from a lagging replica.
    TierLags,
    /// The tier drops keys.
    TierForgets,
    /// The tier goes back to an old copy.
    TierFailsOver,
    /// The log discards its oldest records.
    Truncate,
    /// The log discards what a pod has not read.
    PurgeUnread,
    /// So many prefixes are invalidated that floors fold into wider ones.
    FloorOverflow,
    /// The wall clock behind the log's stamps is set up to a day off: the only
    /// wall clock that anything in the engine depends on.
    WallClock,
    /// The log loses its newest records, and uses their sequences again.
    LostTail,
    /// The log is deleted and made anew.
    MadeAnew,
    /// Somebody declares a new epoch.
    NewEpoch,
    /// Lasting: records, Joins too, are discarded within seconds.
    ShortRetention,
    /// Lasting: names share their floors.
    FloorCollisions,
    /// Lasting: every clock is 2 % off.
    ClockDrift,
}

impl Fault {
    pub(crate) const TIMED: [Self; 28] = [
        Self::Cut,
        Self::CutSends,
        Self::CutReceives,
        Self::TierCut,
        Self::TierCutSends,
        Self::TierCutReceives,
        Self::AllCut,
        Self::AllCutSends,
        Self::AllCutReceives,
        Self::Pause,
        Self::Crash,
        Self::CrashAt,
        Self::Drain,
        Self::SlowReader,
        Self::SlowNetwork,
        Self::Duplicates,
        Self::Lossy,
        Self::TierAway,
        Self::TierLags,
        Self::TierForgets,
        Self::TierFailsOver,
        Self::Truncate,
        Self::PurgeUnread,
        Self::FloorOverflow,
        Self::WallClock,
        Self::LostTail,
        Self::MadeAnew,
        Self::NewEpoch,
    ];

    /// In the order of the declaration.
    pub(crate) const ALL: [Self; 31] = {
        let mut all = [Self::ShortRetention; 31];
        let mut at = 0;
        while at < Self::TIMED.len() {
            all[at] = Self::TIMED[at];
            at += 1;
        }
        all[29] = Self::FloorCollisions;
        all[30] = Self::ClockDrift;
        all
    };

    pub(crate) fn is_of_tier(self) -> bool {
        let all = [
            Self::TierCut,
            Self::TierCutSends,
            Self::TierCutReceives,
            Self::TierAway,
            Self::TierLags,
            Self::TierForgets,
            Self::TierFailsOver,
        ];
        all.contains(&self)
    }

    /// In how many of a hundred runs it is drawn. A new epoch ends what other
    /// faults might show.
    pub(crate) fn share(self) -> u64 {
        match self {
            Self::LostTail | Self::MadeAnew | Self::NewEpoch => 10,
            Self::Truncate | Self::PurgeUnread | Self::WallClock => 15,
            Self::FloorOverflow => 10,
            Self::TierCut | Self::TierCutSends | Self::TierCutReceives => 15,
            Self::AllCut | Self::AllCutSends | Self::AllCutReceives => 20,
            _ => 35,
        }
    }
}
