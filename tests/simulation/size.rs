//! How large a schedule is. Most are short: few pods, few faults, nobody reads
//! longer than it takes to see the fleet whole again. Some are long: six pods,
//! and faults that outlast sessions and D.

use crate::executor::Rng;
use crate::mix::pick;
use crate::world::D_US;

/// Drawn with the mix; times in µs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    /// Faults begin until here...
    pub(crate) faults_until: u64,
    /// ...and last this long at most.
    pub(crate) longest: u64,
    /// Clients of a pod that read and load.
    pub(crate) readers: usize,
    /// The longest time between two reads of one client.
    pub(crate) think: u64,
    /// Clients go on for a while after every pod has hit again.
    pub(crate) lingers: bool,
}

impl Size {
    pub(crate) const LONG: Self = Self {
        faults_until: 9_000_000,
        longest: 3_500_000,
        readers: 2,
        think: 120_000,
        lingers: true,
    };

    /// A size and a number of pods.
    pub(crate) fn draw(rng: &mut Rng) -> (Self, usize) {
        match rng.range(0, 100) {
            0..62 => (Self::short(rng), pick(rng, &[2, 2, 2, 3])),
            62..95 => (Self::middling(rng), pick(rng, &[2, 2, 3, 3, 4])),
            _ => (Self::LONG, pick(rng, &[2, 3, 3, 4, 5, 6])),
        }
    }

    fn short(rng: &mut Rng) -> Self {
        Self {
            faults_until: rng.range(500_000, 2_000_000),
            // Some outlast a session.
            longest: match rng.chance(40) {
                true => 3_500_000,
                false => rng.range(300_000, 1_500_000),
            },
            readers: 1,
            think: 150_000,
            lingers: false,
        }
    }

    fn middling(rng: &mut Rng) -> Self {
        Self {
            faults_until: rng.range(2_000_000, 5_000_000),
            longest: rng.range(1_000_000, 3_500_000),
            readers: 1,
            think: 120_000,
            lingers: rng.chance(20),
        }
    }

    /// When the last fault is over.
    pub(crate) fn over(&self) -> u64 {
        self.faults_until + self.longest
    }

    /// When every pod has to hit again; sooner than I-16 says, D + 5 s.
    pub(crate) fn demanded(&self) -> u64 {
        self.over() + D_US + 2_500_000
    }

    /// The schedule ends here at the latest.
    pub(crate) fn end(&self) -> u64 {
        self.demanded() + 2_900_000
    }
}
