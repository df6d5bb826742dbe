//! The sequential specification: what one key may do, one call after another.
//!
//! A register that may turn out missing at any time: evicted, invalidated, or
//! on a pod that may call nothing fresh. So a read that misses and a
//! comparison that does not hold say nothing, and are not here; "absent" holds
//! whatever was there. What is there is only ever changed by a write, and a
//! value that was overwritten never comes back.

/// What a call did. Every write has a value of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Op {
    /// Returned this value as of now.
    Read(u64),
    /// Wrote it, whatever was there.
    Set(u64),
    /// Wrote `new` over `expected`, or over nothing.
    Swap {
        /// None: nothing had to be there.
        expected: Option<u64>,
        /// The value from then on.
        new: u64,
    },
}

/// The value that was written last; none: nothing ever was.
pub(super) type State = Option<u64>;

impl Op {
    /// The state after it; none: it cannot happen then.
    pub(super) fn step(self, state: State) -> Option<State> {
        match self {
            Self::Read(value) => (state == Some(value)).then_some(state),
            Self::Set(value) => Some(Some(value)),
            Self::Swap { expected, new } => {
                let holds = expected.is_none() || expected == state;
                holds.then_some(Some(new))
            }
        }
    }

    /// The value that it wrote.
    pub(super) fn written(self) -> Option<u64> {
        match self {
            Self::Read(_) => None,
            Self::Set(value) | Self::Swap { new: value, .. } => Some(value),
        }
    }

    /// The value that must have been there.
    pub(super) fn seen(self) -> Option<u64> {
        match self {
            Self::Read(value) => Some(value),
            Self::Set(_) => None,
            Self::Swap { expected, .. } => expected,
        }
    }
}
