//! Which keys there are, how often each is read and changes.

/// Keys alike.
#[derive(Clone)]
pub(crate) struct Family {
    pub(crate) name: &'static str,
    pub(crate) keys: u32,
    /// Reads of all its keys per second; within it, Zipf.
    pub(crate) reads: f64,
    /// Changes of one key per second.
    pub(crate) changes: f64,
    /// Changes of one key per second after half of the time.
    pub(crate) later: f64,
}

impl Family {
    /// The template that its keys are learned under.
    pub(crate) fn template(&self) -> String {
        format!("{}:*", self.name.replace(' ', "-"))
    }
}

/// A namespace's keys.
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    /// Of its plot.
    pub(crate) file: Option<&'static str>,
    pub(crate) families: Vec<Family>,
    /// The share of changes that is told by an invalidation.
    pub(crate) told: f64,
    /// Standard deviation of the logarithm of a key's own rate of changes around
    /// its family's: not all keys of a family are alike.
    pub(crate) spread: f64,
}

const DAY: f64 = 86_400.0;
const MINUTE: f64 = 60.0;

fn four() -> Vec<Family> {
    let family = |name, keys, reads, changes| Family {
        name,
        keys,
        reads,
        changes,
        later: changes,
    };
    vec![
        family("hot slow", 200, 200.0, 1.0 / DAY),
        family("hot fast", 200, 200.0, 1.0 / (2.0 * MINUTE)),
        family("cold slow", 5_000, 50.0, 1.0 / DAY),
        family("cold fast", 5_000, 50.0, 1.0 / (10.0 * MINUTE)),
    ]
}

/// All of them.
pub(crate) fn all() -> [Workload; 5] {
    let plain = |name, families| Workload {
        name,
        file: None,
        families,
        told: 0.0,
        spread: 0.0,
    };
    let mut turning = four();
    for family in &mut turning {
        family.later = match family.name {
            "hot slow" | "cold slow" => 1.0 / (10.0 * MINUTE),
            _ => 1.0 / DAY,
        };
    }
    let mut alike = four();
    for family in &mut alike {
        family.changes = 1.0 / (20.0 * MINUTE);
        family.later = family.changes;
    }
    [
        Workload {
            file: Some("adaptive-four.svg"),
            ..plain("four families", four())
        },
        Workload {
            told: 0.5,
            ..plain("half of the changes told by invalidations", four())
        },
        Workload {
            spread: 1.0,
            ..plain("keys of a family unlike", four())
        },
        plain("fast and slow change places after 3 h", turning),
        plain("all change alike", alike),
    ]
}
