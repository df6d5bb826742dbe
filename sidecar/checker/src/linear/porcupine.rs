//! The same question put to a checker that others wrote and use, a port of
//! anishathalye/porcupine. Tests only: it is no part of the product.

use super::history::{Said, Verdict};
use super::register::{Op, State};
use porcupine_rs::{Model, Operation, check_operations};

/// The register as its model. A write without an answer that comes too late to
/// be compared with anything does nothing.
#[derive(Clone)]
struct Register;

/// What a call did, and whether it was answered.
type Step = (Op, bool);

impl Model for Register {
    type State = State;
    type Op = Step;
    type Metadata = ();

    fn init() -> State {
        None
    }

    fn step(state: &State, (op, answered): &Step) -> (bool, State) {
        match op.step(*state) {
            Some(next) => (true, next),
            None => (!answered, *state),
        }
    }
}

/// Whether it finds an order.
pub(super) fn is_linearizable(said: &[Said]) -> bool {
    let nanos = |at: std::time::Duration| i64::try_from(at.as_nanos()).expect("within 292 years");
    let operation = |said: &Said| Operation::<Register> {
        client_id: u32::try_from(said.who).ok(),
        call_time: nanos(said.began),
        return_time: said.ended.map_or(i64::MAX, nanos),
        op: (said.op, said.ended.is_some()),
        metadata: None,
    };
    let history: Vec<_> = said.iter().map(operation).collect();
    check_operations(&history)
}

/// Panics when the two disagree: then neither can be believed.
pub(super) fn agrees(said: &[Said], verdict: &Verdict) {
    if *verdict != Verdict::Unknown {
        let own = *verdict == Verdict::Linearizable;
        assert_eq!(is_linearizable(said), own, "porcupine disagrees: {said:?}");
    }
}
