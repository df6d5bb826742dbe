//! The machine goes to every state of a small `confirmation`, as its first pod, by
//! a shortest path, and takes each step from there. It has processed and verified
//! what the model's pod has, found the same gap, asked the same questions,
//! accepted the same Sets, and serves the same.
//!
//! Left out is where the model allows more than can be: Beats of a session that
//! is over, and a log that is cut while its past is replayed; and Sets whose own
//! record was discarded unread (the machine covers their keys once more).

use super::led::{LED, Led};
use crate::confirmation::{self, Action, Confirmation, Phase, Pod, Record, State};
use stateright::Model;
use std::collections::{HashMap, HashSet};

/// How a state was first reached.
struct Node {
    state: State,
    from: Option<(usize, Action)>,
}

/// The path, told if it fails.
struct Told<'a>(&'a [(Action, State)], Action);

impl Drop for Told<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let path: Vec<Action> = self.0.iter().map(|(action, _)| *action).collect();
            println!("after {path:?} {:?}", self.1);
        }
    }
}

#[test]
fn the_engine_takes_every_step_of_the_model_of_confirmation() {
    let model = confirmation::small();
    let start = model.init_states().remove(0);
    let mut known = HashMap::from([(start, 0)]);
    let mut nodes = vec![Node {
        state: start,
        from: None,
    }];
    let (mut at, mut paths) = (0, 0);
    while at < nodes.len() {
        let state = nodes[at].state;
        let mut actions = Vec::new();
        model.actions(&state, &mut actions);
        for action in actions
            .into_iter()
            .filter(|step| is_followed(&state, *step))
        {
            let next = model.next_state(&state, action).expect("a step");
            follow(&model, &path(&nodes, at), (action, next));
            paths += 1;
            known.entry(next).or_insert_with(|| {
                let from = Some((at, action));
                nodes.push(Node { state: next, from });
                nodes.len() - 1
            });
        }
        at += 1;
    }
    println!(
        "{paths} paths of the engine are the model's, to {} states",
        nodes.len()
    );
    assert!(paths > 10_000);
}

fn path(nodes: &[Node], mut at: usize) -> Vec<(Action, State)> {
    let mut path = Vec::new();
    while let Some((from, action)) = nodes[at].from {
        path.push((action, nodes[at].state));
        at = from;
    }
    path.reverse();
    path
}

/// Leads a machine along a path and compares it where that ends: each step
/// before is the end of another path.
fn follow(model: &Confirmation, path: &[(Action, State)], end: (Action, State)) {
    let _told = Told(path, end.0);
    let (mut led, mut before) = (Led::new(), model.init_states().remove(0));
    let mut accepted = HashSet::new();
    for (action, after) in path.iter().chain([&end]) {
        led.step(&before, *action, after);
        let of_led = after.sets.iter().flatten().filter(|set| set.pod == LED);
        accepted.extend(of_led.filter_map(|set| match set.phase {
            Phase::Accepted(n) => Some(n),
            _ => None,
        }));
        before = *after;
    }
    led.compare(model, &before);
    led.compare_accepted(&accepted);
}

fn is_followed(state: &State, action: Action) -> bool {
    let pod = &state.pods[LED];
    match action {
        Action::Invalidate | Action::Beat(1) | Action::Read(LED, _) | Action::Append(_) => true,
        Action::Beat(p) => p == LED && has_session(pod),
        Action::Cut(_) => !pod.replaying && !pod.begins_anew(),
        Action::Process(p) => p == LED && !passes_a_set(state),
        Action::Open(p) => p == LED && !has_beat(state),
        Action::Settle(at) => state.sets[at].is_some_and(|set| set.pod == LED),
        Action::Look(p, _)
        | Action::Answer(p, _)
        | Action::AskAgain(p)
        | Action::Break(p)
        | Action::Replay(p) => p == LED,
        Action::Read(..) => false,
    }
}

fn has_session(pod: &Pod) -> bool {
    pod.connected && pod.gap == 0 && !pod.begins_anew()
}

/// Whether a Set's own record was discarded before it was read.
fn passes_a_set(state: &State) -> bool {
    let gone = |n: u8| n < state.first && !state.pods[LED].begins_anew();
    let mut sets = state.sets.iter().flatten();
    sets.any(|set| matches!(set.phase, Phase::Appended(n) if gone(n)))
}

/// Whether a Beat of its own was not processed yet.
fn has_beat(state: &State) -> bool {
    let processed = state.pods[LED].processed;
    let mut unread = state.log.iter().filter(|(at, _)| *at > processed);
    unread.any(|(_, record)| record == Record::Beat(LED))
}
