//! What is run: the fleets and their storms.

use crate::faults::Kind;
use crate::fleet::Shape;
use crate::phases::Phase;
use std::time::Duration;

/// Short, so that sessions lapse within seconds.
const SHORT: Duration = Duration::from_secs(2);
/// What a fleet has when nobody says otherwise.
const DEFAULT: Duration = Duration::from_secs(15);

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
    let more = [Kind::DiskFull, Kind::LogPurge];
    Phase {
        name: "single",
        shape: Shape {
            pods: 4,
            nodes: 1,
            session_ttl: SHORT,
            lies: false,
        },
        storms: 9 * times,
        faults_per_storm: 10,
        storm: Duration::from_secs(6),
        most_ttls: 3.0,
        kinds: Kind::HARMLESS.into_iter().chain(more).collect(),
        alone: vec![Kind::LogMadeAnew, Kind::LogPutBack, Kind::LogPutBackUnseen],
    }
}

fn cluster(times: usize) -> Phase {
    let kinds = Kind::HARMLESS.into_iter().chain(Kind::CLUSTER);
    Phase {
        name: "cluster",
        shape: Shape {
            pods: 4,
            nodes: 3,
            session_ttl: SHORT,
            lies: false,
        },
        storms: 8 * times,
        faults_per_storm: 9,
        storm: Duration::from_secs(8),
        most_ttls: 3.0,
        kinds: kinds.chain([Kind::LogPurge]).collect(),
        alone: vec![Kind::LogPutBackUnderThird, Kind::LogMadeAnew],
    }
}

fn default_ttl() -> Phase {
    Phase {
        name: "default-ttl",
        shape: Shape {
            pods: 3,
            nodes: 3,
            session_ttl: DEFAULT,
            lies: false,
        },
        storms: 1,
        faults_per_storm: 10,
        storm: Duration::from_secs(15),
        most_ttls: 1.2,
        kinds: Kind::HARMLESS.into_iter().chain(Kind::CLUSTER).collect(),
        alone: Vec::new(),
    }
}
