//! What must always hold, and what must be possible.

use super::steps::Action;
use super::{Entry, Fills, Flight, KEYS, PODS, Slot, State};
use stateright::{Model, Property};
use unstale_engine::coherence::Freshness;

impl Model for Fills {
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
                "I-5, I-6 covered is not fresh",
                |model: &Self, state: &State| {
                    !model.meets(state, |judged| judged == Freshness::Fresh, false)
                },
            ),
            Property::always(
                "I-7 a voided token is refused",
                |_: &Self, state: &State| !state.wrong,
            ),
            Property::always(
                "I-13 below a hard floor nothing is served",
                |model: &Self, state: &State| !model.meets(state, is_served, true),
            ),
            Property::sometimes(
                "a hit on the newest value",
                |model: &Self, state: &State| {
                    model.some(state, |state, p, key, entry, judged| {
                        let newest = state.covered(key, state.log.last(), false);
                        judged == Freshness::Fresh
                            && newest > 0
                            && entry.value == newest
                            && state.pods[p].processed == state.log.last()
                    })
                },
            ),
            Property::sometimes(
                "soft: stale, served flagged",
                |model: &Self, state: &State| {
                    model.some(state, |_, _, _, _, judged| {
                        matches!(judged, Freshness::Stale(_))
                    })
                },
            ),
            Property::sometimes("key 0 gone, key 1 fresh, loaded alike", one_key_gone),
            Property::sometimes(
                "newer than what is processed",
                |model: &Self, state: &State| {
                    model.some(state, |_, _, _, _, judged| judged == Freshness::Future)
                },
            ),
            Property::sometimes("a load outlives its marker", |_: &Self, state: &State| {
                late_load(state)
            }),
        ];
        if self.bounds.restarts > 0 {
            let older = |model: &Self, state: &State| {
                model.some(state, |state, p, _, entry, judged| {
                    let unread = state.pods[p].unread;
                    judged == Freshness::Fresh && unread > 0 && entry.as_of == unread
                })
            };
            properties.push(Property::sometimes(
                "served while the log is replayed",
                older,
            ));
        }
        properties
    }
}

fn is_served(judged: Freshness) -> bool {
    matches!(judged, Freshness::Fresh | Freshness::Stale(_))
}

type Seen = fn(&State, usize, usize, Entry, Freshness) -> bool;

impl Fills {
    fn some(&self, state: &State, seen: Seen) -> bool {
        let pairs = (0..PODS).flat_map(|p| (0..KEYS).map(move |key| (p, key)));
        pairs.into_iter().any(|(p, key)| {
            let met = self.met(state, p, key);
            met.into_iter()
                .any(|(entry, judged)| seen(state, p, key, entry, judged))
        })
    }

    /// Whether a pod meets, so judged, what a cover it has processed is newer
    /// than. A restarted pod has processed what it will replay.
    fn meets(&self, state: &State, so: fn(Freshness) -> bool, hard: bool) -> bool {
        (0..PODS).any(|p| {
            (0..KEYS).any(|key| {
                let newest = state.covered(key, state.pods[p].processed, hard);
                let met = self.met(state, p, key);
                met.into_iter()
                    .any(|(entry, judged)| so(judged) && entry.value < newest)
            })
        })
    }
}

fn one_key_gone(model: &Fills, state: &State) -> bool {
    (0..PODS).any(|p| {
        let has = |key, as_of, so: Freshness| {
            let met = model.met(state, p, key);
            met.into_iter()
                .any(|(entry, judged)| entry.as_of == as_of && judged == so)
        };
        (0..4).any(|at| has(0, at, Freshness::Dead) && has(1, at, Freshness::Fresh))
    })
}

fn late_load(state: &State) -> bool {
    state.pods.iter().any(|pod| {
        let late = |key: usize| match (pod.flights[key], state.tier[key]) {
            (Flight::Read { token, .. }, Slot::Value(_)) => state.replaced & 1 << token != 0,
            _ => false,
        };
        (0..KEYS).any(late)
    })
}
