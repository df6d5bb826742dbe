//! Searching a model and saying what was found.
//!
//! A design must hold in its whole space, with every "sometimes" property
//! reached; a model without one of its safeguards must fail. Neither is ever
//! cut off by a depth, a count or a time. Two threads search breadth first, so
//! that a counterexample is as short as they come, give or take a step.

use stateright::{Checker, HasDiscoveries, Model};
use std::fmt::Debug;
use std::hash::Hash;
use std::time::{Duration, Instant};

/// No model may be larger.
const MOST_STATES: usize = 20_000_000;
const THREADS: usize = 2;

/// A model as designed, searched whole.
pub(crate) struct Design {
    pub(crate) name: &'static str,
    pub(crate) search: Box<dyn Fn() -> Searched>,
}

/// What the search of a whole space found.
pub(crate) struct Searched {
    pub(crate) states: usize,
    pub(crate) unique: usize,
    properties: usize,
    sometimes: (usize, usize),
    took: Duration,
}

/// A model without one safeguard.
pub(crate) struct Removal {
    pub(crate) model: &'static str,
    pub(crate) safeguard: String,
    pub(crate) search: Box<dyn Fn() -> Option<Violation>>,
}

/// A counterexample.
pub(crate) struct Violation {
    property: &'static str,
    steps: usize,
    unique: usize,
}

/// A model that can be searched by several threads.
pub(crate) trait Protocol:
    Model<
        State: Debug + Clone + PartialEq + Hash + Send + Sync,
        Action: Debug + Clone + PartialEq + Send + Sync,
    > + Clone
    + Send
    + Sync
    + 'static
{
}

impl<M> Protocol for M
where
    M: Model + Clone + Send + Sync + 'static,
    M::State: Debug + Clone + PartialEq + Hash + Send + Sync,
    M::Action: Debug + Clone + PartialEq + Send + Sync,
{
}

/// A model as designed, by the name of its row.
pub(crate) fn design<M: Protocol>(name: &'static str, model: M) -> Design {
    let search = Box::new(move || whole(name, model.clone()));
    Design { name, search }
}

/// A model of which one safeguard was taken away.
pub(crate) fn removal<M: Protocol>(name: &'static str, safeguard: impl Debug, model: M) -> Removal {
    Removal {
        model: name,
        safeguard: words(&format!("{safeguard:?}")),
        search: Box::new(move || violation(model.clone())),
    }
}

fn whole<M: Protocol>(name: &str, model: M) -> Searched {
    let began = Instant::now();
    let properties = model.properties().len();
    let checker = model.checker().threads(THREADS);
    let checker = checker.finish_when(HasDiscoveries::AnyFailures);
    let checker = checker.spawn_bfs().join();
    let found = checker.discoveries();
    let mut sometimes = (0, 0);
    for property in checker.model().properties() {
        let path = found.get(property.name);
        if !property.expectation.discovery_is_failure() {
            sometimes.0 += usize::from(path.is_some());
            sometimes.1 += 1;
            if path.is_none() {
                println!("NOT REACHED in {name}: {}", property.name);
            }
        } else if let Some(path) = path {
            tell(path.clone().into_vec());
            panic!("{name}: '{}' is violated", property.name);
        }
    }
    assert!(checker.is_done(), "{name}: the search was cut off");
    let unique = checker.unique_state_count();
    assert!(unique <= MOST_STATES, "{name}: {unique} states");
    Searched {
        states: checker.state_count(),
        unique,
        properties,
        sometimes,
        took: began.elapsed(),
    }
}

fn violation<M: Protocol>(model: M) -> Option<Violation> {
    let checker = model.checker().threads(THREADS);
    let checker = checker.finish_when(HasDiscoveries::AnyFailures).spawn_bfs();
    let checker = checker.join();
    let found = checker.discoveries();
    let failure = |name: &&'static str| {
        let property = checker.model().property(name);
        property.expectation.discovery_is_failure()
    };
    let property = found.keys().copied().find(failure)?;
    let path = found[property].clone().into_vec();
    let (steps, unique) = (path.len() - 1, checker.unique_state_count());
    if std::env::var_os("MODEL_TRACE").is_some() {
        tell(path);
    }
    Some(Violation {
        property,
        steps,
        unique,
    })
}

/// Prints a path, one action a line, and where it ends.
fn tell<S: Debug, A: Debug>(path: Vec<(S, Option<A>)>) {
    let last = path.len().saturating_sub(1);
    for (at, (state, action)) in path.into_iter().enumerate() {
        match action {
            Some(action) => println!("  {:2} {action:?}", at + 1),
            None if at == last => println!("  ends in {state:?}"),
            None => {}
        }
    }
}

/// `ExpelledWaits` as "expelled waits".
fn words(name: &str) -> String {
    let mut words = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.extend(letter.to_lowercase());
    }
    words
}

impl Searched {
    pub(crate) const HEADER: &'static str = "| model | states | unique | always | sometimes reached | time |\n| --- | --- | --- | --- | --- | --- |";

    pub(crate) fn row(&self, name: &str) -> String {
        let (reached, all) = self.sometimes;
        let always = self.properties - all;
        format!(
            "| {name} | {} | {} | {always} | {reached} of {all} | {:.1} s |",
            self.states,
            self.unique,
            self.took.as_secs_f32()
        )
    }

    pub(crate) fn reached_all(&self) -> bool {
        self.sometimes.0 == self.sometimes.1
    }
}

impl Violation {
    pub(crate) const HEADER: &'static str = "| model | safeguard removed | violated | steps | states |\n| --- | --- | --- | --- | --- |";

    pub(crate) fn row(&self, removal: &Removal) -> String {
        format!(
            "| {} | {} | {} | {} | {} |",
            removal.model, removal.safeguard, self.property, self.steps, self.unique
        )
    }
}
