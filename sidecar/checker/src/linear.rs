//! I-8: {STRONG get, set, compare-and-set} of one key, and the values they
//! wrote, are linearizable up to "missing".
//!
//! A [`History`] records the calls on one key; [`History::check`] looks for an
//! order of them that a register could have gone through ([`register`]) and in
//! which no call is after one that began when it had ended already. Histories
//! are short: after [`MOST`] calls a client goes on with another key, which
//! begins empty, so that each is searched whole and nothing has to be assumed
//! of its beginning.
//!
//! It proves nothing of keys that are loaded: loads are not ordered among
//! themselves. Nor does it see that a value is gone: missing is always legal.

mod history;
#[cfg(any(test, feature = "porcupine"))]
mod porcupine;
mod register;
mod registers;
mod search;

pub use history::{Ended, History, Illegal, Intent, MOST, Ticket, Verdict};
pub use registers::{Access, Call, Register, Registers, Tally};

#[cfg(test)]
mod tests;
