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
    pub(crate) why: Why,
}

/// Who gave a duration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Giver {
    /// Not known: a pod that did not say stored the entry.
    #[default]
    Unknown,
    /// The call that wrote the entry.
    Writer,
    /// The namespace: its `default_ttl` or `stale_for`.
    Namespace,
    /// The namespace's `negative_ttl`.
    NegativeTtl,
    /// An Abandon: the load of the entry had failed.
    FailSafe,
    /// The namespace's `adaptive_ttl`: learned of keys like it.
    Adaptive,
}

/// Why an entry lives as long as it does: for people who ask, stored with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Why {
    /// The ttl before anything was taken off it, in microseconds.
    pub(crate) given_us: u64,
    /// What was taken off at random, in microseconds.
    pub(crate) jitter_us: u64,
    pub(crate) ttl_by: Giver,
    pub(crate) stale_for_by: Giver,
}

/// The life of a new entry stored at `stored`; `random` draws its jitter. `learned`:
/// what a value gets for which its writer gives no ttl.
pub(crate) fn life(
    new: &NewEntry,
    (policy, learned): (&Policy, Option<Duration>),
    stored: LogTime,
    random: u64,
) -> Life {
    let (default, by) = match (&new.payload, learned) {
        (Payload::Value(_), Some(learned)) => (learned, Giver::Adaptive),
        (Payload::Value(_), None) => (policy.default_ttl, Giver::Namespace),
        (Payload::NotFound, _) => (policy.negative_ttl, Giver::NegativeTtl),
    };
    let given = new.ttl.unwrap_or(default);
    let jitter = taken_off(given, new.jitter.unwrap_or(policy.jitter), random);
    let ttl = given - jitter;
    let stale_for = new.stale_for.unwrap_or(policy.stale_for);
    let valid_until = new.valid_for.map_or(LogTime(u64::MAX), |v| stored.plus(v));
    Life {
        expires: stored.plus(ttl).min(valid_until),
        gone: stored.plus(ttl).plus(stale_for).min(valid_until),
        valid_until,
        why: Why {
            given_us: LogTime(0).plus(given).0,
            jitter_us: LogTime(0).plus(jitter).0,
            ttl_by: by_writer(new.ttl).unwrap_or(by),
            stale_for_by: by_writer(new.stale_for).unwrap_or(Giver::Namespace),
        },
    }
}

fn by_writer(given: Option<Duration>) -> Option<Giver> {
    given.map(|_| Giver::Writer)
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
    use crate::limits;
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
            depends_on: crate::request::DependsOn::Nothing,
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
        let life = life(&new, (&policy, None), LogTime(100), 0);
        assert_eq!((life.expires, life.gone), (LogTime(107), LogTime(112)));
    }

    #[test]
    fn who_gave_what_is_known() {
        let policy = Policy {
            jitter: Duration::from_micros(9),
            ..Policy::default()
        };
        let silent = NewEntry {
            ttl: None,
            stale_for: None,
            jitter: None,
            ..new(0, 0, None, 0)
        };
        let why = life(&silent, (&policy, None), LogTime(0), 7).why;
        let negative_us = limits::NEGATIVE_TTL_DEFAULT.as_micros() as u64;
        assert_eq!((why.given_us, why.jitter_us), (negative_us, 7));
        let by = (why.ttl_by, why.stale_for_by);
        assert_eq!(by, (Giver::NegativeTtl, Giver::Namespace));
        let why = life(&new(50, 3, None, 0), (&policy, None), LogTime(0), 7).why;
        assert_eq!((why.given_us, why.jitter_us), (50, 0));
        assert_eq!(
            (why.ttl_by, why.stale_for_by),
            (Giver::Writer, Giver::Writer)
        );
    }

    #[test]
    fn what_was_learned_stands_in_for_the_default_of_a_value_alone() {
        let learned = Some(Duration::from_micros(77));
        let given = |ttl, payload| {
            let new = NewEntry {
                ttl,
                payload,
                ..new(0, 0, None, 0)
            };
            let why = life(&new, (&Policy::default(), learned), LogTime(0), 0).why;
            (why.given_us, why.ttl_by)
        };
        let value = || {
            Payload::Value(crate::request::Value {
                data: "v".into(),
                text: true,
                content_type: String::new(),
            })
        };
        assert_eq!(given(None, value()), (77, Giver::Adaptive));
        let writers = Some(Duration::from_micros(5));
        assert_eq!(given(writers, value()), (5, Giver::Writer));
        assert_eq!(given(None, Payload::NotFound).1, Giver::NegativeTtl);
    }

    #[test]
    fn valid_for_ends_everything() {
        let life = life(
            &new(50, 50, Some(20), 0),
            (&Policy::default(), None),
            LogTime(0),
            0,
        );
        assert_eq!((life.expires, life.gone), (LogTime(20), LogTime(20)));
    }

    proptest! {
        #[test]
        fn jitter_shortens_by_at_most_half(ttl in 1u64..1 << 40, jitter in 0u64..1 << 41, random: u64) {
            let new = new(ttl, 3, None, jitter);
            let life = life(&new, (&Policy::default(), None), LogTime(9), random);
            let lived = life.expires.0 - 9;
            prop_assert!(lived <= ttl && lived >= ttl - ttl / 2 && ttl - lived <= jitter);
            prop_assert_eq!(life.gone.0, life.expires.0 + 3);
        }
    }
}
