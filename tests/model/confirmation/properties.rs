//! What must always hold, and what must be possible.

use super::actions::Action;
use super::{Confirmation, PODS, Phase, Record, Set, State};
use stateright::{Model, Property};

impl Model for Confirmation {
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
            Property::always("I-2 D", bounded),
            Property::always("I-8 no Set that stands is undone by an older one", ordered),
            Property::always("a Set that waits has asked the log", asked),
            Property::sometimes("a Set stands after a cut", |model: &Self, state: &State| {
                state.first > 1 && state.settles(model, true)
            }),
            Property::sometimes(
                "a gap refuses an accepted Set",
                |model: &Self, state: &State| state.settles(model, false),
            ),
            Property::sometimes(
                "both pods serve what a Set brought",
                |_: &Self, state: &State| {
                    let served = |n: &u8| state.pods.iter().all(|pod| pod.serves(*n));
                    state.stored().any(|(n, ..)| served(&n))
                },
            ),
        ];
        if self.bounds.sets > 1 {
            properties.push(Property::sometimes(
                "a second Set waits for the first one's question",
                |_: &Self, state: &State| {
                    (0..PODS).any(|p| state.pods[p].wants_more() && state.accepted(p) > 1)
                },
            ));
        }
        if self.bounds.breaks > 0 {
            properties.push(Property::sometimes(
                "an accepted Set waits while its pod begins anew",
                |_: &Self, state: &State| {
                    let anew = |p: usize| state.pods[p].begins_anew();
                    (0..PODS).any(|p| anew(p) && state.accepted(p) > 0)
                },
            ));
        }
        properties
    }
}

/// A pod that has verified an invalidation serves nothing older: D after it was
/// appended that is every pod with a session, whatever it has met.
fn bounded(_: &Confirmation, state: &State) -> bool {
    let newest = |verified: u8| {
        let known = state.log.iter().take_while(|(at, _)| *at <= verified);
        let values = known.map(|(_, record)| match record {
            Record::Invalidate(value) => value,
            _ => 0,
        });
        values.max().unwrap_or(0)
    };
    state.pods.iter().all(|pod| {
        let least = newest(pod.verified());
        let mut stored = state.stored();
        stored.all(|(n, value, _)| value >= least || !pod.serves(n))
    })
}

/// No Set stands whose position is from before another one that stands.
fn ordered(_: &Confirmation, state: &State) -> bool {
    let undone = |n: u8, position: u8| state.stored().any(|(m, ..)| position < m && m < n);
    state.stored().all(|(n, _, position)| !undone(n, position))
}

/// Else it would wait for the pod's next beat. After a gap, and while the log is
/// opened, a timer asks again.
fn asked(_: &Confirmation, state: &State) -> bool {
    let undisturbed = |p: &usize| state.breaks == 0 && state.pods[*p].gap == 0;
    let mut pods = (0..PODS).filter(undisturbed);
    pods.all(|p| !state.waits(p) || state.pods[p].is_asking())
}

impl State {
    /// Position, value and told position of the Sets that stand.
    fn stored(&self) -> impl Iterator<Item = (u8, u8, u8)> {
        let stored = |(n, record): (u8, Record)| match record {
            Record::Write { value, position } if self.stored & (1 << n) != 0 => {
                Some((n, value, position))
            }
            _ => None,
        };
        self.log.iter().filter_map(stored)
    }

    /// Whether a Set is about to stand, or to be refused though it was accepted.
    fn settles(&self, model: &Confirmation, stands: bool) -> bool {
        let settles = |set: &Set| model.stands(&self.pods[set.pod], set) == Some(stands);
        self.sets.iter().flatten().any(settles)
    }

    fn accepted(&self, p: usize) -> usize {
        let accepted = |set: &&Set| set.pod == p && matches!(set.phase, Phase::Accepted(_));
        self.sets.iter().flatten().filter(accepted).count()
    }
}
