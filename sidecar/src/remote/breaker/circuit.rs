//! When calls are let through: the circuit breaker as a state machine, time and
//! chance given to it (Nygard, Release It!, 2007: closed, open, half-open).
//!
//! Guarantees: open after [`STREAK`] failures in a row while nobody was answered
//! for [`QUIET`]; then nothing passes until a jittered wait is over; then exactly
//! one probe passes, and its outcome closes the circuit or doubles the wait.
//! Outcomes of calls from before the circuit opened change nothing. One
//! circuit judges one part of a tier. Parts that share a circuit (the slots of a
//! cluster that two servers have) keep it closed by their answers.

use crate::telemetry::remote::Breaker as Phase;
use std::time::Duration;
use unstale_engine::clock::Moment;

/// So many failures in a row open it...
const STREAK: u32 = 5;
/// ...if there was no answer for so long. Under load five calls in a row meet the
/// one server of three that is away many times a second.
const QUIET: Duration = Duration::from_millis(250);
/// The first wait is at most this...
const FIRST_WAIT: Duration = Duration::from_millis(250);
/// ...and no wait is longer.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// The right to make one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pass {
    /// Which opening of the circuit it belongs to.
    generation: u64,
    probe: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed,
    Open {
        until: Moment,
    },
    /// The probe is under way.
    Probing,
}

/// The breaker's state.
#[derive(Debug)]
pub(super) struct Circuit {
    state: State,
    generation: u64,
    /// Waits since it was closed last.
    waits: u32,
    streak: u32,
    answered: Option<Moment>,
}

impl Circuit {
    pub(super) fn closed() -> Self {
        Self {
            state: State::Closed,
            generation: 0,
            waits: 0,
            streak: 0,
            answered: None,
        }
    }

    /// Lets a call through, or not.
    pub(super) fn admit(&mut self, now: Moment) -> Option<Pass> {
        let probe = match self.state {
            State::Closed => false,
            State::Open { until } if now >= until => true,
            State::Open { .. } | State::Probing => return None,
        };
        if probe {
            self.state = State::Probing;
        }
        let generation = self.generation;
        Some(Pass { generation, probe })
    }

    /// The call was answered.
    pub(super) fn succeeded(&mut self, pass: Pass, now: Moment) {
        if pass.generation != self.generation {
            return;
        }
        if pass.probe {
            self.state = State::Closed;
            self.generation += 1;
            self.waits = 0;
        }
        self.streak = 0;
        self.answered = Some(now);
    }

    /// The call was not answered; `chance` is any number.
    pub(super) fn failed(&mut self, pass: Pass, now: Moment, chance: u64) {
        if pass.generation != self.generation {
            return;
        }
        self.streak = self.streak.saturating_add(1);
        if pass.probe || self.is_silent(now) {
            self.open(now, chance);
        }
    }

    /// The caller went away before there was an answer: that says nothing.
    pub(super) fn abandoned(&mut self, pass: Pass, now: Moment) {
        if pass.probe && pass.generation == self.generation {
            self.state = State::Open { until: now };
        }
    }

    /// What it is now, for metrics. Open lasts until a call asks for a pass.
    pub(super) fn phase(&self) -> Phase {
        match self.state {
            State::Closed => Phase::Closed,
            State::Open { .. } => Phase::Open,
            State::Probing => Phase::HalfOpen,
        }
    }

    fn is_silent(&self, now: Moment) -> bool {
        let quiet = |at: Moment| now.since(at) >= QUIET;
        self.streak >= STREAK && self.answered.is_none_or(quiet)
    }

    fn open(&mut self, now: Moment, chance: u64) {
        let longest = FIRST_WAIT * 2_u32.saturating_pow(self.waits.min(16));
        let longest = longest.min(LONGEST_WAIT);
        // Between half and all of it: pods do not come back in step.
        let share = 0.5 + 0.5 * (chance as f64 / u64::MAX as f64);
        self.waits += 1;
        self.generation += 1;
        let until = now.plus(longest.mul_f64(share));
        self.state = State::Open { until };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Circuit {
        fn is_closed(&self) -> bool {
            self.phase() == Phase::Closed
        }
    }

    const LONG: Duration = Duration::from_secs(60);

    fn at(millis: u64) -> Moment {
        Moment::new(LONG + Duration::from_millis(millis))
    }

    fn opened() -> Circuit {
        let mut circuit = Circuit::closed();
        for n in 0..STREAK {
            let pass = circuit.admit(at(0)).expect("closed");
            circuit.failed(pass, at(0), u64::MAX);
            assert_eq!(circuit.is_closed(), n + 1 < STREAK);
        }
        circuit
    }

    #[test]
    fn failures_in_a_row_open_it_and_nothing_passes_until_the_wait_is_over() {
        let mut circuit = opened();
        assert_eq!(circuit.admit(at(249)), None);
        assert!(circuit.admit(at(250)).is_some());
    }

    #[test]
    fn half_open_lets_one_probe_through_and_no_more() {
        let mut circuit = opened();
        let probe = circuit.admit(at(250)).expect("the probe");
        assert_eq!(circuit.admit(at(250)), None);
        assert_eq!(circuit.admit(at(9_000)), None);
        circuit.succeeded(probe, at(9_000));
        assert!(circuit.is_closed());
        assert!(circuit.admit(at(250)).is_some());
        assert!(circuit.admit(at(250)).is_some());
    }

    #[test]
    fn a_probe_that_fails_doubles_the_wait_up_to_the_longest() {
        let mut circuit = opened();
        let mut now = 250;
        for wait in [500, 1000, 1000] {
            let probe = circuit.admit(at(now)).expect("the probe");
            circuit.failed(probe, at(now), u64::MAX);
            assert_eq!(circuit.admit(at(now + wait - 1)), None);
            now += wait;
        }
    }

    #[test]
    fn a_probe_whose_caller_went_away_leaves_the_place_to_the_next() {
        let mut circuit = opened();
        let probe = circuit.admit(at(250)).expect("the probe");
        circuit.abandoned(probe, at(300));
        assert!(circuit.admit(at(300)).is_some());
        assert_eq!(circuit.admit(at(300)), None);
    }

    #[test]
    fn what_was_sent_before_it_opened_neither_closes_nor_prolongs() {
        let mut circuit = Circuit::closed();
        let late = [circuit.admit(at(0)), circuit.admit(at(0))].map(|pass| pass.expect("closed"));
        for _ in 0..STREAK {
            let pass = circuit.admit(at(0)).expect("closed");
            circuit.failed(pass, at(0), u64::MAX);
        }
        circuit.succeeded(late[0], at(0));
        assert!(!circuit.is_closed());
        circuit.failed(late[1], at(200), u64::MAX);
        assert!(circuit.admit(at(250)).is_some());
    }

    #[test]
    fn failures_in_a_row_between_answers_do_not_open_it() {
        let mut circuit = Circuit::closed();
        for n in 0..1_000 {
            let pass = circuit.admit(at(n)).expect("closed");
            match n % 200 {
                0 => circuit.succeeded(pass, at(n)),
                _ => circuit.failed(pass, at(n), 0),
            }
        }
        // Nobody is answered any more.
        for n in [1_049, 1_050] {
            let pass = circuit.admit(at(n)).expect("closed");
            circuit.failed(pass, at(n), 0);
        }
        assert!(!circuit.is_closed());
    }

    #[test]
    fn every_wait_is_at_least_half_as_long() {
        let mut circuit = Circuit::closed();
        for _ in 0..STREAK {
            let pass = circuit.admit(at(0)).expect("closed");
            circuit.failed(pass, at(0), 0);
        }
        assert_eq!(circuit.admit(at(124)), None);
        assert!(circuit.admit(at(125)).is_some());
    }
}
