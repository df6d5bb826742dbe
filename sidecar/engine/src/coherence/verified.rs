//! Ruling out that records were truncated unread.
//!
//! A consumer's numbers prove that it delivered all that is there, not all that
//! was: the log may have discarded what this pod had not read. What was read is
//! *verified* as far as nothing can be missing: records that follow one another
//! without a number left out are; over a gap (beats of other pods, mostly) the
//! log's first retained sequence is asked for. Whoever tells others that this
//! pod has reached a position, or answers for one, means the verified one.

use super::record::SessionId;
use super::{Action, Bug, Machine};
use crate::clock::Moment;
use crate::log::Command;
use std::time::Duration;

/// A question that was not answered by then is asked again.
pub(crate) const ASK_AGAIN: Duration = Duration::from_secs(1);
/// Most words that wait; who wants one asks again.
const WORDS: usize = 4096;

#[derive(Default)]
pub(super) struct Verified {
    /// Nothing up to here was missed.
    pub(super) to: u64,
    asked: Option<Asked>,
    /// What somebody wants to know more than the question under way tells.
    wanted: u64,
    /// Words to be said once they are true.
    words: Vec<(SessionId, u64)>,
}

/// A question under way.
struct Asked {
    token: u64,
    processed: u64,
    at: Moment,
}

impl Machine {
    /// Another reading, or another life of the log, begins at `sequence`.
    pub(super) fn verified_from(&mut self, sequence: u64) {
        self.verified = Verified {
            to: sequence,
            ..Verified::default()
        };
    }

    /// The next record is about to be processed.
    pub(super) fn follow(&mut self, sequence: u64) {
        if sequence == self.verified.to + 1 || self.has_bug(Bug::FirstNotChecked) {
            self.verified.to = sequence;
        }
    }

    /// Somebody wants to know whether nothing was missed up to here. One question
    /// at a time; what came meanwhile is asked for when it is answered.
    pub fn verify(&mut self, now: Moment) {
        self.verified.wanted = self.reader.processed;
        let waits = |asked: &Asked| now < asked.at.plus(ASK_AGAIN);
        if self.verified.to >= self.reader.processed
            || self.verified.asked.as_ref().is_some_and(waits)
        {
            return;
        }
        self.check_token += 1;
        let token = self.check_token;
        self.verified.asked = Some(Asked {
            token,
            processed: self.reader.processed,
            at: now,
        });
        self.command(Command::CheckFirst { token });
    }

    /// Says this pod's word to `to` as soon as it is true.
    pub(super) fn promise_word(&mut self, to: SessionId, sequence: u64, now: Moment) {
        if sequence <= self.verified.to {
            self.say(to, sequence);
        } else if self.verified.words.len() < WORDS {
            self.verified.words.push((to, sequence));
            self.verify(now);
        }
    }

    /// What had been processed when the question `token` was asked, if it was
    /// one of these.
    pub(super) fn asked(&mut self, token: u64) -> Option<u64> {
        let asked = self.verified.asked.take_if(|asked| asked.token == token)?;
        Some(asked.processed)
    }

    /// All that the log retained when it was asked lies above what was verified
    /// before: so nothing is missing up to `processed`.
    pub(super) fn verified_to(&mut self, processed: u64, now: Moment) {
        self.verified.to = self.verified.to.max(processed);
        let to = self.verified.to;
        let (due, later) = std::mem::take(&mut self.verified.words)
            .into_iter()
            .partition(|(_, sequence)| *sequence <= to);
        self.verified.words = later;
        let due: Vec<(SessionId, u64)> = due;
        for (session, sequence) in due {
            self.say(session, sequence);
        }
        if !self.verified.words.is_empty() || self.verified.wanted > to {
            self.verify(now);
        }
        self.check_fleet(now);
        self.push(Action::Progress);
    }
}
