//! What the answers of a batch have in common: one position, one word on what
//! was not available, and room for values.
//!
//! The position is the oldest of the reads: the one that is safe to give to Set
//! for any of the keys. An answer never holds more than
//! [`limits::BATCH_BYTES`] of values; what does not fit is left out, and the
//! answer says so.

use super::encode;
use unstale_engine::position::Position;
use unstale_engine::request::{Answer, Degraded, Found};
use unstale_engine::{Engine, limits};
use unstale_proto::v1;

/// Most writes or leases of one batch under way at a time: a batch costs the pod
/// no more than so many single calls.
pub(super) const CONCURRENT: usize = 32;

/// A batch's answer, as far as it is known.
pub(super) struct Batch {
    before: Position,
    oldest: Option<Position>,
    degraded: Degraded,
    room: usize,
    left_out: bool,
}

impl Batch {
    /// Nothing was answered yet.
    pub(super) fn new(engine: &Engine) -> Self {
        Self {
            before: engine.position(),
            oldest: None,
            degraded: Degraded::default(),
            room: limits::BATCH_BYTES,
            left_out: false,
        }
    }

    /// One key's answer. Answers come in order of time, so that after a change
    /// of the epoch the one that is kept is of the older.
    pub(super) fn add<T>(&mut self, answer: &Answer<T>) {
        self.degraded.remote |= answer.degraded.remote;
        self.degraded.session |= answer.degraded.session;
        let at = answer.position;
        let is_older = |known: Position| known.epoch == at.epoch && at.sequence < known.sequence;
        if self.oldest.is_none_or(is_older) {
            self.oldest = Some(at);
        }
    }

    /// Takes room for the value; false, and remembered, when there is none.
    pub(super) fn takes(&mut self, found: &Found) -> bool {
        let left = self.room.checked_sub(found.payload.data().len());
        self.left_out |= left.is_none();
        self.room = left.unwrap_or(self.room);
        left.is_some()
    }

    /// The position of the whole answer.
    pub(super) fn position(&self) -> String {
        self.oldest.unwrap_or(self.before).to_string()
    }

    /// What was not available for any of the keys.
    pub(super) fn degraded(&self) -> Option<v1::Degraded> {
        let mut degraded = encode::degraded(self.degraded);
        if self.left_out {
            let reason = v1::DegradedReason::AnswerTooLarge.into();
            degraded.get_or_insert_default().reasons.push(reason);
        }
        degraded
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use unstale_engine::position::Epoch;

    fn batch() -> Batch {
        Batch {
            before: Position::default(),
            oldest: None,
            degraded: Degraded::default(),
            room: limits::BATCH_BYTES,
            left_out: false,
        }
    }

    #[test]
    fn the_oldest_position_is_kept_and_that_of_the_older_epoch() {
        let mut batch = batch();
        for (epoch, sequence) in [(1, 7), (1, 5), (1, 9), (2, 1)] {
            batch.add(&Answer {
                result: (),
                position: Position {
                    epoch: Epoch(epoch),
                    sequence,
                },
                degraded: Degraded::default(),
            });
        }
        assert_eq!(batch.position(), "0000000000000001-5");
    }
}
