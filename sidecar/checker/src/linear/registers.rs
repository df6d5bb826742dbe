//! Many short histories, one after the other: a few registers in turn, each
//! with a key that nobody used before, given up for another when its history
//! is full.

use super::history::{Ended, History, Intent, Ticket, Verdict};
use std::collections::BTreeMap;
use std::time::Duration;

/// What a call does; the value of a write is the history's next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// A STRONG read.
    Read,
    /// A write, whatever is there.
    Set,
    /// A compare-and-set on a version that had this value; none: on nothing.
    Swap(Option<u64>),
}

/// A register's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Register(usize);

/// A call that was begun.
#[derive(Debug)]
#[must_use = "a call that is not ended may have happened or not"]
pub struct Call {
    of: Register,
    ticket: Ticket,
    /// What it writes, if it writes.
    pub value: u64,
}

struct Kept {
    history: History,
    /// Calls may still begin.
    current: bool,
    /// Calls under way.
    open: usize,
    values: u64,
    /// Or it means nothing any more.
    judged: bool,
}

/// What the histories showed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Histories that were searched.
    pub histories: u64,
    /// Calls in them.
    pub calls: u64,
    /// Searches that were given up.
    pub unknown: u64,
}

/// The registers of one run.
pub struct Registers {
    run: String,
    current: Vec<Register>,
    /// Those on which something is under way, or that are to be judged: a run
    /// may last for days.
    kept: BTreeMap<usize, Kept>,
    opened: usize,
    tally: Tally,
}

impl Registers {
    /// So many at a time; every key begins with `run`.
    #[must_use]
    pub fn new(run: impl Into<String>, registers: usize) -> Self {
        let mut new = Self {
            run: run.into(),
            current: Vec::new(),
            kept: BTreeMap::new(),
            opened: 0,
            tally: Tally::default(),
        };
        new.current = (0..registers).map(|_| new.open()).collect();
        new
    }

    /// The register in this place now: a new one when the last is full.
    pub fn current(&mut self, place: usize) -> Register {
        let last = self.current[place];
        if let Some(kept) = self.kept.get_mut(&last.0) {
            if !kept.history.is_full() && !kept.judged {
                return last;
            }
            kept.current = false;
        }
        self.current[place] = self.open();
        self.current[place]
    }

    /// What its key is called.
    #[must_use]
    pub fn key(&self, register: Register) -> String {
        format!("{}r{}", self.run, register.0)
    }

    /// What is stored in it for a value.
    #[must_use]
    pub fn text(&self, register: Register, value: u64) -> String {
        format!("{}:{value}", self.key(register))
    }

    /// The value in a text that it returned; none when it was not stored there.
    #[must_use]
    pub fn value(&self, register: Register, text: &str) -> Option<u64> {
        let rest = text.strip_prefix(&self.key(register))?;
        rest.strip_prefix(':')?.parse().ok()
    }

    /// A call begins; none when the register is full: go on with another.
    pub fn begin(
        &mut self,
        of: Register,
        who: usize,
        access: Access,
        now: Duration,
    ) -> Option<Call> {
        let kept = self.kept.get_mut(&of.0).filter(|kept| !kept.judged)?;
        let value = kept.values + 1;
        let intent = match access {
            Access::Read => Intent::Read,
            Access::Set => Intent::Set(value),
            Access::Swap(expected) => Intent::Swap {
                expected,
                new: value,
            },
        };
        let ticket = kept.history.begin(who, intent, now)?;
        (kept.values, kept.open) = (value, kept.open + 1);
        Some(Call { of, ticket, value })
    }

    /// It was answered definitely, or (none) nobody knows what became of it.
    pub fn end(&mut self, call: &Call, ended: Option<Ended>, now: Duration) {
        let kept = self.kept.get_mut(&call.of.0);
        let kept = kept.expect("kept while a call is under way");
        kept.open -= 1;
        if let Some(ended) = ended {
            kept.history.end(&call.ticket, ended, now);
        }
        if kept.is_over() {
            self.kept.remove(&call.of.0);
        }
    }

    /// The log lost acknowledged records (A1): what was recorded so far means
    /// nothing any more.
    pub fn forget(&mut self) {
        for kept in self.kept.values_mut() {
            (kept.judged, kept.current) = (true, false);
        }
        self.kept.retain(|_, kept| !kept.is_over());
        for place in 0..self.current.len() {
            self.current[place] = self.open();
        }
    }

    /// Judges the full histories on which no call is under way; what broke.
    pub fn settled(&mut self) -> Vec<(String, Verdict)> {
        self.judge(|kept| !kept.current && kept.open == 0)
    }

    /// Judges all that were not judged yet; a call under way has no answer.
    pub fn finish(&mut self) -> Vec<(String, Verdict)> {
        let broken = self.judge(|_| true);
        self.forget();
        broken
    }

    /// What was judged so far.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.tally
    }

    fn open(&mut self) -> Register {
        let new = Kept {
            history: History::default(),
            current: true,
            open: 0,
            values: 0,
            judged: false,
        };
        let number = self.opened;
        self.kept.insert(number, new);
        self.opened += 1;
        Register(number)
    }

    fn judge(&mut self, ready: impl Fn(&Kept) -> bool) -> Vec<(String, Verdict)> {
        let mut broken = Vec::new();
        for (&number, kept) in &mut self.kept {
            if kept.judged || kept.history.is_empty() || !ready(kept) {
                continue;
            }
            kept.judged = true;
            let verdict = kept.history.check();
            #[cfg(any(test, feature = "porcupine"))]
            kept.history.compare(&verdict);
            self.tally.histories += 1;
            self.tally.calls += kept.history.len() as u64;
            self.tally.unknown += u64::from(verdict == Verdict::Unknown);
            if let Verdict::Illegal(_) = verdict {
                broken.push((Register(number), verdict));
            }
        }
        self.kept.retain(|_, kept| !kept.is_over());
        let named = broken.into_iter();
        named.map(|(of, verdict)| (self.key(of), verdict)).collect()
    }
}

impl Kept {
    /// Nobody asks for it any more.
    fn is_over(&self) -> bool {
        self.judged && self.open == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linear::MOST;

    const NOW: Duration = Duration::ZERO;

    fn read(registers: &mut Registers, of: Register, ended: Option<Ended>) {
        let call = registers.begin(of, 0, Access::Read, NOW).expect("room");
        registers.end(&call, ended, NOW);
    }

    #[test]
    fn a_full_register_is_judged_and_another_key_takes_its_place() {
        let mut registers = Registers::new("x-", 1);
        let first = registers.current(0);
        for _ in 0..MOST {
            assert_eq!(registers.current(0), first);
            read(&mut registers, first, Some(Ended::Nothing));
        }
        assert!(registers.begin(first, 0, Access::Set, NOW).is_none());
        assert_eq!(registers.settled(), []);
        let second = registers.current(0);
        assert_ne!(registers.key(second), registers.key(first));
        assert_eq!(registers.settled(), []);
        let tally = registers.tally();
        assert_eq!((tally.histories, tally.calls), (1, MOST as u64));
    }

    #[test]
    fn what_was_judged_is_not_kept() {
        let mut registers = Registers::new("", 2);
        for _ in 0..10 {
            let full = registers.current(0);
            for _ in 0..MOST {
                read(&mut registers, full, Some(Ended::Nothing));
            }
            registers.current(0);
            assert_eq!(registers.settled(), []);
            assert_eq!(registers.kept.len(), 2);
            // A client that drew it before.
            assert!(registers.begin(full, 0, Access::Read, NOW).is_none());
        }
        assert_eq!(registers.tally().histories, 10);
    }

    #[test]
    fn a_history_is_not_judged_while_a_call_is_under_way_unless_it_ends() {
        let mut registers = Registers::new("", 1);
        let first = registers.current(0);
        let open = registers.begin(first, 0, Access::Set, NOW).expect("room");
        for _ in 1..MOST {
            read(&mut registers, first, Some(Ended::Found(1)));
        }
        registers.current(0);
        assert_eq!(registers.settled(), []);
        assert_eq!(registers.tally().histories, 0);
        registers.end(&open, None, NOW);
        // The write without an answer explains every read.
        assert_eq!(registers.settled(), []);
        assert_eq!(registers.tally().histories, 1);
    }

    #[test]
    fn what_breaks_is_told_with_its_key_once() {
        let mut registers = Registers::new("x-", 1);
        let first = registers.current(0);
        read(&mut registers, first, Some(Ended::Found(7)));
        let broken = registers.finish();
        assert_eq!(broken.len(), 1);
        assert_eq!(broken[0].0, "x-r0");
        assert_eq!(registers.finish(), []);
    }

    #[test]
    fn after_a_loss_nothing_from_before_is_judged() {
        let mut registers = Registers::new("", 1);
        let first = registers.current(0);
        read(&mut registers, first, Some(Ended::Found(7)));
        let late = registers.begin(first, 0, Access::Set, NOW).expect("room");
        registers.forget();
        assert_ne!(registers.current(0), first);
        registers.end(&late, Some(Ended::Wrote), NOW);
        assert_eq!(registers.kept.len(), 1);
        assert_eq!(registers.finish(), []);
    }
}
