//! What was called on one key, when, and what became of it.

use super::register::Op;
use super::search;
use std::collections::HashSet;
use std::fmt;
use std::time::Duration;

/// Calls of one history; as many as the search has bits.
pub const MOST: usize = 128;

/// What a call is about to do. Every write of a key has a value of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intent {
    /// A STRONG read.
    Read,
    /// A write, whatever is there.
    Set(u64),
    /// A compare-and-set.
    Swap {
        /// The value that the expected version had; none: absent.
        expected: Option<u64>,
        /// The value that it writes.
        new: u64,
    },
}

/// How a call ended, when that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It wrote.
    Wrote,
    /// It returned this value as fresh.
    Found(u64),
    /// It did nothing and says nothing: missing, a conflict, refused.
    Nothing,
}

/// Names a call that was begun.
#[derive(Debug)]
#[must_use = "a call that is not ended may have happened or not"]
pub struct Ticket(usize);

#[derive(Clone, Copy, Debug)]
struct Call {
    who: usize,
    intent: Intent,
    began: Duration,
    ended: Option<(Duration, Ended)>,
}

/// A call that says something, as the search takes it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Said {
    pub(super) who: usize,
    pub(super) op: Op,
    pub(super) began: Duration,
    /// None: it has no answer, and happened once, or never.
    pub(super) ended: Option<Duration>,
}

/// The calls on one key that nothing was ever stored under before.
#[derive(Debug, Default)]
pub struct History {
    calls: Vec<Call>,
}

/// What a search showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// There is an order that explains every answer.
    Linearizable,
    /// There is none.
    Illegal(Illegal),
    /// The search was given up: too many orders.
    Unknown,
}

/// Why no order explains a history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Illegal {
    /// The calls that say something, in the order in which they began.
    pub calls: Vec<String>,
    /// The call that the longest explanation has no place for.
    pub stuck: String,
}

impl fmt::Display for Illegal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no order has a place for: {}; of", self.stuck)?;
        self.calls
            .iter()
            .try_for_each(|call| write!(f, "\n  {call}"))
    }
}

impl History {
    /// A call begins; none when the history is full, and nothing may be called
    /// on its key any more.
    pub fn begin(&mut self, who: usize, intent: Intent, now: Duration) -> Option<Ticket> {
        if self.is_full() {
            return None;
        }
        self.calls.push(Call {
            who,
            intent,
            began: now,
            ended: None,
        });
        Some(Ticket(self.calls.len() - 1))
    }

    /// A call was answered definitely. One that failed in another way (an error,
    /// a timeout, a caller that died) is not ended.
    pub fn end(&mut self, ticket: &Ticket, ended: Ended, now: Duration) {
        self.calls[ticket.0].ended = Some((now, ended));
    }

    /// Whether nothing more can be recorded.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.calls.len() >= MOST
    }

    /// Calls so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.calls.len()
    }

    /// Whether nothing was called.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// Whether an order explains what was answered so far.
    #[must_use]
    pub fn check(&self) -> Verdict {
        search::search(&self.said())
    }

    /// Puts the question to porcupine as well, which takes much longer.
    ///
    /// # Panics
    /// When it does not say the same: then neither can be believed.
    #[cfg(any(test, feature = "porcupine"))]
    pub fn compare(&self, verdict: &Verdict) {
        super::porcupine::agrees(&self.said(), verdict);
    }

    /// The calls that say something. A write without an answer says something
    /// only if its value was seen: at the end of any order it changes nothing.
    pub(super) fn said(&self) -> Vec<Said> {
        let mut said: Vec<_> = self.calls.iter().filter_map(Call::said).collect();
        let seen: HashSet<_> = said.iter().filter_map(|said| said.op.seen()).collect();
        let counts = |said: &Said| {
            let written = said.op.written();
            said.ended.is_some() || written.is_some_and(|value| seen.contains(&value))
        };
        said.retain(counts);
        said
    }
}

impl Call {
    fn said(&self) -> Option<Said> {
        let ended = self.ended.map(|(at, _)| at);
        let op = match (self.intent, self.ended.map(|(_, ended)| ended)) {
            (_, Some(Ended::Nothing)) | (Intent::Read, None | Some(Ended::Wrote)) => return None,
            (Intent::Read, Some(Ended::Found(value))) => Op::Read(value),
            (Intent::Set(value), _) => Op::Set(value),
            (Intent::Swap { expected, new }, _) => Op::Swap { expected, new },
        };
        Some(Said {
            who: self.who,
            op,
            began: self.began,
            ended,
        })
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let began = self.began.as_secs_f64();
        match self.ended {
            Some(ended) => write!(f, "{began:.6} to {:.6} s", ended.as_secs_f64())?,
            None => write!(f, "{began:.6} s, no answer")?,
        }
        write!(f, " pod {} {:?}", self.who, self.op)
    }
}
