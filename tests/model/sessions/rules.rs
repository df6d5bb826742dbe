//! What a pod may do: the hit rule, the session, the end of a FLEET.

use super::{Call, Pod, Record, Safeguard, Sessions, State};

/// How long a Beat renews for.
pub(super) const TTL: u8 = 1;
/// What clocks may differ by in all.
pub(super) const DRIFT: u8 = 1;

impl Sessions {
    pub(super) fn has(&self, safeguard: Safeguard) -> bool {
        self.without != Some(safeguard)
    }

    /// D, as waiters count it.
    pub(super) fn bound(&self) -> u8 {
        match self.has(Safeguard::DriftMargin) {
            true => TTL + DRIFT,
            false => TTL,
        }
    }

    /// Whether the pod may hand out `value` as fresh to a call that begins now.
    pub(super) fn serves(&self, state: &State, p: usize, value: u8) -> bool {
        let pod = &state.pods[p];
        if !self.is_fresh(state, p) || self.is_pending(pod) {
            return false;
        }
        let horizon = match self.has(Safeguard::HorizonOfAJoiner) {
            true => pod.horizon,
            false => 0,
        };
        let least = pod.floor.max(horizon);
        let believed = (least..=pod.processed).fold(0_u16, |mask, at| mask | 1 << at);
        state.held[usize::from(value)] & believed != 0
    }

    pub(super) fn is_fresh(&self, state: &State, p: usize) -> bool {
        let pod = &state.pods[p];
        !pod.left && state.clock(p) < pod.fresh_until
    }

    fn is_pending(&self, pod: &Pod) -> bool {
        let covered = match pod.call {
            Call::None => false,
            Call::Begun { .. } => true,
            Call::Appended { n, .. } => pod.processed < n,
        };
        covered && self.has(Safeguard::PendingCover)
    }

    /// Whether the pod's FLEET may be answered OK.
    pub(super) fn may_answer(&self, state: &State, p: usize) -> bool {
        let pod = &state.pods[p];
        let Call::Appended { n, at, .. } = pod.call else {
            return false;
        };
        pod.processed >= n && (state.clock(p) >= at + self.bound() || self.may_early(state, p, n))
    }

    /// Whether it may be answered before D.
    pub(super) fn may_early(&self, state: &State, p: usize, n: u8) -> bool {
        let pod = &state.pods[p];
        let undisturbed = pod
            .interrupted
            .is_none_or(|at| state.clock(p) >= at + self.bound());
        let replayed = pod.replayed || !self.has(Safeguard::EarlyOnlyAfterReplay);
        undisturbed && replayed && self.unsettled(state, p, n).next().is_none()
    }

    /// The sessions whose word on `n` is still wanted.
    pub(super) fn unsettled(&self, state: &State, p: usize, n: u8) -> impl Iterator<Item = u8> {
        let known = self.known(state, p, n);
        let waits = move |session: &u8| {
            let word = state.words[usize::from(*session)];
            let early = u8::from(!self.has(Safeguard::WordAfterProcessing));
            let silent = word + early < n && self.has(Safeguard::FleetWaitsForSilentPods);
            silent && !self.has_ended(state, p, *session)
        };
        known.filter(waits)
    }

    /// The sessions of others that the pod knows to have joined before `n`.
    fn known(&self, state: &State, p: usize, n: u8) -> impl Iterator<Item = u8> {
        let pod = state.pods[p];
        // A stale list: what was known when the caller's pod had processed less.
        let until = match self.has(Safeguard::SessionsKnownAsOfN) {
            true => n,
            false => 3,
        };
        let from = pod.horizon;
        let joins = state
            .log
            .iter()
            .filter_map(move |(at, record)| match record {
                Record::Join(session) if at < until && at >= from => Some(session),
                _ => None,
            });
        joins.filter(move |session| Some(*session) != pod.session)
    }

    fn has_ended(&self, state: &State, p: usize, session: u8) -> bool {
        let pod = &state.pods[p];
        let left = |(at, record)| at <= pod.processed && record == Record::Leave(session);
        let wait = match self.has(Safeguard::ExpelledWaitsD) {
            true => self.bound(),
            false => 0,
        };
        let expelled = pod.expelled[usize::from(session)];
        expelled.is_some_and(|at| state.clock(p) >= at + wait) || state.log.iter().any(left)
    }
}

impl State {
    /// What the pod's own clock says.
    pub(super) fn clock(&self, p: usize) -> u8 {
        match p {
            0 => self.now - self.lag,
            _ => self.now,
        }
    }
}
