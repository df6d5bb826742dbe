//! References: what they pin, how long they last, and when the end of the last
//! one drops the entry. Facts in, decision out.

use crate::limits;
use crate::references::Reference;
use std::time::Duration;

/// What L1 may keep for references beside what it evicts, of `l1_bytes`.
pub const PINNED_SHARE_DEFAULT: u8 = 25;
/// The most that it can be told to.
pub const PINNED_SHARE_MAX: u8 = 90;

/// Other pods leave a drop to the one that was asked to release, and then to the
/// fastest of them: each waits for a time of its own within these.
const STAGGER: (Duration, Duration) = (Duration::from_millis(500), Duration::from_millis(2500));

/// Weighed bytes that L1 may keep for references.
pub(crate) fn pinned_bytes(l1_bytes: u64, share_percent: u8) -> u64 {
    l1_bytes / 100 * u64::from(share_percent.min(PINNED_SHARE_MAX))
}

/// Whether one more entry may be kept. First come, first kept: what is kept is
/// not given up for another that is referred to.
pub(crate) fn has_room(kept: u64, more: u64, most: u64) -> bool {
    kept.saturating_add(more) <= most
}

/// A term as every driver counts it: whole seconds, not less than asked for.
pub(crate) fn term(asked: Option<Duration>) -> Duration {
    let asked = asked.unwrap_or(limits::REFERENCE_TERM_DEFAULT);
    let whole = asked.as_secs() + u64::from(asked.subsec_nanos() > 0);
    Duration::from_secs(whole).clamp(limits::REFERENCE_TERM_MIN, limits::REFERENCE_TERM_MAX)
}

/// Whether the entry is dropped when these were the last to go: the last one
/// decides. Of those whose order is not known (they ended while nobody here
/// followed) one is enough: a miss too many is harmless.
pub(crate) fn drops<'a>(last: impl IntoIterator<Item = &'a Reference>) -> bool {
    last.into_iter().any(|reference| reference.drop_at_zero)
}

/// How long this pod waits before it drops an entry itself. `random` draws.
pub(crate) fn stagger(random: u64) -> Duration {
    let span = (STAGGER.1 - STAGGER.0).as_millis() as u64;
    STAGGER.0 + Duration::from_millis(random % (span + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_term_is_whole_seconds_and_within_its_limits() {
        let of = |millis| term(Some(Duration::from_millis(millis))).as_secs();
        assert_eq!(
            [of(1), of(1000), of(1001), of(9_999_000_000)],
            [1, 1, 2, 3600]
        );
        assert_eq!(term(None), limits::REFERENCE_TERM_DEFAULT);
    }

    #[test]
    fn what_is_kept_never_passes_its_share() {
        assert_eq!(pinned_bytes(1 << 20, 25), (1 << 20) / 100 * 25);
        assert_eq!(pinned_bytes(100, 255), 90);
        assert!(has_room(40, 60, 100) && !has_room(41, 60, 100));
        assert!(!has_room(u64::MAX, 1, u64::MAX - 1));
    }

    #[test]
    fn a_stagger_is_within_its_bounds() {
        for random in [0, 1, 2000, 2001, u64::MAX] {
            assert!((STAGGER.0..=STAGGER.1).contains(&stagger(random)));
        }
    }
}
