//! What a pod may do: the hit rule, the session, the end of a FLEET.

use super::{CALLER, Call, Pod, Safeguard, State, Truncation};

/// How long a Beat renews for; clocks agree, so this is D as well.
pub(super) const TTL: u8 = 1;
/// A Join is said again after this, a quarter of the retention.
pub(super) const QUARTER: u8 = 1;
/// A replay this long has met every session: longer than a quarter and D.
pub(super) const HALF: u8 = 3;

impl Truncation {
    pub(super) fn has(&self, safeguard: Safeguard) -> bool {
        self.without != Some(safeguard)
    }

    /// Whether the pod may hand out `value` as fresh to a call that begins now.
    pub(super) fn serves(&self, state: &State, p: usize, value: u8) -> bool {
        let pod = &state.pods[p];
        if !self.is_fresh(state, pod) {
            return false;
        }
        let horizon = match self.has(Safeguard::HorizonOfAJoiner) {
            true => pod.horizon,
            false => 0,
        };
        let least = pod.floor.max(horizon).max(pod.gap);
        let believed = (least..=pod.processed).fold(0_u16, |mask, at| mask | 1 << at);
        state.held[usize::from(value)] & believed != 0
    }

    pub(super) fn is_fresh(&self, state: &State, pod: &Pod) -> bool {
        state.now < pod.fresh_until && !self.is_overdue(state, pod)
    }

    /// Whether the newest Join is too old for a joiner to have met it.
    pub(super) fn is_overdue(&self, state: &State, pod: &Pod) -> bool {
        let overdue = |said: u8| state.now >= said + QUARTER + TTL;
        let matters = self.bounds.rejoins;
        matters && self.has(Safeguard::OverdueJoinEndsTheSession) && pod.joined.is_some_and(overdue)
    }

    pub(super) fn may_answer(&self, state: &State) -> bool {
        let Some(Call { n, at, .. }) = state.call else {
            return false;
        };
        let processed = state.pods[CALLER].processed >= n;
        processed && (state.now >= at + TTL || self.may_early(state, n))
    }

    /// Whether the FLEET may end before D.
    pub(super) fn may_early(&self, state: &State, n: u8) -> bool {
        let pod = &state.pods[CALLER];
        let undisturbed = pod.interrupted.is_none_or(|at| state.now >= at + TTL);
        let known = pod.known_at.is_some_and(|at| state.now >= at);
        let whole = pod.verified >= n || !self.has(Safeguard::EarlyMeansTheVerified);
        undisturbed && known && whole && self.unsettled(state, n).next().is_none()
    }

    /// The sessions whose word on `n` is still wanted.
    pub(super) fn unsettled(&self, state: &State, n: u8) -> impl Iterator<Item = u8> {
        let pod = state.pods[CALLER];
        let (words, now) = (state.words, state.now);
        (0..super::SESSIONS).filter_map(move |session| {
            let joined = pod.first_join[session];
            let ended = pod.expelled[session].is_some_and(|at| now >= at + TTL);
            let other = pod.session != Some(session as u8);
            let waits = joined > 0 && joined < n && other && words[session] < n && !ended;
            waits.then_some(session as u8)
        })
    }
}
