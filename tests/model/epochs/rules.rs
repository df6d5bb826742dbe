//! What a pod may do: the hit rule, the end of a FLEET, what a log is.

use super::{Body, CALLER, Call, EPOCHS, Epochs, Pod, SESSIONS, Safeguard, State};

/// How long a Beat renews for; clocks agree, so this is D as well.
pub(super) const TTL: u8 = 1;

impl Epochs {
    pub(super) fn has(&self, safeguard: Safeguard) -> bool {
        self.without != Some(safeguard)
    }

    /// Whether the pod may hand out `value` as fresh to a call that begins now.
    pub(super) fn serves(&self, state: &State, p: usize, value: u8) -> bool {
        let pod = &state.pods[p];
        if state.now >= pod.fresh_until {
            return false;
        }
        let least = pod.floor.max(pod.horizon);
        let believed = (least..=pod.processed).fold(0_u8, |mask, at| mask | 1 << at);
        (0..EPOCHS).any(|epoch| {
            let same = epoch == usize::from(pod.epoch);
            let believes = same || !self.has(Safeguard::EpochInTheHitRule);
            believes && state.held[epoch][usize::from(value)] & believed != 0
        })
    }

    pub(super) fn may_answer(&self, state: &State) -> bool {
        let Some(Call { epoch, n, at, .. }) = state.call else {
            return false;
        };
        let pod = &state.pods[CALLER];
        let processed = pod.epoch == epoch && pod.processed >= n;
        processed && (state.now >= at + TTL || self.may_early(state, n))
    }

    /// Whether the FLEET may end before D.
    pub(super) fn may_early(&self, state: &State, n: u8) -> bool {
        let pod = &state.pods[CALLER];
        let undisturbed = pod.interrupted.is_none_or(|at| state.now >= at + TTL);
        let known = pod.known_at.is_some_and(|at| state.now >= at);
        let waits = |session: usize| {
            let (epoch, word) = state.words[session];
            let told = word >= n && epoch == pod.epoch;
            let own = pod.session == Some(session as u8);
            pod.known & 1 << session != 0 && !own && !told
        };
        undisturbed && known && !(0..SESSIONS).any(waits)
    }

    /// Whether the log is not the one that the pod has read.
    pub(super) fn went_backward(&self, state: &State, pod: &Pod) -> bool {
        let Some(record) = state.log.at(pod.processed) else {
            return pod.processed > state.log.last();
        };
        record.id != pod.anchor && self.has(Safeguard::AnchorIsVerified)
    }
}

impl State {
    /// The epoch that the newest NewEpoch names, and where it began.
    pub(super) fn epoch(&self) -> (u8, u8) {
        let named = |(at, record): (u8, super::Record)| match record.body {
            Body::NewEpoch(epoch) => Some((epoch, at)),
            _ => None,
        };
        self.log.iter().rev().find_map(named).unwrap_or((0, 0))
    }
}
