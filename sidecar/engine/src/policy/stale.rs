//! Who is given an entry that is not fresh: whoever asked for it with
//! STALE_OK, and whoever reads while the session is not fresh in a namespace
//! that prefers a stale answer to none. Whether an entry may be served stale at
//! all is not decided here but by the hit rule.

use super::{OnSessionLoss, Policy};
use crate::request::{Level, StaleReason};

/// Whether a read of this level is answered with a stale entry.
pub(crate) fn may_serve(level: Level, policy: &Policy, reason: StaleReason) -> bool {
    match level {
        Level::StaleOk => true,
        Level::Strong => false,
        Level::Bounded => {
            reason == StaleReason::SessionNotFresh
                && policy.on_session_loss == OnSessionLoss::ServeStale
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bounded_read_is_given_stale_entries_only_where_the_policy_says_so() {
        let bypass = Policy::default();
        let serve = Policy {
            on_session_loss: OnSessionLoss::ServeStale,
            ..Policy::default()
        };
        let lost = StaleReason::SessionNotFresh;
        assert!(!may_serve(Level::Bounded, &bypass, lost));
        assert!(may_serve(Level::Bounded, &serve, lost));
        assert!(!may_serve(Level::Bounded, &serve, StaleReason::Expired));
        assert!(!may_serve(Level::Strong, &serve, lost));
        assert!(may_serve(
            Level::StaleOk,
            &bypass,
            StaleReason::SoftInvalidated
        ));
    }
}
