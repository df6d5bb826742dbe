//! What can happen, and what follows from it.

use super::{Cover, Entry, Fills, Flight, KEYS, PODS, Pod, Safeguard, Slot, State};
use crate::row::Row;
use unstale_engine::coherence::Freshness;

/// What can happen. Pod first, then key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// The source is written and the cover is appended.
    Cover(Cover),
    Process(usize),
    Lease(usize, usize),
    ReadSource(usize, usize),
    Fill(usize, usize),
    /// The answer of an accepted fill was lost: it is sent again.
    FillAgain(usize, usize),
    Forget(usize),
    Restart(usize),
    /// One more of the older records is replayed, newest first.
    Replay(usize),
}

impl Fills {
    pub(super) fn start(&self) -> State {
        let pod = Pod {
            processed: 0,
            unread: 0,
            flights: [Flight::None; KEYS],
        };
        State {
            log: Row::new(),
            pods: [pod; PODS],
            tier: [Slot::Empty; KEYS],
            ever: [0; KEYS],
            tokens: 0,
            replaced: 0,
            accepted: 0,
            wrong: false,
            restarts: 0,
            forgets: 0,
        }
    }

    pub(super) fn list(&self, state: &State, actions: &mut Vec<Action>) {
        if state.log.last() < self.bounds.log {
            actions.extend([Cover::Hard, Cover::Soft, Cover::Tag].map(Action::Cover));
        }
        for (p, pod) in state.pods.iter().enumerate() {
            if pod.processed < state.log.last() {
                actions.push(Action::Process(p));
            }
            if state.restarts < self.bounds.restarts {
                actions.push(Action::Restart(p));
            }
            if pod.unread > 0 {
                actions.push(Action::Replay(p));
            }
            for key in 0..KEYS {
                match pod.flights[key] {
                    Flight::None if self.may_lease(state, pod, key) => {
                        actions.push(Action::Lease(p, key));
                    }
                    Flight::None => {}
                    Flight::Leased { .. } => actions.push(Action::ReadSource(p, key)),
                    Flight::Read { .. } => {
                        actions.extend([Action::Fill(p, key), Action::FillAgain(p, key)]);
                    }
                }
            }
        }
        let forget = |key: &usize| state.tier[*key] != Slot::Empty;
        if state.forgets < self.bounds.forgets {
            actions.extend((0..KEYS).filter(forget).map(Action::Forget));
        }
    }

    /// A marker's term may have ended at any time.
    fn may_lease(&self, state: &State, pod: &Pod, key: usize) -> bool {
        let judged = match state.tier[key] {
            Slot::Value(entry) => self.judge(&state.log, pod, key, entry.as_of),
            Slot::Empty | Slot::Marker { .. } => Freshness::Dead,
        };
        let replaceable = matches!(judged, Freshness::Dead | Freshness::Stale(_));
        state.tokens < self.bounds.tokens && replaceable
    }

    pub(super) fn step(&self, mut state: State, action: Action) -> State {
        match action {
            Action::Cover(cover) => {
                state.log.push(cover);
            }
            Action::Process(p) => state.pods[p].processed += 1,
            Action::Lease(p, key) => self.lease(&mut state, p, key),
            Action::ReadSource(p, key) => {
                let value = state.covered(key, state.log.last(), false);
                if let Flight::Leased { token, as_of } = state.pods[p].flights[key] {
                    let entry = Entry { value, as_of };
                    state.pods[p].flights[key] = Flight::Read { token, entry };
                }
            }
            Action::Fill(p, key) => {
                self.fill(&mut state, p, key);
                state.pods[p].flights[key] = Flight::None;
            }
            Action::FillAgain(p, key) => self.fill(&mut state, p, key),
            Action::Forget(key) => {
                state.tier[key] = Slot::Empty;
                state.forgets += 1;
            }
            Action::Restart(p) => {
                let last = state.log.last();
                let flights = [Flight::None; KEYS];
                (state.pods[p].processed, state.pods[p].unread) = (last, last);
                state.pods[p].flights = flights;
                state.restarts += 1;
            }
            Action::Replay(p) => state.pods[p].unread -= 1,
        }
        state
    }

    fn lease(&self, state: &mut State, p: usize, key: usize) {
        let pod = &state.pods[p];
        let served = |entry: &Entry| {
            let judged = self.judge(&state.log, pod, key, entry.as_of);
            matches!(judged, Freshness::Fresh | Freshness::Stale(_))
        };
        let (there, replaced) = match state.tier[key] {
            Slot::Empty => (None, None),
            Slot::Value(entry) => (Some(entry), None),
            Slot::Marker { token, stale, .. } => (stale, Some(token)),
        };
        let stale = there.filter(served);
        let ahead = u8::from(!self.has(Safeguard::AsOfFromTheLog));
        let (token, as_of) = (state.tokens, pod.processed + ahead);
        state.tokens += 1;
        state.replaced |= replaced.map_or(0, |token| 1 << token);
        state.tier[key] = Slot::Marker {
            token,
            as_of,
            stale,
        };
        state.pods[p].flights[key] = Flight::Leased { token, as_of };
    }

    fn fill(&self, state: &mut State, p: usize, key: usize) {
        let Flight::Read { token, mut entry } = state.pods[p].flights[key] else {
            return;
        };
        let pod = &state.pods[p];
        if !self.has(Safeguard::AsOfBeforeTheRead) {
            entry.as_of = pod.processed;
        }
        let voided = self.is_voided(state, pod, key, entry.as_of);
        if voided && self.has(Safeguard::FillLooksAtTheFloors) {
            return;
        }
        // Held here at least: as a lease without a marker would be.
        state.ever[key] |= entry.bit();
        let own = matches!(state.tier[key], Slot::Marker { token: there, .. } if there == token);
        if own || !self.has(Safeguard::FillOnlyOverItsMarker) {
            let before = (state.accepted | state.replaced) & 1 << token != 0;
            state.wrong |= before || voided;
            state.accepted |= 1 << token;
            state.tier[key] = Slot::Value(entry);
        }
    }
}
