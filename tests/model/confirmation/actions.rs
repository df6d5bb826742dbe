//! What can happen, and when.

use super::{Confirmation, PODS, Phase, Pod, Question, State};

/// What can happen. The first number is a pod's, except for Sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// The source is written and the record appended.
    Invalidate,
    /// The source is read for a Set by the first pod, with the position that the
    /// second one told.
    Read(usize, usize),
    /// A Set's record is appended.
    Append(usize),
    Beat(usize),
    Process(usize),
    /// The log's first record is now this one.
    Cut(u8),
    /// The log reads its first retained sequence, for a pod's question.
    Look(usize, Asks),
    Answer(usize, Asks),
    /// What a gap made nobody ask any more is asked after a while.
    AskAgain(usize),
    /// A Set stands, or is refused.
    Settle(usize),
    /// The connection breaks.
    Break(usize),
    /// The log is opened again.
    Open(usize),
    Replay(usize),
}

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asks {
    Sets,
    Echo,
}

impl Confirmation {
    pub(super) fn list(&self, state: &State, actions: &mut Vec<Action>) {
        let room = state.log.last() < self.bounds.log;
        if room && state.source < self.bounds.values {
            actions.push(Action::Invalidate);
        }
        if state.cuts < self.bounds.cuts {
            actions.extend((state.first + 1..=state.log.last() + 1).map(Action::Cut));
        }
        for (at, set) in state.sets.iter().enumerate() {
            let Some(set) = set else { continue };
            if set.phase == Phase::Read && room {
                actions.push(Action::Append(at));
            }
            if self.stands(&state.pods[set.pod], set).is_some() {
                actions.push(Action::Settle(at));
            }
        }
        for p in 0..PODS {
            self.list_pod(state, p, room, actions);
        }
    }

    fn list_pod(&self, state: &State, p: usize, room: bool, actions: &mut Vec<Action>) {
        let pod = &state.pods[p];
        if state.began < self.bounds.sets {
            actions.extend((0..PODS).map(|told| Action::Read(p, told)));
        }
        if room && state.beats < self.bounds.beats {
            actions.push(Action::Beat(p));
        }
        if state.next(p).is_some() {
            actions.push(Action::Process(p));
        }
        for asks in [Asks::Sets, Asks::Echo] {
            match pod.question(asks) {
                Some(Question { first: None, .. }) => actions.push(Action::Look(p, asks)),
                Some(_) => actions.push(Action::Answer(p, asks)),
                None => {}
            }
        }
        if pod.asked.is_none() && state.waits(p) {
            actions.push(Action::AskAgain(p));
        }
        if pod.connected && state.breaks < self.bounds.breaks {
            actions.push(Action::Break(p));
        }
        if !pod.connected && (state.first <= pod.anchor.max(1) || room) {
            actions.push(Action::Open(p));
        }
        if pod.replaying {
            actions.push(Action::Replay(p));
        }
    }
}

impl Pod {
    pub(crate) fn question(&self, asks: Asks) -> Option<Question> {
        match asks {
            Asks::Sets => self.asked,
            Asks::Echo => self.echo,
        }
    }
}
