//! Makes a schedule that failed smaller while the same rule still fails: fault
//! kinds, single faults, pods, clients and lasting faults are left out one by
//! one. Bounded effort: what is left is small, not the smallest there is.

use crate::clients::Role;
use crate::faults::Fault;
use crate::less::Less;
use crate::plan::Plan;
use crate::schedule;

/// Schedules that are run at most.
const TRIES: usize = 600;
/// What is left out changes what the rest draws: so many orders are tried.
const SALTS: u64 = 4;

/// The smallest plan found that breaks `rule`.
pub(crate) fn shrink(plan: &Plan, rule: &str) -> Plan {
    let mut shrinking = Shrinking {
        best: plan.clone(),
        rule,
        left: TRIES,
    };
    loop {
        let before = shrinking.best.less.clone();
        shrinking.drop_late();
        shrinking.drop_kinds();
        shrinking.drop_strikes();
        shrinking.drop_pods();
        shrinking.drop_roles();
        shrinking.drop_lasting();
        if shrinking.best.less == before || shrinking.left == 0 {
            return shrinking.best;
        }
    }
}

struct Shrinking<'a> {
    best: Plan,
    rule: &'a str,
    left: usize,
}

impl Shrinking<'_> {
    /// Takes a smaller plan if the rule still fails.
    fn take(&mut self, less: Less) -> bool {
        for salt in [less.salt].into_iter().chain(0..SALTS) {
            let Some(left) = self.left.checked_sub(1) else {
                return false;
            };
            self.left = left;
            let plan = self.best.with(Less {
                salt,
                ..less.clone()
            });
            let violation = schedule::play(&plan, false).violation;
            if violation.is_some_and(|v| v.rule == self.rule) {
                self.best = plan;
                return true;
            }
        }
        false
    }

    fn keep(&mut self, numbers: Vec<usize>) -> bool {
        let less = Less {
            keep: Some(numbers),
            ..self.best.less.clone()
        };
        self.take(less)
    }

    fn numbers(&self) -> Vec<usize> {
        self.best.strikes.iter().map(|strike| strike.nth).collect()
    }

    /// What comes after the violation has no part in it.
    fn drop_late(&mut self) {
        let Some(violation) = schedule::play(&self.best, false).violation else {
            return;
        };
        let strikes = self.best.strikes.iter();
        let early = strikes.filter(|strike| strike.at <= violation.at);
        let early = early.map(|strike| strike.nth).collect();
        self.keep(early);
    }

    fn drop_kinds(&mut self) {
        for kind in Fault::TIMED {
            let all = self.best.strikes.iter();
            let others: Vec<_> = all.filter(|s| s.fault != kind).map(|s| s.nth).collect();
            if others.len() < self.best.strikes.len() {
                self.keep(others);
            }
        }
    }

    /// Halves, then quarters, down to single faults.
    fn drop_strikes(&mut self) {
        let mut size = self.best.strikes.len().div_ceil(2);
        while size > 0 {
            let mut from = 0;
            while from < self.best.strikes.len() {
                let mut numbers = self.numbers();
                numbers.drain(from..(from + size).min(numbers.len()));
                if !self.keep(numbers) {
                    from += size;
                }
            }
            size /= 2;
        }
    }

    fn drop_pods(&mut self) {
        while self.best.mix.pods > 1 {
            let less = Less {
                pods: Some(self.best.mix.pods - 1),
                ..self.best.less.clone()
            };
            if !self.take(less) {
                return;
            }
        }
    }

    fn drop_roles(&mut self) {
        for role in Role::ALL {
            let mut less = self.best.less.clone();
            if !less.roles.contains(&role) {
                less.roles.push(role);
                self.take(less);
            }
        }
    }

    fn drop_lasting(&mut self) {
        for fault in self.best.mix.lasting().collect::<Vec<_>>() {
            let mut less = self.best.less.clone();
            less.lasting.push(fault);
            self.take(less);
        }
    }
}
