//! What is run: the fleets and their storms.

use crate::faults::Kind;
use crate::fleet::Shape;
use crate::phases::Phase;
use std::time::Duration;

/// Short, so that sessions lapse within seconds.
pub(crate) const SHORT: Duration = Duration::from_secs(2);
/// What a fleet has when nobody says otherwise.
pub(crate) const DEFAULT: Duration = Duration::from_secs(15);

/// Whether UNSTALE_PHASE or UNSTALE_STORMS ask for less than everything.
pub(crate) fn partial() -> bool {
    let set = |name| std::env::var_os(name).is_some();
    set("UNSTALE_PHASE") || set("UNSTALE_STORMS")
}

/// All of them, or the one that UNSTALE_PHASE names; each with as many storms
/// as UNSTALE_STORMS says, if it does.
pub(crate) fn phases() -> Vec<Phase> {
    let full = std::env::var("UNSTALE_CHAOS").is_ok_and(|how| how == "full");
    let times = if full { 4 } else { 1 };
    let only = std::env::var("UNSTALE_PHASE").ok();
    let wanted = |phase: &Phase| only.as_deref().is_none_or(|only| only == phase.name);
    let mut all = vec![single(times), cluster(times), default_ttl()];
    let storms = std::env::var("UNSTALE_STORMS").ok();
    if let Some(storms) = storms {
        let storms = storms.parse().expect("UNSTALE_STORMS is a number");
        all.iter_mut().for_each(|phase| phase.storms = storms);
    }
    all.into_iter().filter(wanted).collect()
}

fn single(times: usize) -> Phase {
    Phase {
        name: "single",
        shape: shape(6, 1, SHORT),
        storms: 7 * times,
        faults_per_storm: 16,
        storm: Duration::from_secs(6),
        most_ttls: 3.0,
        kinds: Kind::HARMLESS.to_vec(),
        alone: vec![
            Kind::WireLoses,
            Kind::LogTruncated,
            Kind::NodeClockJumps,
            Kind::LogMadeAnew,
            Kind::LogPutBack,
            Kind::LogPutBackUnseen,
        ],
    }
}

fn cluster(times: usize) -> Phase {
    // Only here, so they come twice as often as the rest; but what takes longest.
    let again = Kind::CLUSTER.into_iter().filter(|kind| !kind.slow());
    let own = Kind::CLUSTER.into_iter().chain(again);
    Phase {
        name: "cluster",
        shape: shape(4, 3, SHORT),
        storms: 5 * times,
        faults_per_storm: 17,
        storm: Duration::from_secs(8),
        most_ttls: 3.0,
        kinds: Kind::HARMLESS.into_iter().chain(own).collect(),
        alone: vec![
            Kind::ConsumerRenumbered,
            Kind::ConsumerRenumbered,
            Kind::NodeToNodeOneWay,
            Kind::LogPutBackUnderThird,
            Kind::LogMadeAnew,
        ],
    }
}

fn default_ttl() -> Phase {
    Phase {
        name: "default-ttl",
        shape: shape(3, 3, DEFAULT),
        storms: 1,
        // Ten have to come about.
        faults_per_storm: 16,
        storm: Duration::from_secs(15),
        most_ttls: 1.2,
        kinds: Kind::HARMLESS.into_iter().chain(Kind::CLUSTER).collect(),
        alone: Vec::new(),
    }
}

fn shape(pods: usize, nodes: usize, session_ttl: Duration) -> Shape {
    Shape {
        pods,
        nodes,
        session_ttl,
        lies: false,
    }
}
