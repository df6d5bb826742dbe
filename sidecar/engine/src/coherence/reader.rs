//! Judges what the log's driver delivers: which deliveries may be processed,
//! when to doubt a consumer, when the log went backwards (nats-log.md).
//!
//! An *incarnation* is one consumer. It must first deliver the *anchor* (the
//! last processed record that never expires) unchanged, then everything
//! without a gap. Any doubt drops it; it is never continued. A new incarnation
//! may overlap the old one, so that a planned change interrupts nothing.

use super::bugs::{Bug, Bugs};
use super::record::RecordId;
use crate::clock::{LogTime, Moment};
use crate::log::Delivery;
use std::time::Duration;

/// A consumer that says nothing for this long is doubted.
const SILENCE: Duration = Duration::from_millis(2500);

/// A record that a new incarnation must deliver first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Anchor {
    pub(crate) sequence: u64,
    pub(crate) id: RecordId,
    /// What the server stamped; not known before it was delivered once.
    pub(crate) time: Option<LogTime>,
}

struct Incarnation {
    number: u64,
    anchor: Anchor,
    /// What had been processed when it was built: at or below it only beats
    /// may follow the anchor.
    processed_before: u64,
    born: Moment,
    heard: Moment,
    consumer_sequence: u64,
    sequence: u64,
    verified: bool,
}

/// What to do with a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is the next record.
    Process,
    /// It was processed before, or belongs to a dropped incarnation.
    Ignore,
    /// The incarnation cannot be trusted: build anew from the anchor.
    Doubt(&'static str),
    /// The log is not the one that was read before.
    Backward,
}

/// The reader's state: what was processed, and the incarnations.
pub(crate) struct Reader {
    pub(crate) processed: u64,
    pub(crate) anchor: Option<Anchor>,
    current: Option<Incarnation>,
    next: Option<Incarnation>,
    last_number: u64,
}

impl Reader {
    pub(crate) fn new() -> Self {
        Self {
            processed: 0,
            anchor: None,
            current: None,
            next: None,
            last_number: 0,
        }
    }

    /// Begins an incarnation from the anchor; returns its number. With
    /// `overlap` the current one goes on until the new one has caught up.
    pub(crate) fn build(&mut self, anchor: Anchor, overlap: bool, now: Moment) -> u64 {
        self.last_number += 1;
        let incarnation = Incarnation {
            number: self.last_number,
            anchor,
            processed_before: self.processed,
            born: now,
            heard: now,
            consumer_sequence: 0,
            sequence: 0,
            verified: false,
        };
        if overlap && self.current.is_some() {
            self.next = Some(incarnation);
        } else {
            self.current = Some(incarnation);
            self.next = None;
        }
        self.last_number
    }

    /// Drops every incarnation; their numbers are returned for the driver.
    pub(crate) fn drop_all(&mut self) -> Vec<u64> {
        [self.current.take(), self.next.take()]
            .into_iter()
            .flatten()
            .map(|i| i.number)
            .collect()
    }

    /// Drops the incarnation that is being built beside the current one.
    pub(crate) fn drop_next(&mut self) -> Option<u64> {
        self.next.take().map(|i| i.number)
    }

    pub(crate) fn is_next(&self, number: u64) -> bool {
        self.next.as_ref().is_some_and(|i| i.number == number)
    }

    pub(crate) fn is_current(&self, number: u64) -> bool {
        self.current.as_ref().is_some_and(|i| i.number == number)
    }

    pub(crate) fn is_reading(&self) -> bool {
        self.current.is_some()
    }

    /// Whether the current incarnation has passed its anchor.
    pub(crate) fn is_verified(&self) -> bool {
        self.current.as_ref().is_some_and(|i| i.verified)
    }

    /// When the current incarnation was built.
    pub(crate) fn born(&self) -> Option<Moment> {
        self.current.as_ref().map(|i| i.born)
    }

    pub(crate) fn has_next(&self) -> bool {
        self.next.is_some()
    }

    /// When silence makes the first of the incarnations doubtful.
    pub(crate) fn silence_at(&self) -> Option<Moment> {
        [&self.current, &self.next]
            .into_iter()
            .flatten()
            .map(|i| i.heard.plus(SILENCE))
            .min()
    }

    /// The incarnation that has been silent for too long.
    pub(crate) fn silent(&self, now: Moment) -> Option<u64> {
        let mut all = [&self.next, &self.current].into_iter().flatten();
        all.find(|i| now >= i.heard.plus(SILENCE)).map(|i| i.number)
    }

    /// The driver says that the consumer is alive. `None`: all is well.
    pub(crate) fn idle(
        &mut self,
        number: u64,
        consumer_sequence: u64,
        now: Moment,
    ) -> Option<&'static str> {
        let incarnation = self.find(number)?;
        if !incarnation.verified {
            // The anchor is there, or this is a shorter log made anew under us.
            return Some("alive, but the anchor was not delivered");
        }
        incarnation.heard = now;
        let matches = incarnation.consumer_sequence == consumer_sequence;
        (!matches).then_some("a heartbeat names another consumer sequence")
    }

    /// Judges one delivery; on [`Verdict::Process`] it counts as processed.
    pub(crate) fn deliver(&mut self, delivery: &Delivery, bugs: Bugs, now: Moment) -> Verdict {
        let processed = self.processed;
        let Some(incarnation) = self.find(delivery.incarnation) else {
            return Verdict::Ignore;
        };
        let verdict = incarnation.judge(delivery, processed, bugs, now);
        if verdict == Verdict::Process {
            self.processed = delivery.sequence;
            if !delivery.expires {
                let (sequence, id) = (delivery.sequence, delivery.id);
                self.anchor = Some(Anchor {
                    sequence,
                    id,
                    time: Some(delivery.time),
                });
            }
        }
        verdict
    }

    /// Makes the next incarnation the current one if it has caught up; returns
    /// the number of the one to stop.
    pub(crate) fn promote(&mut self) -> Option<u64> {
        let caught_up = |i: &Incarnation| i.verified && i.sequence >= self.processed;
        if !self.next.as_ref().is_some_and(caught_up) {
            return None;
        }
        let old = self.current.take();
        self.current = self.next.take();
        old.map(|i| i.number)
    }

    fn find(&mut self, number: u64) -> Option<&mut Incarnation> {
        [&mut self.current, &mut self.next]
            .into_iter()
            .flatten()
            .find(|i| i.number == number)
    }
}

impl Incarnation {
    fn judge(&mut self, delivery: &Delivery, processed: u64, bugs: Bugs, now: Moment) -> Verdict {
        self.heard = now;
        if delivery.consumer_sequence != self.consumer_sequence + 1
            && !bugs.has(Bug::DroppingChannel)
        {
            return Verdict::Doubt("the consumer's numbers have a gap");
        }
        if delivery.sequence <= self.sequence {
            return Verdict::Doubt("the log's sequence did not rise");
        }
        self.consumer_sequence = delivery.consumer_sequence;
        self.sequence = delivery.sequence;
        if !self.verified {
            return self.verify(delivery, processed, bugs);
        }
        let resumed = processed == self.processed_before && processed > 0;
        let skipped = u64::from(resumed && bugs.has(Bug::ResumeOffByOne));
        if delivery.sequence > processed + skipped {
            return Verdict::Process;
        }
        let replayed = delivery.sequence <= self.processed_before;
        if replayed && !delivery.expires && !bugs.has(Bug::AnchorNotVerified) {
            return Verdict::Backward;
        }
        Verdict::Ignore
    }

    fn verify(&mut self, delivery: &Delivery, processed: u64, bugs: Bugs) -> Verdict {
        let same = delivery.sequence == self.anchor.sequence
            && delivery.id == self.anchor.id
            && self.anchor.time.is_none_or(|time| time == delivery.time);
        if !same && !bugs.has(Bug::AnchorNotVerified) {
            return Verdict::Backward;
        }
        self.verified = true;
        if delivery.sequence > processed {
            Verdict::Process
        } else {
            Verdict::Ignore
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    const T0: Moment = Moment::new(Duration::from_secs(10));

    fn delivery(incarnation: u64, consumer_sequence: u64, sequence: u64) -> Delivery {
        Delivery {
            incarnation,
            consumer_sequence,
            sequence,
            time: LogTime(sequence),
            id: RecordId(u128::from(sequence)),
            expires: false,
            payload: Bytes::new(),
        }
    }

    fn reading_from(sequence: u64) -> (Reader, u64) {
        let mut reader = Reader::new();
        let anchor = Anchor {
            sequence,
            id: RecordId(u128::from(sequence)),
            time: None,
        };
        let number = reader.build(anchor, false, T0);
        assert_eq!(
            reader.deliver(&delivery(number, 1, sequence), Bugs::NONE, T0),
            Verdict::Process
        );
        (reader, number)
    }

    #[test]
    fn a_gap_in_the_consumers_numbers_is_doubted() {
        let (mut reader, n) = reading_from(5);
        let verdict = reader.deliver(&delivery(n, 3, 7), Bugs::NONE, T0);
        assert!(matches!(verdict, Verdict::Doubt(_)));
        assert_eq!(reader.processed, 5);
    }

    #[test]
    fn another_record_in_the_anchors_place_is_a_backward_log() {
        let (mut reader, _) = reading_from(5);
        let n = reader.build(reader.anchor.expect("an anchor"), false, T0);
        let mut other = delivery(n, 1, 5);
        other.id = RecordId(99);
        assert_eq!(reader.deliver(&other, Bugs::NONE, T0), Verdict::Backward);
    }

    #[test]
    fn an_overlapping_incarnation_takes_over_without_a_gap() {
        let (mut reader, old) = reading_from(5);
        let new = reader.build(reader.anchor.expect("an anchor"), true, T0);
        assert_eq!(
            reader.deliver(&delivery(old, 2, 6), Bugs::NONE, T0),
            Verdict::Process
        );
        assert_eq!(
            reader.deliver(&delivery(new, 1, 5), Bugs::NONE, T0),
            Verdict::Ignore
        );
        assert_eq!(reader.promote(), None, "it has not seen 6 yet");
        assert_eq!(
            reader.deliver(&delivery(new, 2, 6), Bugs::NONE, T0),
            Verdict::Ignore
        );
        assert_eq!(reader.promote(), Some(old));
        assert_eq!(
            reader.deliver(&delivery(old, 3, 7), Bugs::NONE, T0),
            Verdict::Ignore
        );
        assert_eq!(
            reader.deliver(&delivery(new, 3, 7), Bugs::NONE, T0),
            Verdict::Process
        );
    }

    #[test]
    fn silence_is_doubted() {
        let (reader, n) = reading_from(5);
        assert_eq!(reader.silent(T0.plus(Duration::from_secs(2))), None);
        assert_eq!(reader.silent(T0.plus(Duration::from_secs(3))), Some(n));
    }

    #[test]
    fn a_consumer_that_lives_without_delivering_the_anchor_is_doubted() {
        let (mut reader, n) = reading_from(5);
        assert_eq!(reader.idle(n, 1, T0), None);
        let n = reader.build(reader.anchor.expect("an anchor"), false, T0);
        assert!(reader.idle(n, 0, T0).is_some());
    }
}
