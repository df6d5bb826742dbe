//! What a call began under, and what its answer must satisfy.

use std::time::Duration;

/// How far an invalidation had got when it was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reached {
    /// The pod that answered.
    Local,
    /// The log.
    Log,
    /// Every pod, or its session was waited out.
    Fleet,
}

/// What a call on a pod began under.
#[derive(Clone, Debug)]
pub struct Began {
    /// The pod that was called.
    pub pod: usize,
    /// When.
    pub at: Duration,
    pub(crate) start: u64,
    pub(crate) losses: u64,
}

/// What one key's answer must satisfy.
#[derive(Clone, Copy, Debug, Default)]
pub struct Required {
    /// The least value that any pod may call fresh.
    pub everywhere: u64,
    /// The rule that says so.
    pub rule: &'static str,
    /// The least value that this pod may return at all.
    pub here: u64,
}

impl Required {
    /// The rule that this value breaks, if any. What this pod had answered
    /// itself binds also what it flags: below a hard floor nothing is served.
    #[must_use]
    pub fn broken_by(self, value: u64, fresh: bool) -> Option<&'static str> {
        if value < self.here {
            return Some(HERE);
        }
        (fresh && value < self.everywhere).then_some(self.rule)
    }

    /// Both.
    #[must_use]
    pub fn and(self, more: Self) -> Self {
        let stronger = more.everywhere > self.everywhere;
        Self {
            here: self.here,
            ..if stronger { more } else { self }
        }
    }
}

/// The rule of what a pod promised of itself, which ends with it.
pub(crate) const HERE: &str = "I-3 this pod had answered OK";
