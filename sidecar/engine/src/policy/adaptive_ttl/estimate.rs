//! How often a key of a family changes, from what was seen of its keys now and
//! then, and how often one is read.
//!
//! Changes are taken to come as a Poisson process. Of an interval between two
//! loads it is known only whether anything changed in it, of an invalidation
//! when; the rate is the one under which what was seen is the most likely: Cho
//! and Garcia-Molina, Estimating Frequency of Change, ACM TOIT 3(3), 2003,
//! for irregular accesses, and where the time of the last change is known.
//! As there, an estimate without correction is 0 or infinite where nothing or
//! everything has changed. Here a prior, log-normal around what the namespace's
//! `default_ttl` says, corrects it: half of the prior is within a factor of 4.
//!
//! Intervals are kept by their power of two only, with their mean: what an
//! estimate takes is fixed. What is old counts less and less.

use super::bisect;

/// Powers of two of a millisecond: up to 24 days.
pub(super) const BINS: usize = 32;
/// Standard deviation of the prior, in natural logarithms.
const SPREAD: f64 = 2.0;
/// Rates that are considered, per second.
const RATES: (f64, f64) = (1e-10, 1e3);

/// What became of a key's content since it was stored before.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Change {
    /// It is the same.
    None,
    /// Another one: it changed at some time in between.
    Within,
    /// Another one: it changed so long after it was stored, in seconds, as an
    /// invalidation or a write told.
    After(f64),
}

/// One key, from one time that it was stored to the next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Seen {
    /// How long that was, in seconds.
    pub interval: f64,
    /// What became of it.
    pub change: Change,
    /// How often it was read in between, the read that was followed by the second
    /// load included.
    pub reads: f64,
}

/// What was seen of a family, the old counting less.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Estimate {
    /// Intervals seen.
    pub(super) observations: f64,
    /// Seconds through which nothing changed, for sure.
    pub(super) quiet: f64,
    /// Changes whose time is known.
    pub(super) told: f64,
    /// Intervals with a change somewhere in them.
    pub(super) changed: [Bin; BINS],
    /// Reads, and the seconds of keys in which they came.
    pub(super) reads: f64,
    pub(super) seconds: f64,
}

/// Intervals of about one length.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Bin {
    pub(super) count: f64,
    pub(super) seconds: f64,
}

impl Estimate {
    pub(super) fn see(&mut self, seen: Seen) {
        self.observations += 1.0;
        self.reads += seen.reads;
        self.seconds += seen.interval;
        match seen.change {
            Change::None => self.quiet += seen.interval,
            Change::After(quiet) => {
                self.quiet += quiet;
                self.told += 1.0;
            }
            Change::Within => {
                let bin = &mut self.changed[bin(seen.interval)];
                bin.count += 1.0;
                bin.seconds += seen.interval;
            }
        }
    }

    /// What was seen so far counts so much less.
    pub(super) fn fade(&mut self, factor: f64) {
        let Self {
            observations,
            quiet,
            told,
            changed,
            reads,
            seconds,
        } = self;
        for number in [observations, quiet, told, reads, seconds] {
            *number *= factor;
        }
        for bin in changed {
            bin.count *= factor;
            bin.seconds *= factor;
        }
    }

    /// What both have seen.
    pub(super) fn add(&mut self, other: &Self) {
        self.observations += other.observations;
        self.quiet += other.quiet;
        self.told += other.told;
        self.reads += other.reads;
        self.seconds += other.seconds;
        for (bin, other) in self.changed.iter_mut().zip(&other.changed) {
            bin.count += other.count;
            bin.seconds += other.seconds;
        }
    }

    /// Reads of one key per second; none: nothing is known.
    pub(super) fn reads_per_second(&self) -> Option<f64> {
        (self.seconds > 0.0).then(|| self.reads / self.seconds)
    }

    /// Changes of one key per second; `prior` is what is thought of it before
    /// anything was seen.
    pub(super) fn changes_per_second(&self, prior: f64) -> f64 {
        // The derivative of the log-likelihood by the rate's logarithm, which falls.
        let slope = |log: f64| {
            let rate = log.exp();
            let bins = self.changed.iter().filter(|bin| bin.count > 0.0);
            let within = bins.map(|bin| bin.count * before(rate * bin.seconds / bin.count));
            let prior = (log - prior.ln()) / (SPREAD * SPREAD);
            self.told + within.sum::<f64>() - rate * self.quiet - prior
        };
        let range = (RATES.0.ln(), RATES.1.ln());
        bisect(range, |log| slope(log) <= 0.0).exp()
    }
}

/// `x / (e^x - 1)`: 1 for intervals far shorter than what passes between two
/// changes, 0 for those far longer, of which a change tells nothing.
fn before(x: f64) -> f64 {
    match x < 1e-9 {
        true => 1.0,
        false => x / x.exp_m1(),
    }
}

fn bin(seconds: f64) -> usize {
    let power = (seconds * 1000.0).max(1.0).log2();
    // Not negative, and cut.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let bin = power as usize;
    bin.min(BINS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(times: usize, interval: f64, change: Change) -> Estimate {
        let mut estimate = Estimate::default();
        for _ in 0..times {
            estimate.see(Seen {
                interval,
                change,
                reads: 2.0,
            });
        }
        estimate
    }

    fn is_near(rate: f64, expected: f64, within: f64) {
        let ratio = rate / expected;
        let good = ratio < within && ratio > 1.0 / within;
        assert!(good, "{rate} is not within {within} of {expected}");
    }

    #[test]
    fn without_observations_the_prior_stands() {
        is_near(Estimate::default().changes_per_second(0.003), 0.003, 1.001);
        assert_eq!(Estimate::default().reads_per_second(), None);
    }

    /// The paper's improved estimator for regular accesses: -ln((n - X + 0.5) / (n + 0.5)) / I.
    #[test]
    fn regular_accesses_are_judged_as_the_bias_reduced_estimator_does() {
        for (n, changed) in [(100, 1), (100, 20), (100, 90), (20, 20)] {
            let mut all = seen(changed, 60.0, Change::Within);
            all.add(&seen(n - changed, 60.0, Change::None));
            let (n, x) = (n as f64, changed as f64);
            let paper = -((n - x + 0.5) / (n + 0.5)).ln() / 60.0;
            // A prior that is wrong by a factor of 20 moves it by little; but where
            // all has changed, nothing speaks against a higher one.
            let priors = [paper / 20.0, paper, paper * 20.0];
            let speaks = if n > x { 3 } else { 2 };
            for prior in &priors[..speaks] {
                is_near(all.changes_per_second(*prior), paper, 2.4);
            }
        }
    }

    #[test]
    fn nothing_that_changes_and_all_that_does_are_finite() {
        let never = seen(1000, 3600.0, Change::None).changes_per_second(1e-4);
        assert!((1e-8..1e-6).contains(&never), "{never}");
        let always = seen(1000, 60.0, Change::Within).changes_per_second(1e-4);
        assert!((0.05..0.5).contains(&always), "{always}");
    }

    #[test]
    fn a_change_whose_time_is_told_counts_for_just_that() {
        let told = seen(1000, 60.0, Change::After(5.0));
        is_near(told.changes_per_second(1e-4), 0.2, 1.05);
    }

    #[test]
    fn irregular_accesses_of_a_known_rate_give_that_rate() {
        let (mut draws, mut estimate) = (1_u64, Estimate::default());
        let mut uniform = || {
            draws = draws
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            ((draws >> 11) + 1) as f64 / (1_u64 << 53) as f64
        };
        for _ in 0..20_000 {
            let interval = 10.0_f64.powf(4.0 * uniform() - 1.0);
            let change = match -uniform().ln() / 0.01 < interval {
                true => Change::Within,
                false => Change::None,
            };
            estimate.see(Seen {
                interval,
                change,
                reads: 0.0,
            });
        }
        is_near(estimate.changes_per_second(1.0), 0.01, 1.06);
    }

    #[test]
    fn what_is_old_counts_less() {
        let mut all = seen(1000, 60.0, Change::None);
        all.fade(0.001);
        all.add(&seen(100, 60.0, Change::After(10.0)));
        is_near(all.changes_per_second(1e-4), 0.1, 1.1);
        is_near(all.reads_per_second().expect("reads"), 2.0 / 60.0, 1.001);
    }

    #[test]
    fn every_interval_has_a_bin() {
        let bins = [0.0, 1e-3, 2e-3, 1e12, f64::INFINITY].map(bin);
        assert_eq!(bins, [0, 0, 1, BINS - 1, BINS - 1]);
    }
}
