//! What must always hold, and what must be possible.

use super::rules::{DRIFT, TTL};
use super::steps::Action;
use super::{Call, PODS, Record, SESSIONS, Safeguard, Sessions, State};
use stateright::{Model, Property};

impl Model for Sessions {
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
                (0..PODS).all(|p| !model.serves_below(state, p, state.answered))
            }),
            Property::always("I-2 D", bounded),
            Property::always("I-3 local", local),
            Property::always("I-4 min_position", min_position),
            Property::sometimes("answered early, the new value served", served_early),
            Property::sometimes(
                "answered after D, a pod being silent",
                |model: &Self, state: &State| model.answers(state, |early| !early),
            ),
        ];
        let bounds = self.bounds;
        if bounds.restarts > 0 {
            properties.push(Property::sometimes(
                "a restarted pod serves what is older than its Join",
                serves_older_than_its_join,
            ));
        }
        if bounds.expels > 0 {
            properties.extend([
                Property::sometimes("an expelled session counts as ended", ended_by_expel),
                Property::sometimes(
                    "an expelled pod serves again",
                    |model: &Self, state: &State| {
                        (0..PODS)
                            .any(|p| state.pods[p].session >= Some(2) && model.is_fresh(state, p))
                    },
                ),
            ]);
        }
        if bounds.leaves > 0 {
            properties.push(Property::sometimes(
                "answered early after a Leave",
                |model: &Self, state: &State| {
                    let gone = state.pods.iter().any(|pod| pod.left);
                    gone && model.answers(state, |early| early)
                },
            ));
        }
        properties
    }
}

impl Sessions {
    fn serves_below(&self, state: &State, p: usize, value: u8) -> bool {
        (0..value).any(|old| self.serves(state, p, old))
    }

    /// Whether a FLEET may end now, `early` or not, as asked.
    fn answers(&self, state: &State, asked: fn(bool) -> bool) -> bool {
        (0..PODS).any(|p| match state.pods[p].call {
            Call::Appended { n, .. } => {
                self.may_answer(state, p) && asked(self.may_early(state, p, n))
            }
            _ => false,
        })
    }
}

fn bounded(model: &Sessions, state: &State) -> bool {
    let due = |record| match record {
        Record::Invalidate { value, at } if state.now >= at + TTL + DRIFT => value,
        _ => 0,
    };
    let value = state.log.iter().map(|(_, record)| due(record)).max();
    (0..PODS).all(|p| !model.serves_below(state, p, value.unwrap_or(0)))
}

fn local(model: &Sessions, state: &State) -> bool {
    (0..PODS).all(|p| match state.pods[p].call {
        Call::Begun { value, .. } | Call::Appended { value, .. } => {
            !model.serves_below(state, p, value)
        }
        Call::None => true,
    })
}

/// Who has the position of an invalidation waits until it is processed.
fn min_position(model: &Sessions, state: &State) -> bool {
    let waits = model.has(Safeguard::MinPositionWaits);
    state.log.iter().all(|(n, record)| match record {
        Record::Invalidate { value, .. } => (0..PODS).all(|p| {
            let answers = !waits || state.pods[p].processed >= n;
            !answers || !model.serves_below(state, p, value)
        }),
        _ => true,
    })
}

fn served_early(model: &Sessions, state: &State) -> bool {
    let any = (0..PODS).any(|p| model.serves(state, p, state.answered));
    state.now < TTL + DRIFT && state.answered > 0 && any
}

fn serves_older_than_its_join(model: &Sessions, state: &State) -> bool {
    (0..PODS).any(|p| {
        let pod = &state.pods[p];
        let join = state
            .log
            .iter()
            .find(|(_, r)| pod.session.map(Record::Join) == Some(*r));
        let older = join.map_or(0, |(at, _)| (1_u16 << at) - 1) & !((1 << pod.floor) - 1);
        let held = state.held[usize::from(state.source)];
        pod.session >= Some(2) && model.serves(state, p, state.source) && held & older != 0
    })
}

/// It is the Expel, not a word or D, that lets the FLEET end.
fn ended_by_expel(model: &Sessions, state: &State) -> bool {
    (0..PODS).any(|p| {
        let Call::Appended { n, .. } = state.pods[p].call else {
            return false;
        };
        let silent = |at: usize| state.words[at] < n;
        let expelled = (0..SESSIONS).any(|s| state.pods[p].expelled[s].is_some() && silent(s));
        expelled && state.pods[p].processed >= n && model.may_early(state, p, n)
    })
}
