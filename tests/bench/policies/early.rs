//! What early refresh saves: a key that many read, in virtual time.
//!
//! What decides is the shipped rule (`unstale_engine::policy::early`), with the
//! bound of one grant a second that the engine puts on it; time and draws are of
//! fixed seeds, so another run gives the same figures.

use fastrand::Rng;
use std::fmt::Write as _;
use std::time::Duration;
use unstale_engine::policy::early;

const TTL: f64 = 10.0;
/// How long a load takes.
const LOAD: f64 = 0.2;
/// Of virtual time.
const SECONDS: f64 = 20_000.0;
/// No key is granted early twice within this.
const REST: f64 = 1.0;

#[derive(Default)]
struct Outcome {
    reads: u64,
    loads: u64,
    /// Reads that found nothing fresh, and waited for a load or made one.
    waited: u64,
}

/// The table: reads a second by `early_refresh`.
pub(super) fn table() -> Result<String, std::fmt::Error> {
    let mut table = String::from(
        "| reads a second of the key | `early_refresh` | reads that found nothing fresh | loads an hour | loads beside none |\n\
         | --- | --- | --- | --- | --- |\n",
    );
    for rate in [1.0, 10.0, 100.0, 1000.0] {
        let none = run(rate, 0.0);
        for beta in [0.0, 1.0, 2.0] {
            let one = run(rate, beta);
            let share = 100.0 * one.waited as f64 / one.reads as f64;
            let hourly = one.loads as f64 * 3600.0 / SECONDS;
            let beside = one.loads as f64 / none.loads as f64;
            let waited = one.waited;
            writeln!(
                table,
                "| {rate} | {beta} | {waited} of {} ({share:.3} %) | {hourly:.0} | {beside:.2} × |",
                one.reads
            )?;
        }
    }
    Ok(table)
}

fn run(rate: f64, beta: f32) -> Outcome {
    let mut rng = Rng::with_seed(11);
    let mut outcome = Outcome::default();
    let (mut now, mut expires, mut granted) = (0.0, 0.0, -REST);
    let mut loaded: Option<f64> = None;
    while now < SECONDS {
        now += -(1.0 - rng.f64()).ln() / rate;
        if let Some(end) = loaded.filter(|end| *end <= now) {
            expires = end + TTL;
            loaded = None;
        }
        outcome.reads += 1;
        let fresh = now < expires;
        outcome.waited += u64::from(!fresh);
        let mut early = || now - granted >= REST && is_due(expires - now, beta, rng.u64(..));
        if loaded.is_none() && (!fresh || early()) {
            outcome.loads += 1;
            (granted, loaded) = (now, Some(now + LOAD));
        }
    }
    outcome
}

fn is_due(left: f64, beta: f32, random: u64) -> bool {
    let (load, left) = (Duration::from_secs_f64(LOAD), Duration::from_secs_f64(left));
    early::is_due(load, left, beta, random)
}
