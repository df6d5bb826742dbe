//! What is ready, gathered into one message.

use super::super::delivery::Grants;
use super::answered::Answered;
use prost::Message as _;
use unstale_engine::limits;
use unstale_proto::v1::{SessionClosing, SessionOpened, SessionResponse};

/// A message takes no more answers when it is so long, in bytes.
const BYTES: usize = 64 * 1024;
/// A message takes no more answers when it has so many.
const ANSWERS: usize = 256;

/// A message that is not sent yet.
#[derive(Default)]
pub(super) struct Message {
    response: SessionResponse,
    grants: Vec<Grants>,
    bytes: usize,
}

impl Message {
    /// Says what the stream allows.
    pub(super) fn open(&mut self) {
        let max_calls = u32::try_from(limits::SESSION_CALLS).unwrap_or(u32::MAX);
        self.response.opened = Some(SessionOpened {
            max_calls,
            max_bytes: limits::SESSION_BYTES as u64,
        });
    }

    /// Says that no more calls are begun.
    pub(super) fn close(&mut self) {
        self.response.closing = Some(SessionClosing {});
    }

    pub(super) fn add(&mut self, answered: Answered) {
        self.bytes += answered.answer.encoded_len();
        self.response.answers.push(answered.answer);
        self.grants.extend(answered.grants);
    }

    /// Whether it is long enough.
    pub(super) fn is_full(&self) -> bool {
        self.bytes >= BYTES || self.response.answers.len() >= ANSWERS
    }

    /// What is to be sent, if anything, and the leases that it brings.
    pub(super) fn response(self) -> Option<(SessionResponse, Vec<Grants>)> {
        let says = self.response.opened.is_some() || self.response.closing.is_some();
        (says || !self.response.answers.is_empty()).then_some((self.response, self.grants))
    }
}
