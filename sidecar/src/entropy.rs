//! The randomness port on the operating system's generator, and jitter.

use std::hash::{BuildHasher, Hasher};
use std::time::Duration;
use unstale_engine::random::Random;

/// The operating system's random numbers.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsRandom;

impl Random for OsRandom {
    fn bits(&self) -> u128 {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).expect("the kernel gives random numbers");
        u128::from_be_bytes(bytes)
    }
}

/// A random time up to `most`. The randomness of hash maps is good enough to
/// keep pods out of step, and decides nothing.
pub(crate) fn jitter(most: Duration) -> Duration {
    let random = std::hash::RandomState::new().build_hasher().finish();
    let share = (random >> 11) as f64 / (1u64 << 53) as f64;
    most.mul_f64(share)
}
