//! What one schedule draws before it begins: its faults and how often each
//! comes, and what stays the same while it runs.

use crate::directed::Extra;
use crate::executor::Rng;
use crate::faults::Fault;
use crate::size::Size;
use std::fmt;

/// Drawn from the seed alone, so that a seed names its mix.
#[derive(Clone, Debug)]
pub(crate) struct Mix {
    pub(crate) size: Size,
    pub(crate) pods: usize,
    /// Pods that write and invalidate; the others only read and load, so that
    /// no pending cover of their own hides what they hold.
    pub(crate) writing: usize,
    /// The longest time between two evictions (µs).
    pub(crate) eviction: u64,
    /// One weight per timed fault, in the order of [`Fault::TIMED`].
    pub(crate) weights: [u64; Fault::TIMED.len()],
    /// The longest pause between two faults (µs).
    pub(crate) pace: u64,
    pub(crate) floor_width: usize,
    /// How long the log keeps its records (µs).
    pub(crate) retention: u64,
    /// The epoch's record is found even when the log has discarded it.
    pub(crate) epoch_survives: bool,
    /// After a fail-over the tier gives out the same revisions again.
    pub(crate) revisions_repeat: bool,
    /// The longest time between two deliveries of a slow reader (µs).
    pub(crate) trickle: u64,
    /// Every clock is this much fast or slow (ppm); 0: each up to 2 %.
    pub(crate) drift: u64,
    /// Lookers read several keys at once, too.
    pub(crate) batches: bool,
    /// What batches found is set again.
    pub(crate) derives: bool,
    /// What is still fresh is loaded again now and then.
    pub(crate) early: bool,
    /// Values are made of other keys' values, and stored so.
    pub(crate) depends: bool,
    /// Owners refer to keys.
    pub(crate) refers: bool,
    /// Entries have ttls that are learned.
    pub(crate) learns: bool,
    /// Whether the log loses proposals and calls them under way all the same.
    pub(crate) holds: bool,
    /// What only directed schedules have.
    pub(crate) extra: Extra,
}

impl Mix {
    /// Nothing is discarded by age (µs).
    pub(crate) const LONG_RETENTION: u64 = 3_600_000_000;

    pub(crate) fn draw(seed: u64) -> Self {
        let mut rng = Rng(seed ^ 0x5EED_0F7E_3A11_C0DE);
        let mut later = Rng(seed ^ 0x1A7E_5EED_0B5E_55ED);
        let mut drawn = 0;
        let mut weights = Fault::TIMED.map(|fault| {
            drawn += 1;
            let rng = if drawn <= Fault::FIRST {
                &mut rng
            } else {
                &mut later
            };
            if rng.chance(fault.share()) {
                rng.range(1, 5)
            } else {
                0
            }
        });
        if weights[..Fault::FIRST].iter().all(|weight| *weight == 0) {
            weights[0] = 1;
        }
        let (size, pods) = Size::draw(&mut rng);
        let has = |(of, at): (u64, u64)| seed % of == at || seed % ALL.0 == ALL.1;
        let pace = pick(&mut rng, &[600_000, 1_500_000, 3_000_000]);
        Self {
            size,
            pods,
            writing: pick(&mut rng, &[1, 1, 2, pods]),
            eviction: pick(&mut rng, &[800_000, 800_000, 6_000_000]),
            weights,
            pace: pace.min(size.faults_until / 2),
            floor_width: pick(&mut rng, &[1, 2, 64, 64, 64, 64]),
            retention: pick(
                &mut rng,
                &[3_600_000_000, 3_600_000_000, 4_000_000, 6_000_000],
            ),
            epoch_survives: rng.chance(60),
            revisions_repeat: rng.chance(50),
            trickle: 400_000,
            drift: if rng.chance(40) { 20_000 } else { 0 },
            batches: has(BATCHES),
            derives: seed % DERIVES.0 == DERIVES.1,
            early: has(EARLY),
            depends: has(DEPENDS),
            refers: has(REFERS),
            learns: has(LEARNS),
            holds: seed % HOLDS.0 == HOLDS.1,
            extra: Extra {
                beat_ttl: rng.chance(20).then_some(SHORT_BEATS),
                ..Extra::default()
            },
        }
    }

    /// Which timed fault comes next.
    pub(crate) fn next_fault(&self, rng: &mut Rng) -> Fault {
        let mut left = rng.range(0, self.weights.iter().sum());
        for (fault, weight) in Fault::TIMED.into_iter().zip(self.weights) {
            match left.checked_sub(weight) {
                None => return fault,
                Some(rest) => left = rest,
            }
        }
        unreachable!("the draw is below the sum of the weights")
    }

    /// Whether names cover one another by collision.
    pub(crate) fn shares_floors(&self) -> bool {
        self.floor_width < 8
    }

    /// The faults that last as long as faults last at all.
    pub(crate) fn lasting(&self) -> impl Iterator<Item = Fault> {
        let all = [
            (self.retention < 60_000_000, Fault::ShortRetention),
            (self.shares_floors(), Fault::FloorCollisions),
            (self.drift > 0, Fault::ClockDrift),
        ];
        all.into_iter()
            .filter_map(|(on, fault)| on.then_some(fault))
    }
}

/// One schedule in nine reads in batches: those of which no seed was kept from
/// before there were batches, so that all of these name what they did.
const BATCHES: (u64, u64) = (9, 7);
/// Every other one of them sets again what it found: those of which no seed was
/// kept from before.
const DERIVES: (u64, u64) = (18, 7);

/// One schedule in eighteen refreshes early; as before.
const EARLY: (u64, u64) = (18, 11);

/// One schedule in thirty-six stores values that depend on others, and one refers
/// to keys; as before.
const DEPENDS: (u64, u64) = (36, 3);
const REFERS: (u64, u64) = (36, 21);
/// One schedule in eighteen learns ttls; as before.
const LEARNS: (u64, u64) = (18, 4);
/// In one schedule in thirty-six the log loses proposals and goes on calling them
/// under way; as before.
const HOLDS: (u64, u64) = (36, 9);
/// One schedule in thirty-six has all of the policies at once, but for what is set
/// again: that would leave out what it depends on. As before.
const ALL: (u64, u64) = (36, 24);

/// Beats that the log forgets soon: consumers are made again the more often (µs).
const SHORT_BEATS: u64 = 4_000_000;

/// One of them.
pub(crate) fn pick<T: Copy>(rng: &mut Rng, of: &[T]) -> T {
    of[rng.range(0, of.len() as u64) as usize]
}

impl fmt::Display for Mix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let drawn = Fault::TIMED.into_iter().zip(self.weights);
        let faults: Vec<_> = drawn
            .filter(|(_, weight)| *weight > 0)
            .map(|(fault, weight)| format!("{fault:?}×{weight}"))
            .collect();
        write!(
            f,
            "{} pods, {} of them writing, faults for {} ms of {} ms at most, one within {} ms, {}; floor width {}, retention {} s, epoch survives {}, revisions repeat {}, drift {} ppm, beats kept {} ms",
            self.pods,
            self.writing,
            self.size.faults_until / 1000,
            self.size.longest / 1000,
            self.pace / 1000,
            faults.join(" "),
            self.floor_width,
            self.retention / 1_000_000,
            self.epoch_survives,
            self.revisions_repeat,
            self.drift,
            self.extra.beat_ttl_us() / 1000
        )
    }
}
