//! The search for an order: that of Wing and Gong with Lowe's memory of what
//! was tried. A call may come next if no call that is left had ended before it
//! began.

use super::history::{Illegal, Said, Verdict};
use super::register::{Op, State};
use std::collections::HashSet;
use std::time::Duration;

/// Orders tried before it is given up; a history that is met in practice needs
/// some hundred.
const MOST_TRIED: usize = 1_000_000;

struct Search<'a> {
    said: &'a [Said],
    /// The calls that have answers: all of them must find a place.
    answered: u128,
    tried: HashSet<(u128, State)>,
    /// The most that found a place, and the state then.
    best: (u128, State),
}

/// Looks for an order of at most 128 calls.
pub(super) fn search(said: &[Said]) -> Verdict {
    let answered = said.iter().enumerate();
    let answered = answered.filter(|(_, said)| said.ended.is_some());
    let mut search = Search {
        said,
        answered: answered.fold(0, |all, (i, _)| all | 1 << i),
        tried: HashSet::new(),
        best: (0, None),
    };
    match search.from(0, None) {
        Some(true) => Verdict::Linearizable,
        Some(false) => Verdict::Illegal(search.illegal()),
        None => Verdict::Unknown,
    }
}

impl Search<'_> {
    /// Whether what is left has an order from here; none: given up.
    fn from(&mut self, placed: u128, state: State) -> Option<bool> {
        if placed & self.answered == self.answered {
            return Some(true);
        }
        if !self.tried.insert((placed, state)) {
            return Some(false);
        }
        if self.tried.len() > MOST_TRIED {
            return None;
        }
        if placed.count_ones() > self.best.0.count_ones() {
            self.best = (placed, state);
        }
        let next = self.next(placed);
        // A read of what is there has its place at once: it changes nothing.
        let read = |&i: &usize| state.is_some_and(|value| self.said[i].op == Op::Read(value));
        if let Some(i) = next.iter().copied().find(read) {
            return self.from(placed | 1 << i, state);
        }
        for i in next {
            if let Some(state) = self.said[i].op.step(state)
                && self.from(placed | 1 << i, state)?
            {
                return Some(true);
            }
        }
        Some(false)
    }

    /// The calls that may come next.
    fn next(&self, placed: u128) -> Vec<usize> {
        let left = |i: &usize| placed & 1 << i == 0;
        let all = 0..self.said.len();
        let first_end = all.clone().filter(left).filter_map(|i| self.said[i].ended);
        let first_end = first_end.min().unwrap_or(Duration::MAX);
        let may = |i: &usize| left(i) && self.said[*i].began <= first_end;
        all.filter(may).collect()
    }

    /// The call that ended first of those that the best order had no place for.
    fn illegal(&self) -> Illegal {
        let (placed, state) = self.best;
        let left = self.said.iter().enumerate();
        let left = left.filter(|(i, said)| placed & 1 << i == 0 && said.ended.is_some());
        let stuck = left.min_by_key(|(_, said)| said.ended);
        let stuck = stuck.map_or_else(String::new, |(_, said)| {
            format!("{said} (the newest was {state:?})")
        });
        Illegal {
            calls: self.said.iter().map(ToString::to_string).collect(),
            stuck,
        }
    }
}
