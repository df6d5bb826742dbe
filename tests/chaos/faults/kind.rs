//! What can be broken.

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    PodFromNats,
    PodFromNatsReset,
    PodToNatsOneWay,
    NatsToPodOneWay,
    LogLinkCut,
    LogLinkOneWay,
    RemoteLinkCut,
    RemoteLinkOneWay,
    PodStopped,
    PodKilled,
    PodDrained,
    PodClockJumps,
    NodeClockJumps,
    NodeStopped,
    NodeKilled,
    LeaderKilled,
    NodeFromNode,
    NodeToNodeOneWay,
    RollingRestart,
    ConsumerRenumbered,
    WireDelayed,
    WireStalled,
    WireCut,
    WireHalfOpen,
    WireLoses,
    DiskFull,
    LogPurge,
    LogTruncated,
    LogMadeAnew,
    LogPutBack,
    LogPutBackUnseen,
    LogPutBackUnderThird,
}

/// What is broken by it.
pub(super) enum Part {
    Network,
    OneLink,
    Pod,
    Node,
    Wire,
    Clock,
    Store,
    Log,
}

impl Kind {
    /// What storms draw from: no record that somebody needs is lost by these.
    pub(crate) const HARMLESS: [Self; 23] = [
        Self::PodFromNats,
        Self::PodFromNatsReset,
        Self::PodToNatsOneWay,
        Self::NatsToPodOneWay,
        Self::LogLinkCut,
        Self::LogLinkOneWay,
        Self::RemoteLinkCut,
        Self::RemoteLinkOneWay,
        Self::PodStopped,
        Self::PodKilled,
        Self::PodDrained,
        Self::PodClockJumps,
        Self::NodeClockJumps,
        Self::NodeStopped,
        Self::NodeKilled,
        Self::WireDelayed,
        Self::WireStalled,
        Self::WireCut,
        Self::WireHalfOpen,
        Self::WireLoses,
        Self::DiskFull,
        Self::LogPurge,
        Self::LogTruncated,
    ];
    /// Those of a cluster.
    pub(crate) const CLUSTER: [Self; 5] = [
        Self::LeaderKilled,
        Self::NodeFromNode,
        Self::NodeToNodeOneWay,
        Self::RollingRestart,
        Self::ConsumerRenumbered,
    ];
    /// Those after which the log is another or an older one.
    pub(crate) const LOSSES: [Self; 4] = [
        Self::LogMadeAnew,
        Self::LogPutBack,
        Self::LogPutBackUnseen,
        Self::LogPutBackUnderThird,
    ];

    /// Every kind there is.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        let rest = Self::CLUSTER.into_iter().chain(Self::LOSSES);
        Self::HARMLESS.into_iter().chain(rest)
    }

    /// Whether it takes longer than any fault lasts.
    pub(crate) fn slow(self) -> bool {
        matches!(self, Self::RollingRestart | Self::ConsumerRenumbered)
    }

    pub(super) fn part(self) -> Part {
        match self {
            Self::PodFromNats
            | Self::PodFromNatsReset
            | Self::PodToNatsOneWay
            | Self::NatsToPodOneWay
            | Self::NodeFromNode
            | Self::NodeToNodeOneWay => Part::Network,
            Self::LogLinkCut
            | Self::LogLinkOneWay
            | Self::RemoteLinkCut
            | Self::RemoteLinkOneWay => Part::OneLink,
            Self::PodStopped | Self::PodKilled | Self::PodDrained => Part::Pod,
            Self::NodeStopped
            | Self::NodeKilled
            | Self::LeaderKilled
            | Self::RollingRestart
            | Self::ConsumerRenumbered => Part::Node,
            Self::WireDelayed
            | Self::WireStalled
            | Self::WireCut
            | Self::WireHalfOpen
            | Self::WireLoses => Part::Wire,
            Self::PodClockJumps | Self::NodeClockJumps => Part::Clock,
            Self::DiskFull
            | Self::LogPutBack
            | Self::LogPutBackUnseen
            | Self::LogPutBackUnderThird => Part::Store,
            Self::LogPurge | Self::LogTruncated | Self::LogMadeAnew => Part::Log,
        }
    }
}
