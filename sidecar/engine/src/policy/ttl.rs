//! How long an entry lives: fresh until its ttl, less jitter, has passed;
//! served stale for `stale_for` more; gone when `valid_for` has passed,
//! whatever the others say. All in log time.

use super::Policy;
use crate::clock::LogTime;
use crate::request::{NewEntry, Payload};
use std::time::Duration;

/// When an entry's claims end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Life {
    /// Not fresh from here on.
    pub(crate) expires: LogTime,
    /// Not served at all from here on.
    pub(crate) gone: LogTime,
    /// Nothing may move `gone` beyond this.
    pub(crate) valid_until: LogTime,
}

/// The life of a new entry stored at `stored`; `random` draws its jitter.
pub(crate) fn life(new: &NewEntry, policy: &Policy, stored: LogTime, random: u64) -> Life {
    let default = match new.payload {
        Payload::Value(_) => policy.default_ttl,
        Payload::NotFound => policy.negative_ttl,
    };
    let ttl = new.ttl.unwrap_or(default);
    let ttl = ttl - taken_off(ttl, new.jitter.unwrap_or(policy.jitter), random);
    let stale_for = new.stale_for.unwrap_or(policy.stale_for);
    let valid_until = new.valid_for.map_or(LogTime(u64::MAX), |v| stored.plus(v));
    Life {
        expires: stored.plus(ttl).min(valid_until),
        gone: stored.plus(ttl).plus(stale_for).min(valid_until),
        valid_until,
    }
}

/// A random share of `jitter`, at most half of the ttl: an entry never lives
/// longer than its writer said.
fn taken_off(ttl: Duration, jitter: Duration, random: u64) -> Duration {
    let most = jitter.min(ttl / 2).as_micros();
    let most = u64::try_from(most).unwrap_or(u64::MAX);
    match most.checked_add(1) {
        Some(choices) if most > 0 => Duration::from_micros(random % choices),
        _ => Duration::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn new(ttl: u64, stale_for: u64, valid_for: Option<u64>, jitter: u64) -> NewEntry {
        NewEntry {
            payload: Payload::NotFound,
            ttl: Some(Duration::from_micros(ttl)),
            stale_for: Some(Duration::from_micros(stale_for)),
            valid_for: valid_for.map(Duration::from_micros),
            jitter: Some(Duration::from_micros(jitter)),
            tags: Vec::new(),
            source_version: None,
        }
    }

    #[test]
    fn a_negative_entry_has_the_namespaces_negative_ttl() {
        let policy = Policy {
            negative_ttl: Duration::from_micros(7),
            ..Policy::default()
        };
        let new = NewEntry {
            ttl: None,
            ..new(0, 5, None, 0)
        };
        let life = life(&new, &policy, LogTime(100), 0);
        assert_eq!((life.expires, life.gone), (LogTime(107), LogTime(112)));
    }

    #[test]
    fn valid_for_ends_everything() {
        let life = life(&new(50, 50, Some(20), 0), &Policy::default(), LogTime(0), 0);
        assert_eq!((life.expires, life.gone), (LogTime(20), LogTime(20)));
    }

    proptest! {
        #[test]
        fn jitter_shortens_by_at_most_half(ttl in 1u64..1 << 40, jitter in 0u64..1 << 41, random: u64) {
            let new = new(ttl, 3, None, jitter);
            let life = life(&new, &Policy::default(), LogTime(9), random);
            let lived = life.expires.0 - 9;
            prop_assert!(lived <= ttl && lived >= ttl - ttl / 2 && ttl - lived <= jitter);
            prop_assert_eq!(life.gone.0, life.expires.0 + 3);
        }
    }
}
