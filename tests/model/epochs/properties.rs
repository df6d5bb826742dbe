//! What must always hold, and what must be possible.

use super::rules::TTL;
use super::steps::Action;
use super::{Epochs, PODS, SERVER, State};
use stateright::{Model, Property};

impl Model for Epochs {
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
                state.answered.is_none() || (0..PODS).all(|p| !model.serves(state, p, 0))
            }),
            Property::always("I-10 D after a NewEpoch", |model: &Self, state: &State| {
                let due = |(at, _): &(u8, u8)| state.now >= *at + TTL;
                let least = state.declared.filter(due).map_or(0, |(_, source)| source);
                (0..PODS).all(|p| (0..least).all(|old| !model.serves(state, p, old)))
            }),
            Property::always("I-10 an epoch left is left", |_: &Self, state: &State| {
                state.pods.iter().all(|pod| pod.left & 1 << pod.epoch == 0)
            }),
            Property::always("I-21 reads on in the same log only", same_log),
            Property::sometimes("fresh in a new epoch", |model: &Self, state: &State| {
                let new = state.pods[SERVER].epoch > 0;
                new && model.serves(state, SERVER, state.source)
            }),
            Property::sometimes(
                "a pod notices by the anchor",
                |model: &Self, state: &State| {
                    let noticed = |pod: &super::Pod| {
                        let there = pod.processed <= state.log.last();
                        !pod.reading
                            && there
                            && pod.epoch == state.epoch().0
                            && model.went_backward(state, pod)
                    };
                    state.pods.iter().any(noticed)
                },
            ),
        ];
        if self.bounds.values > 0 {
            properties.push(Property::sometimes(
                "answered in a new epoch",
                |_: &Self, state: &State| state.answered.is_some() && state.declared.is_some(),
            ));
        }
        properties
    }
}

/// Whoever reads has processed what the log has there.
fn same_log(_: &Epochs, state: &State) -> bool {
    state.pods.iter().all(|pod| {
        let there = state.log.at(pod.processed).map_or(0, |record| record.id);
        !pod.reading || there == pod.anchor
    })
}
