//! Directed schedules: what a planted bug needs to show that plain schedules
//! rarely have, or do not have at all. Sound engines must pass them, too.

use crate::faults::Fault;
use crate::mix::Mix;
use crate::size::Size;
use std::time::Duration;
use unstale_engine::coherence::Bug;
use unstale_engine::log::BEAT_TTL;

/// What random schedules do not have, but for `beat_ttl`.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Extra {
    /// What is stored has no end in the schedule.
    pub(crate) endless: bool,
    /// Joins get lost where Beats pass.
    pub(crate) joins_lost: bool,
    /// The log's answers to appends take long.
    pub(crate) late_acks: bool,
    /// What happens to the consumers of the log.
    pub(crate) consumers: Consumers,
    /// How long the log keeps Beats (µs); none: as usual.
    pub(crate) beat_ttl: Option<u64>,
    /// A service invalidates more names than an exact table holds.
    pub(crate) flood: Option<Flood>,
    /// Somebody leases the key that is swapped, and loads nothing.
    pub(crate) leases_swapped: bool,
    /// Loaders that outlive their pod.
    pub(crate) strays: usize,
    /// So many of a hundred reads of the tier are answered with another key's
    /// record.
    pub(crate) mixed_up: u64,
}

/// What happens to the consumers of the log: the reading rules that the driver
/// and the engine share, each with the case it is there for (nats-log.md).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Consumers {
    /// Nothing.
    #[default]
    Sound,
    /// They go on across a reconnect; what came meanwhile is lost.
    Survive,
    /// They are made again and count from 1; as many records as were delivered
    /// are lost.
    CountAnew,
    /// They end, and one that takes their place misses records.
    End,
}

/// Which table is flooded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flood {
    Prefixes,
    Namespaces,
}

impl Extra {
    /// How long the log keeps Beats, and the engine believes so.
    pub(crate) fn beat_ttl(&self) -> Duration {
        self.beat_ttl.map_or(BEAT_TTL, Duration::from_micros)
    }

    pub(crate) fn beat_ttl_us(&self) -> u64 {
        self.beat_ttl().as_micros() as u64
    }
}

/// Pods, and how many of them write.
type Pods = (usize, usize);

impl Mix {
    /// The mix in which a case must show.
    pub(crate) fn with(seed: u64, case: Option<Bug>) -> Self {
        let mut mix = Self::draw(seed);
        let Some(bug) = case else { return mix };
        if let Some((faults, pods)) = faults(bug) {
            mix.only(faults, pods);
        }
        mix.direct(bug);
        mix
    }

    fn only(&mut self, faults: &[Fault], (pods, writing): Pods) {
        self.weights = Fault::TIMED.map(|fault| u64::from(faults.contains(&fault)));
        (self.pods, self.writing, self.pace) = (pods, writing, 600_000);
        (self.eviction, self.floor_width) = (6_000_000, 64);
        self.size = Size::LONG;
        self.learns = false;
    }

    fn direct(&mut self, bug: Bug) {
        let extra = &mut self.extra;
        match bug {
            // More than A2 allows: the margin would still hold, ends would not.
            Bug::NoDriftMargin => (self.drift, extra.endless) = (50_000, true),
            // Slow, but not so slow that its session lapses.
            Bug::WordBeforeProcessed => self.trickle = 60_000,
            Bug::SessionFromAck => extra.late_acks = true,
            Bug::BeatBeforeJoin => {
                (extra.joins_lost, self.retention) = (true, 3_600_000_000);
            }
            Bug::OverdueJoinIgnored => (extra.joins_lost, self.retention) = (true, 6_000_000),
            Bug::AcrossReconnect => extra.consumers = Consumers::Survive,
            Bug::ConsumerErrorSwallowed => extra.consumers = Consumers::End,
            Bug::OldIncarnation => {
                (extra.consumers, extra.beat_ttl) = (Consumers::CountAnew, Some(4_000_000));
                self.retention = 3_600_000_000;
            }
            Bug::PrefixFloorsForgotten => extra.flood = Some(Flood::Prefixes),
            Bug::NamespaceFloorsForgotten => extra.flood = Some(Flood::Namespaces),
            Bug::MarkerOutranksSet => extra.leases_swapped = true,
            Bug::TokenReused => extra.strays = 4,
            Bug::AgeByStamps => self.retention = Self::LONG_RETENTION,
            Bug::KeyNotChecked => extra.mixed_up = 3,
            Bug::NoDependencyFloor => self.depends = true,
            _ => {}
        }
    }
}

/// Whether a bug has directed schedules.
pub(crate) fn is_directed(bug: Bug) -> bool {
    let (plain, directed) = (Mix::draw(0), Mix::with(0, Some(bug)));
    format!("{plain:?}") != format!("{directed:?}")
}

/// The only faults that come, where a bug is rarely found otherwise.
fn faults(bug: Bug) -> Option<(&'static [Fault], Pods)> {
    use Fault::*;
    Some(match bug {
        Bug::NoDriftMargin => (&[Cut, CutReceives, SlowReader], (4, 2)),
        // A reader far behind a busy log.
        Bug::SessionFromEcho | Bug::SessionFromAck => (&[SlowReader], (4, 3)),
        // Two invalidations in a row, the second one late at the only other pod.
        Bug::WordBeforeProcessed => (&[SlowReader], (2, 1)),
        // Sessions that end, and read too late to notice.
        Bug::BeatBeforeJoin => (&[Cut, SlowReader], (3, 2)),
        Bug::OverdueJoinIgnored => (&[SlowReader], (3, 2)),
        Bug::AcrossReconnect => (&[Cut, CutReceives], (3, 2)),
        Bug::ConsumerErrorSwallowed | Bug::OldIncarnation => (&[SlowNetwork], (3, 2)),
        Bug::PrefixFloorsForgotten | Bug::NamespaceFloorsForgotten => (&[TierLags], (2, 2)),
        Bug::MarkerOutranksSet => (&[TierLags], (3, 1)),
        Bug::TokenReused => (&[Crash], (2, 2)),
        // A pod joins the new epoch while another one has not read of it yet.
        Bug::AgeByStamps => (&[NewEpoch, WallClock, SlowReader, Crash], (4, 3)),
        // A Set whose cover is discarded before its pod reads it.
        Bug::WriteNotConfirmed => (&[PurgeUnread, SlowReader], (3, 3)),
        _ => return None,
    })
}
