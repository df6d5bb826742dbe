//! The ttl of each family, of all those with which a namespace's reads are stale
//! no more often than its budget allows, that lets the origin be loaded least.
//!
//! A key that changes `c` times a second, unannounced, and is read `r` times a
//! second, both as Poisson processes, with a ttl of `T`: each load is followed by
//! `r T` reads of the entry, of which `r (T - (1 - e^-cT) / c)` come after a change.
//! So of all reads are
//!
//! - loads: `1 / (1 + r T)`
//! - stale: `r (T - (1 - e^-cT) / c) / (1 + r T)`, about `c T / 2` of a hot key
//!
//! The least loads within a budget of stale reads have one price: there is a `p`
//! at which no family could give up a stale read for less loads than another
//! (Lagrange). Put to zero, the derivative of loads + stale / p by `T` says
//!
//! `p = (1 - e^-cT) (1 + r / c) - r T e^-cT`, about `c T (1 + r T / 2)`
//!
//! which rises with `T`. So each price gives each family one ttl, and the price is
//! the highest at which the budget is kept. About: T = sqrt(2 p / (c r)). This is
//! the freshness of Cho and Garcia-Molina, Effective Page Refresh Policies for Web
//! Crawlers, ACM TODS 28(4), 2003, turned around: they fix the loads and ask for
//! the most fresh reads. Their optimum gives up on what changes too often;
//! nobody who reads it would want that, so no family may be stale more often than
//! [`FAMILY_SHARE`] budgets.

use super::bisect;

/// How many times the budget a single family's reads may be stale.
pub(super) const FAMILY_SHARE: f64 = 2.0;
/// Natural logarithms of the prices that are tried.
const PRICES: (f64, f64) = (-25.0, 30.0);
/// Below it a power series is nearer than the formula.
const SMALL: f64 = 1e-4;

/// What is known of a family.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    /// Changes of one key per second.
    pub(super) changes: f64,
    /// Reads of one key per second.
    pub(super) reads: f64,
    /// Its part of all reads.
    pub(super) weight: f64,
}

impl Known {
    /// The share of its reads that is stale.
    pub(super) fn stale_share(&self, ttl: f64) -> f64 {
        let x = self.changes * ttl;
        let stale = match x < SMALL {
            true => ttl * (x / 2.0 - x * x / 6.0),
            false => ttl + (-x).exp_m1() / self.changes,
        };
        self.reads * stale / (1.0 + self.reads * ttl)
    }

    /// The share of its reads that load the origin.
    #[cfg(test)]
    pub(super) fn load_share(&self, ttl: f64) -> f64 {
        1.0 / (1.0 + self.reads * ttl)
    }

    /// The price at which this ttl is the best.
    fn price(&self, ttl: f64) -> f64 {
        let x = self.changes * ttl;
        let changed = -(-x).exp_m1();
        let read = match x < SMALL {
            true => ttl * (x / 2.0 - x * x / 3.0),
            false => changed / self.changes - ttl * (-x).exp(),
        };
        changed + self.reads * read
    }

    /// The longest ttl that is within its own share of the budget.
    fn longest(&self, (min, max): (f64, f64), budget: f64) -> f64 {
        let most = FAMILY_SHARE * budget;
        longest((min, max), |ttl| self.stale_share(ttl) <= most)
    }
}

/// The best ttl of each family, in seconds, and whether its own share of the
/// budget cut it. What is over the budget even with the shortest ttl gets that,
/// and does not count: it would take the budget of all others.
pub(super) fn spend(all: &[Known], bounds: (f64, f64), budget: f64) -> Vec<(f64, bool)> {
    let counts = |known: &Known| known.stale_share(bounds.0) <= budget;
    let longest_of = |known: &Known| known.longest(bounds, budget);
    let most: Vec<_> = all.iter().map(longest_of).collect();
    let best = |price: f64, known: &Known, most: f64| {
        longest((bounds.0, most), |ttl| known.price(ttl) <= price)
    };
    let reads = all.iter().filter(|known| counts(known));
    let reads: f64 = reads.map(|known| known.weight).sum();
    let is_over = |log: f64| {
        let each = all.iter().zip(&most).filter(|(known, _)| counts(known));
        let stale = each.map(|(known, most)| {
            let ttl = best(log.exp(), known, *most);
            known.weight * known.stale_share(ttl)
        });
        stale.sum::<f64>() > budget * reads
    };
    let price = bisect(PRICES, is_over).exp();
    let each = all.iter().zip(&most);
    each.map(|(known, most)| match counts(known) {
        false => (bounds.0, false),
        true => {
            let ttl = best(price, known, *most);
            (ttl, ttl >= *most && *most < bounds.1)
        }
    })
    .collect()
}

/// The longest ttl within bounds for which `is_good`, which is so up to some ttl;
/// the shortest if none is.
fn longest((min, max): (f64, f64), is_good: impl Fn(f64) -> bool) -> f64 {
    if is_good(max) {
        return max;
    }
    bisect((min.ln(), max.ln()), |log| !is_good(log.exp())).exp()
}

/// The rate of changes at which a key that is read all the time is stale just as
/// often as the budget allows with this ttl: what a ttl that somebody chose says
/// of the changes that they expect.
pub(super) fn rate_of(ttl: f64, budget: f64) -> f64 {
    let known = |changes| Known {
        changes,
        reads: 1e6,
        weight: 1.0,
    };
    bisect((-30.0, 10.0), |log| {
        known(log.exp()).stale_share(ttl) > budget
    })
    .exp()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BOUNDS: (f64, f64) = (1.0, 86_400.0);

    fn known(reads: f64, changes: f64, keys: f64) -> Known {
        Known {
            changes,
            reads,
            weight: reads * keys,
        }
    }

    /// Hot and cold, slow and fast.
    fn four() -> [Known; 4] {
        [
            known(10.0, 1e-5, 100.0),
            known(10.0, 1e-2, 100.0),
            known(0.02, 1e-5, 10_000.0),
            known(0.02, 1e-2, 10_000.0),
        ]
    }

    fn sum(all: &[Known], ttls: &[f64], of: impl Fn(&Known, f64) -> f64) -> f64 {
        let each = all.iter().zip(ttls);
        each.map(|(known, ttl)| known.weight * of(known, *ttl))
            .sum()
    }

    #[test]
    fn it_loads_less_than_one_ttl_for_all_that_is_stale_as_often() {
        let all = four();
        let reads: f64 = all.iter().map(|known| known.weight).sum();
        let ttls: Vec<_> = spend(&all, BOUNDS, 0.01)
            .iter()
            .map(|(ttl, _)| *ttl)
            .collect();
        let stale = sum(&all, &ttls, Known::stale_share) / reads;
        assert!((0.0099..=0.01).contains(&stale), "{stale}");
        let fixed = longest(BOUNDS, |ttl| {
            sum(&all, &[ttl; 4], Known::stale_share) <= 0.01 * reads
        });
        let loads = sum(&all, &ttls, Known::load_share);
        let of_fixed = sum(&all, &[fixed; 4], Known::load_share);
        assert!(loads < of_fixed / 2.0, "{loads} {of_fixed} {ttls:?}");
        assert!(ttls[1] < ttls[0] && ttls[3] < ttls[2], "{ttls:?}");
    }

    #[test]
    fn no_family_is_given_up() {
        // Its changes are so many that the optimum would let it be stale for ever.
        let all = [known(10.0, 1e-4, 1000.0), known(0.01, 10.0, 10.0)];
        let ttls = spend(&all, BOUNDS, 0.05);
        let stale = all[1].stale_share(ttls[1].0);
        assert!(stale <= FAMILY_SHARE * 0.05 + 1e-9, "{stale}");
        assert!(ttls[1].1, "{ttls:?}");
    }

    #[test]
    fn a_budget_that_cannot_be_kept_gives_the_shortest_ttls() {
        let ttls = spend(&[known(1e3, 1e2, 1.0)], BOUNDS, 1e-4);
        assert!((ttls[0].0 - BOUNDS.0).abs() < 1e-6, "{ttls:?}");
    }

    #[test]
    fn one_that_cannot_keep_the_budget_does_not_take_that_of_others() {
        let (hopeless, calm) = (known(6.0, 5.0, 3.0), known(6.0, 1e-4, 3.0));
        let ttls = spend(&[hopeless, calm], BOUNDS, 0.1);
        assert!((ttls[0].0 - BOUNDS.0).abs() < 1e-6, "{ttls:?}");
        assert!(ttls[1].0 > 1000.0, "{ttls:?}");
    }

    #[test]
    fn a_chosen_ttl_is_what_its_own_rate_gives() {
        let rate = rate_of(300.0, 0.01);
        let hot = known(1e6, rate, 1.0);
        assert!((hot.stale_share(300.0) - 0.01).abs() < 1e-6);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn ttls_keep_the_bounds_and_the_budget(
            all in proptest::collection::vec((-4.0..3.0, -9.0..2.0, 0.0..6.0), 1..8),
            budget in -4.0..-0.5,
            min in -3.0..2.0,
            longer in 0.0..5.0,
        ) {
            let ten = |power: f64| 10.0_f64.powf(power);
            let all: Vec<_> = all.iter().map(|(r, c, n)| known(ten(*r), ten(*c), ten(*n))).collect();
            let (budget, bounds) = (ten(budget), (ten(min), ten(min + longer)));
            let ttls = spend(&all, bounds, budget);
            let (mut reads, mut stale) = (0.0, 0.0);
            for (known, (ttl, _)) in all.iter().zip(ttls) {
                prop_assert!((bounds.0 * 0.999..=bounds.1 * 1.001).contains(&ttl));
                let share = known.stale_share(ttl);
                if known.stale_share(bounds.0) > budget {
                    prop_assert!(ttl <= bounds.0 * 1.001);
                    continue;
                }
                prop_assert!(share <= FAMILY_SHARE * budget * 1.001);
                reads += known.weight;
                stale += known.weight * share;
            }
            prop_assert!(stale <= budget * reads * 1.001, "{} {}", stale / reads, budget);
        }
    }
}
