//! A schedule before it runs: what its seed draws, less what a shrunk one
//! leaves out. Faults are drawn one by one beforehand, so that one can be left
//! out and the others stay what they are.

use crate::executor::Rng;
use crate::faults::Fault;
use crate::less::Less;
use crate::mix::Mix;
use std::fmt;
use unstale_engine::coherence::Bug;

/// One fault of one schedule (times in µs).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Strike {
    /// Its number among those of the seed.
    pub(crate) nth: usize,
    pub(crate) at: u64,
    pub(crate) fault: Fault,
    pub(crate) pod: usize,
    pub(crate) length: u64,
}

/// All that a run depends on.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) case: Option<Bug>,
    pub(crate) mix: Mix,
    pub(crate) strikes: Vec<Strike>,
    pub(crate) less: Less,
}

impl Plan {
    pub(crate) fn new(seed: u64, case: Option<Bug>, less: Less) -> Self {
        let mut mix = Mix::with(seed, case);
        let strikes = draw_strikes(seed, &mix);
        less.calm(&mut mix);
        let there = strikes.into_iter().filter(|strike| less.keeps(strike));
        let strikes = there.map(|strike| Strike {
            pod: strike.pod % mix.pods,
            ..strike
        });
        Self {
            seed,
            case,
            strikes: strikes.collect(),
            mix,
            less,
        }
    }

    /// The same with another share left out.
    pub(crate) fn with(&self, less: Less) -> Self {
        Self::new(self.seed, self.case, less)
    }

    /// What the scheduler and the world draw from: another salt gives the same
    /// faults in other company.
    pub(crate) fn randomness(&self) -> u64 {
        self.seed ^ self.less.salt.wrapping_mul(0x9E37_79B9_7F4A_7C15)
    }
}

fn draw_strikes(seed: u64, mix: &Mix) -> Vec<Strike> {
    let mut rng = Rng(seed ^ 0xFA17_5C8E_D01E_0B5E);
    let mut strikes = Vec::new();
    let mut at = 0;
    while at < mix.size.faults_until {
        at += rng.range(50_000, mix.pace);
        let over = mix.size.over().saturating_sub(at);
        strikes.push(Strike {
            nth: strikes.len(),
            at,
            fault: mix.next_fault(&mut rng),
            pod: rng.range(0, mix.pods as u64) as usize,
            length: rng.range(50_000, mix.size.longest).min(over),
        });
    }
    strikes
}

impl fmt::Display for Strike {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            nth,
            at,
            fault,
            pod,
            length,
        } = self;
        write!(
            f,
            "{at:>9} {fault:?} on pod {pod} for {length} (number {nth})"
        )
    }
}
