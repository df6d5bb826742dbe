//! What must always hold, and what must be possible.

use super::steps::Action;
use super::{Entry, Op, Slot, State, Writes};
use stateright::{Model, Property};

impl Model for Writes {
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
            Property::always(
                "I-8 one CompareAndSet per version",
                |_: &Self, state: &State| !state.twice,
            ),
            Property::always("I-8 nothing fresh is older than a cover", not_covered),
            Property::always(
                "I-8 what answered OK is not lost",
                |_: &Self, state: &State| {
                    let newest = state.log.last();
                    let done = state.done & 1 << newest != 0;
                    let older = match state.slot {
                        Slot::Value(entry) => entry.as_of < newest,
                        Slot::Marker { .. } => state.tokens > 0 && lost_to_marker(state, newest),
                        Slot::Empty => true,
                    };
                    !done || !older
                },
            ),
            Property::sometimes(
                "a CompareAndSet of a CompareAndSet",
                |_: &Self, state: &State| {
                    state.compared & 0b1_1111 != 0 && state.compared.count_ones() > 1
                },
            ),
            Property::sometimes("a Set is outranked", |_: &Self, state: &State| {
                let outranked = |op: Option<Op>| match (op, state.slot) {
                    (Some(op), Slot::Value(there)) => op.accepted && op.at < Some(there.as_of),
                    _ => false,
                };
                state.pods.iter().any(|pod| outranked(pod.op))
            }),
            Property::sometimes(
                "a written value is a hit elsewhere",
                |model: &Self, state: &State| {
                    let hit = |entry: &Entry| {
                        let all = state.pods.iter();
                        entry.version < 5 && all.clone().all(|pod| model.hits(state, pod, entry))
                    };
                    state.ever.iter().flatten().any(hit)
                },
            ),
        ];
        if self.bounds.tokens > 0 {
            properties.push(Property::sometimes(
                "a Set meets a marker",
                |_: &Self, state: &State| {
                    let put = |op: Option<Op>| op.is_some_and(|op| op.accepted);
                    let marker = matches!(state.slot, Slot::Marker { .. });
                    marker && state.pods.iter().any(|pod| put(pod.op))
                },
            ));
        }
        properties
    }
}

/// A marker that stands where a newer write answered OK.
fn lost_to_marker(state: &State, newest: u8) -> bool {
    let there = state.ever[usize::from(newest)];
    there.is_none()
}

/// A value is not fresh where a record is known that is newer than what it was
/// made from, its own apart.
fn not_covered(model: &Writes, state: &State) -> bool {
    state.pods.iter().all(|pod| {
        let stale = |entry: &Entry| {
            let newer = |(at, _)| at > entry.base && at <= pod.processed && at != entry.version;
            state.log.iter().any(newer)
        };
        let mut met = state.ever.iter().flatten();
        met.all(|entry| !model.hits(state, pod, entry) || !stale(entry))
    })
}

impl Writes {
    fn hits(&self, state: &State, pod: &super::Pod, entry: &Entry) -> bool {
        self.is_fresh(state, pod, entry.as_of)
    }
}
