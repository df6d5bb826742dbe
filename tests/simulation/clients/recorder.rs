//! I-8: the writes and STRONG reads of the key that is swapped, as a history
//! that is searched for an order when the schedule ends (unstale-checker's
//! `linear`).
//!
//! It ends with the first loss of acknowledged records: what was written may be
//! gone then, and come back (A1). A call that ends after it, or fails, or whose
//! pod dies, is one without an answer. It also ends when it is full: later
//! writes are not in it, so that what was still under way has no answer either.

use super::{Client, names};
use crate::world::{SWAPPED, Shared};
use std::time::Duration;
use unstale_checker::linear::{Ended, Intent, Ticket, Verdict};
use unstale_engine::request::{Expected, Found, Payload};

/// One history in so many, by its length, is searched by porcupine as well.
const COMPARED: usize = 16;

/// Searches the history; what has no order breaks I-8.
pub(crate) fn judge(shared: &Shared) {
    let verdict = shared.with(|w| {
        let history = &w.judged.history;
        let verdict = history.check();
        // The other checker takes too long for all of them.
        if verdict != Verdict::Linearizable || history.len().is_multiple_of(COMPARED) {
            history.compare(&verdict);
        }
        verdict
    });
    let what = match verdict {
        Verdict::Linearizable => return,
        Verdict::Illegal(illegal) => illegal.to_string(),
        Verdict::Unknown => "too many orders to search".to_owned(),
    };
    shared.violate("I-8 not linearizable", Some(SWAPPED), what);
}

impl Client {
    /// A call begins; none: it is not recorded.
    pub(super) fn recorded(&self, intent: Intent) -> Option<Ticket> {
        let (pod, now) = (self.pod, self.micros());
        self.shared.with(|w| {
            let whole = w.judged.losses.is_empty();
            whole.then(|| w.judged.history.begin(pod, intent, now))?
        })
    }

    /// It was answered.
    pub(super) fn answered(&self, ticket: Option<Ticket>, ended: Ended) {
        let now = self.micros();
        let Some(ticket) = ticket else { return };
        self.shared.with(|w| {
            let history = &mut w.judged.history;
            if w.judged.losses.is_empty() && !history.is_full() {
                history.end(&ticket, ended, now);
            }
        });
    }

    fn micros(&self) -> Duration {
        Duration::from_micros(self.shared.handle.now())
    }
}

/// What a read that found this returned as current.
pub(super) fn found(found: Option<&Found>) -> Ended {
    let fresh = found.filter(|found| found.stale.is_none());
    fresh.map_or(Ended::Nothing, |found| Ended::Found(value(found)))
}

/// What a compare-and-set over what was found is about to do.
pub(super) fn swap(found: Option<&Found>, new: u64) -> Intent {
    let expected = found.map(value);
    Intent::Swap { expected, new }
}

/// The version that such a compare-and-set expects.
pub(super) fn expected(found: Option<Found>) -> Expected {
    found.map_or(Expected::Absent, |found| {
        Expected::Version(found.version.to_string())
    })
}

/// What a write that was answered did.
pub(super) fn wrote(stored: bool) -> Ended {
    if stored { Ended::Wrote } else { Ended::Nothing }
}

fn value(found: &Found) -> u64 {
    let Payload::Value(value) = &found.payload else {
        panic!("the key is never written as not found");
    };
    let text = std::str::from_utf8(&value.data).expect("text was stored");
    names::parse(text).expect("a key and a counter").1
}
