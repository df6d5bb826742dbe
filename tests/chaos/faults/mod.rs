//! The faults: what can be broken, drawn from a seed, applied for a while and
//! healed. Faults overlap; two of one process wait for each other. One that did
//! not come about is not counted.

mod clock;
mod kind;
mod link;
mod log;
mod partition;
mod process;
mod store;

pub(crate) use kind::Kind;
use kind::Part;

use crate::fleet::Fleet;
use crate::report::Report;
use fastrand::Rng;
use std::time::Duration;

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
    /// Draws one: it begins within `storm`, early if it takes long, and lasts
    /// 0.1 to `most` session ttls.
    pub(crate) fn draw(
        kind: Kind,
        (fleet, rng): (&Fleet, &mut Rng),
        storm: Duration,
        most: f64,
        number: usize,
    ) -> Self {
        // Short ones are as likely as long ones.
        let leases = 0.1 * (most / 0.1).powf(rng.f64());
        let begins = if kind.slow() { 0.1 } else { 1.0 };
        Self {
            kind,
            after: storm.mul_f64(begins * rng.f64()),
            lasts: fleet.shape.session_ttl.mul_f64(leases),
            pod: rng.usize(..fleet.pods.len()),
            node: rng.usize(..fleet.cluster.nodes.len()),
            name: format!("f{number}"),
        }
    }

    /// The same, over sooner.
    fn at_most(&self, longest: Duration) -> Self {
        Self {
            lasts: self.lasts.min(longest),
            ..self.clone()
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
        let happened = self.apply(fleet).await;
        tell(if happened {
            "is over"
        } else {
            "did not happen"
        });
        let counts = happened.then_some(self.kind);
        let meanwhile = fleet.history.operations() - before;
        report.over(mark, counts, fleet.shape.session_ttl, meanwhile);
    }

    /// Whether what the kind says did happen: some need the fleet in a state in
    /// which other faults may not leave it.
    async fn apply(&self, fleet: &Fleet) -> bool {
        match self.kind.part() {
            Part::Network => partition::apply(self, fleet).await,
            Part::OneLink => partition::one_link(self, fleet).await,
            Part::Pod => process::pod(self, fleet).await,
            Part::Node => process::node(self, fleet).await,
            Part::Wire => link::apply(self, fleet).await,
            Part::Clock => clock::apply(self, fleet).await,
            Part::Store => store::apply(self, fleet).await,
            Part::Log => log::apply(self, fleet).await,
        }
    }
}

/// The fault lasts.
async fn lasts(fault: &Fault) {
    tokio::time::sleep(fault.lasts).await;
}
