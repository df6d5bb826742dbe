//! What must always hold, and what must be possible.

use super::steps::Action;
use super::{CALLER, PODS, Record, SERVER, State, Truncation};
use stateright::{Model, Property};

impl Model for Truncation {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![self.start()]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        self.list(state, actions);
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        Some(self.step(*state, action))
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::always("I-1 FLEET", |model: &Self, state: &State| {
                (0..PODS).all(|p| (0..state.answered).all(|old| !model.serves(state, p, old)))
            }),
            Property::always("I-2 D", bounded),
            Property::sometimes(
                "a pod serves what it loaded before a cut",
                |model: &Self, state: &State| {
                    let (server, first) = (&state.pods[SERVER], state.first);
                    let older = state.held[usize::from(state.source)] & ((1 << first) - 1);
                    let serves = model.serves(state, SERVER, state.source);
                    serves && state.cuts > 0 && older != 0 && server.floor.max(server.gap) < first
                },
            ),
        ];
        if self.bounds.joined == [true; PODS] {
            properties.push(Property::sometimes(
                "fresh again after a gap",
                |model: &Self, state: &State| {
                    let server = &state.pods[SERVER];
                    server.gap > 0 && model.serves(state, SERVER, state.source)
                },
            ));
        }
        if self.bounds.rejoins {
            properties.extend([
                Property::sometimes(
                    "a joiner that knows all answers early",
                    |model: &Self, state: &State| model.joiner_answers(state, true),
                ),
                Property::sometimes(
                    "a joiner that does not waits D",
                    |model: &Self, state: &State| model.joiner_answers(state, false),
                ),
                Property::sometimes(
                    "fresh by a Join said again",
                    |model: &Self, state: &State| {
                        state.pods[SERVER].joined > Some(0)
                            && model.is_fresh(state, &state.pods[SERVER])
                    },
                ),
            ]);
        }
        properties
    }
}

impl Truncation {
    fn joiner_answers(&self, state: &State, early: bool) -> bool {
        let truncated = state.first > 1;
        let Some(call) = state.call.filter(|_| truncated) else {
            return false;
        };
        let knows = state.pods[CALLER].known_at == Some(state.now);
        match early {
            true => self.may_early(state, call.n) && knows,
            false => self.may_answer(state) && !self.may_early(state, call.n),
        }
    }
}

/// D after its record was appended an invalidation holds, answered or not; its
/// record may be gone by then.
fn bounded(model: &Truncation, state: &State) -> bool {
    let due = |(at, record): (u8, Record)| match record {
        Record::Invalidate(value) => {
            let appended = state.times[usize::from(at) - 1];
            let due = state.now >= appended + super::rules::TTL;
            if due { value } else { 0 }
        }
        _ => 0,
    };
    let value = state.log.iter().map(due).max().unwrap_or(0);
    (0..PODS).all(|p| (0..value).all(|old| !model.serves(state, p, old)))
}
