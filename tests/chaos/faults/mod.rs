//! The faults: what can be broken, drawn from a seed, applied for a while and
//! healed. Faults overlap; two of one process wait for each other.

mod link;
mod log;
mod partition;
mod process;
mod store;

use crate::fleet::Fleet;
use crate::report::Report;
use fastrand::Rng;
use std::time::Duration;

/// What can be broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    PodFromNats,
    PodFromNatsReset,
    PodToNatsOneWay,
    NatsToPodOneWay,
    PodStopped,
    PodKilled,
    PodDrained,
    PodClockJumps,
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
    DiskFull,
    LogPurge,
    LogMadeAnew,
    LogPutBack,
    LogPutBackUnseen,
    LogPutBackUnderThird,
}

impl Kind {
    /// What storms draw from: no record is lost by these.
    pub(crate) const HARMLESS: [Self; 14] = [
        Self::PodFromNats,
        Self::PodFromNatsReset,
        Self::PodToNatsOneWay,
        Self::NatsToPodOneWay,
        Self::PodStopped,
        Self::PodKilled,
        Self::PodDrained,
        Self::PodClockJumps,
        Self::NodeStopped,
        Self::NodeKilled,
        Self::WireDelayed,
        Self::WireStalled,
        Self::WireCut,
        Self::WireHalfOpen,
    ];
    /// Those of a cluster.
    pub(crate) const CLUSTER: [Self; 5] = [
        Self::LeaderKilled,
        Self::NodeFromNode,
        Self::NodeToNodeOneWay,
        Self::RollingRestart,
        Self::ConsumerRenumbered,
    ];
}

/// One fault.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub(crate) kind: Kind,
    /// When, from the beginning of its storm.
    pub(crate) after: Duration,
    pub(crate) lasts: Duration,
    pub(crate) pod: usize,
    pub(crate) node: usize,
    /// A name of its own.
    pub(crate) name: String,
}

impl Fault {
    /// Draws one: it begins within `storm` and lasts 0.1 to `most` session ttls.
    pub(crate) fn draw(
        kind: Kind,
        (fleet, rng): (&Fleet, &mut Rng),
        storm: Duration,
        most: f64,
        number: usize,
    ) -> Self {
        // Short ones are as likely as long ones.
        let leases = 0.1 * (most / 0.1).powf(rng.f64());
        Self {
            kind,
            after: storm.mul_f64(rng.f64()),
            lasts: fleet.shape.session_ttl.mul_f64(leases),
            pod: rng.usize(..fleet.pods.len()),
            node: rng.usize(..fleet.cluster.nodes.len()),
            name: format!("f{number}"),
        }
    }

    /// Breaks and heals it, and reports that.
    pub(crate) async fn run(&self, fleet: &Fleet, report: &Report) {
        tokio::time::sleep(self.after).await;
        let mark = report.begins();
        let before = fleet.history.operations();
        let tell = |what| {
            let text = format!("{} {what} pod {} node {}", self.name, self.pod, self.node);
            fleet.history.tell(None, format!("{:?} {text}", self.kind));
        };
        tell("begins");
        self.apply(fleet).await;
        tell("is over");
        report.over(mark, self.kind, fleet.history.operations() - before);
    }

    async fn apply(&self, fleet: &Fleet) {
        match self.kind {
            Kind::PodFromNats
            | Kind::PodFromNatsReset
            | Kind::PodToNatsOneWay
            | Kind::NatsToPodOneWay
            | Kind::NodeFromNode
            | Kind::NodeToNodeOneWay => partition::apply(self, fleet).await,
            Kind::PodStopped | Kind::PodKilled | Kind::PodDrained | Kind::PodClockJumps => {
                process::pod(self, fleet).await
            }
            Kind::NodeStopped
            | Kind::NodeKilled
            | Kind::LeaderKilled
            | Kind::RollingRestart
            | Kind::ConsumerRenumbered => {
                process::node(self, fleet).await;
            }
            Kind::WireDelayed | Kind::WireStalled | Kind::WireCut | Kind::WireHalfOpen => {
                link::apply(self, fleet).await;
            }
            Kind::DiskFull => store::full(self, fleet).await,
            Kind::LogPurge => log::purge(fleet).await,
            Kind::LogMadeAnew => log::made_anew(fleet).await,
            Kind::LogPutBack => store::put_back(self, fleet, false).await,
            Kind::LogPutBackUnseen => store::put_back(self, fleet, true).await,
            Kind::LogPutBackUnderThird => store::put_back_under_third(self, fleet).await,
        }
    }
}

/// The fault lasts.
async fn lasts(fault: &Fault) {
    tokio::time::sleep(fault.lasts).await;
}
