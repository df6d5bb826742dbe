//! The origin's keys: when each changes, and which is read next.

use super::workload::Workload;
use fastrand::Rng;

/// Exponent of Zipf within a family.
const ALPHA: f64 = 0.9;

/// A key of the origin.
pub(crate) struct Key {
    pub(crate) name: String,
    pub(crate) version: u64,
    /// Changes per second, now and after half of the time.
    changes: [f64; 2],
    next: f64,
}

/// All keys.
pub(crate) struct Origin {
    pub(crate) keys: Vec<Key>,
    /// Of all reads, those up to each key.
    up_to: Vec<f64>,
    reads: f64,
    told: f64,
    half: f64,
    rng: Rng,
    /// Draws of changes do not depend on how often keys are looked at.
    changing: Vec<Rng>,
}

impl Origin {
    /// The same each time.
    pub(crate) fn new(workload: &Workload, half: f64) -> Self {
        let mut rng = Rng::with_seed(7);
        let (mut keys, mut up_to, mut reads) = (Vec::new(), Vec::new(), 0.0);
        for family in &workload.families {
            let weights: Vec<_> = (1..=family.keys)
                .map(|rank| f64::from(rank).powf(-ALPHA))
                .collect();
            let sum: f64 = weights.iter().sum();
            for (number, weight) in weights.iter().enumerate() {
                reads += family.reads * weight / sum;
                up_to.push(reads);
                let own = (workload.spread * normal(&mut rng)).exp();
                keys.push(Key {
                    name: family.template().replace('*', &number.to_string()),
                    version: 0,
                    changes: [family.changes * own, family.later * own],
                    next: 0.0,
                });
            }
        }
        let mut changing: Vec<_> = (0..keys.len()).map(|n| Rng::with_seed(n as u64)).collect();
        for (key, rng) in keys.iter_mut().zip(&mut changing) {
            key.next = exponential(rng) / key.changes[0];
        }
        Self {
            keys,
            up_to,
            reads,
            told: workload.told,
            half,
            rng,
            changing,
        }
    }

    /// Seconds to the next read, and the key.
    pub(crate) fn next(&mut self) -> (f64, usize) {
        let wait = exponential(&mut self.rng) / self.reads;
        let at = self.rng.f64() * self.reads;
        (
            wait,
            self.up_to
                .partition_point(|up_to| *up_to <= at)
                .min(self.keys.len() - 1),
        )
    }

    /// Lets the key change as it did until then; when a change was told first.
    pub(crate) fn until(&mut self, number: usize, now: f64) -> Option<f64> {
        let (key, rng) = (&mut self.keys[number], &mut self.changing[number]);
        let mut told = None;
        while key.next <= now {
            key.version += 1;
            if rng.f64() < self.told {
                told.get_or_insert(key.next);
            }
            key.next += exponential(rng) / key.changes[usize::from(key.next > self.half)];
        }
        told
    }
}

fn exponential(rng: &mut Rng) -> f64 {
    -(1.0 - rng.f64()).ln()
}

fn normal(rng: &mut Rng) -> f64 {
    (-2.0 * (1.0 - rng.f64()).ln()).sqrt() * (std::f64::consts::TAU * rng.f64()).cos()
}
