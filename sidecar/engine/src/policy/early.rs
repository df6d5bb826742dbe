//! Probabilistic early refresh: a caller now and then loads an entry that is
//! still fresh, the likelier the nearer its end is and the longer a load takes,
//! so that a key that is read often is loaded anew before anybody misses it.
//!
//! XFetch: Vattani, Chierichetti and Lowenstein, Optimal Probabilistic Cache
//! Stampede Prevention, PVLDB 8(8), 2015. Loads when
//! `left <= -load_time * beta * ln(u)`, u uniform in (0, 1]: with probability
//! `exp(-left / (load_time * beta))`. There it needs no coordination; here one
//! caller at a time is granted the lease.

use std::time::Duration;

/// Most that `beta` may be.
pub const BETA_MAX: f32 = 100.0;

/// Whether this caller is to load. `beta` 0: nobody is; 1 is the paper's optimum,
/// more loads earlier. `random` draws.
pub fn is_due(load_time: Duration, left: Duration, beta: f32, random: u64) -> bool {
    if beta <= 0.0 {
        return false;
    }
    // 53 bits, as many as the type holds: never 0, whose logarithm is infinite.
    let uniform = ((random >> 11) + 1) as f64 / (1_u64 << 53) as f64;
    left.as_secs_f64() <= -load_time.as_secs_f64() * f64::from(beta) * uniform.ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// How many of 100,000 callers, as evenly drawn as can be.
    fn of_callers(load_time: Duration, left: Duration, beta: f32) -> i64 {
        let step = u64::MAX / 100_000;
        let draws = (0..100_000).map(|n| n * step + step / 2);
        let due = draws.filter(|random| is_due(load_time, left, beta, *random));
        i64::try_from(due.count()).expect("few")
    }

    #[test]
    fn the_share_of_callers_is_that_of_the_paper() {
        for (left, beta) in [(0.5, 1.0), (1.0, 1.0), (3.0, 1.0), (3.0, 2.0), (8.0, 1.0)] {
            let share = (-left / f64::from(beta)).exp() * 100_000.0;
            let due = of_callers(SECOND, SECOND.mul_f64(left), beta);
            assert!(
                (due - share.round() as i64).abs() <= 1,
                "{left} {beta}: {due}"
            );
        }
    }

    #[test]
    fn the_end_makes_everybody_due_and_a_long_life_nobody() {
        assert_eq!(of_callers(SECOND, Duration::ZERO, 1.0), 100_000);
        assert_eq!(of_callers(SECOND, 60 * SECOND, 1.0), 0);
        assert_eq!(of_callers(SECOND, Duration::ZERO, 0.0), 0, "off");
        // A draw of 0 bits is the likeliest to be due, and finite.
        assert!(is_due(SECOND, 36 * SECOND, 1.0, 0));
        assert!(!is_due(SECOND, 37 * SECOND, 1.0, 0));
        assert!(!is_due(SECOND, Duration::MAX, BETA_MAX, 0));
    }
}
