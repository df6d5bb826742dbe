//! What is ready, gathered into one message, and that message as bytes.
//!
//! Written answer by answer: a generated message measures each part of itself once
//! for every message around it. Decodes to the `SessionResponse` that holds the same.

use super::super::delivery::Grants;
use super::super::direct::short::{BEGIN, Short, field_length};
use super::super::direct::wire::Hit;
use super::answered::{Answered, Ending};
use bytes::BufMut;
use prost::Message as _;
use tonic::Status;
use tonic::codec::{EncodeBuf, Encoder};
use unstale_engine::limits;
use unstale_proto::v1::session_answer::Result as Outcome;
use unstale_proto::v1::{SessionClosing, SessionOpened, SessionResponse};

/// A message takes no more answers when it is so long, in bytes: of hits an estimate,
/// rather more than less.
const BYTES: usize = 64 * 1024;
/// A message takes no more answers when it has so many.
const ANSWERS: usize = 256;

/// Room for what a message says of the stream.
const SAYS: usize = 32;

/// The field of `unstale.v1.SessionResponse`.
const ANSWER: u8 = 2;
/// The fields of `unstale.v1.SessionAnswer`.
const ID: u8 = 1;
const GET: u8 = 3;

/// A message that is not sent yet.
#[derive(Default)]
pub(in crate::grpc) struct Message {
    /// What it says of the stream; its answers are beside it.
    says: SessionResponse,
    answers: Vec<(u64, Ending)>,
    grants: Vec<Grants>,
    bytes: usize,
}

impl Message {
    /// Says what the stream allows.
    pub(super) fn open(&mut self) {
        let max_calls = u32::try_from(limits::SESSION_CALLS).unwrap_or(u32::MAX);
        self.says.opened = Some(SessionOpened {
            max_calls,
            max_bytes: limits::SESSION_BYTES as u64,
        });
    }

    /// Says that no more calls are begun.
    pub(super) fn close(&mut self) {
        self.says.closing = Some(SessionClosing {});
    }

    pub(super) fn add(&mut self, answered: Answered) {
        self.bytes += answered.ending.length() + 2 * BEGIN;
        self.answers.push((answered.id, answered.ending));
        self.grants.extend(answered.grants);
    }

    /// Whether it is long enough.
    pub(super) fn is_full(&self) -> bool {
        self.bytes >= BYTES || self.answers.len() >= ANSWERS
    }

    /// Whether there is nothing to send.
    pub(super) fn is_empty(&self) -> bool {
        let is_silent = self.says.opened.is_none() && self.says.closing.is_none();
        is_silent && self.answers.is_empty()
    }

    /// The leases that it brings.
    pub(super) fn take_grants(&mut self) -> Vec<Grants> {
        std::mem::take(&mut self.grants)
    }

    /// What it says of the stream comes first: the order of fields is free.
    fn put(self, to: &mut impl BufMut) {
        let said = self.says.encode(to);
        said.expect("there is room for a message of bounded length");
        for (id, ending) in self.answers {
            put_answer(to, id, ending);
        }
    }
}

fn put_answer(to: &mut impl BufMut, id: u64, ending: Ending) {
    match ending {
        Ending::Message(outcome) => put_outcome(to, id, &outcome),
        Ending::Hit(one) => match Hit::of(&one) {
            Some(hit) => put_hit(to, id, &hit),
            None => put_outcome(to, id, &Outcome::Get(one.message())),
        },
    }
}

fn put_hit(to: &mut impl BufMut, id: u64, hit: &Hit<'_>) {
    let length = hit.length();
    begin_answer(to, id, field_length(length));
    let mut begin = Short::<BEGIN>::new();
    begin.begin(GET, length);
    to.put_slice(begin.as_bytes());
    hit.put(to);
}

fn put_outcome(to: &mut impl BufMut, id: u64, outcome: &Outcome) {
    begin_answer(to, id, outcome.encoded_len());
    outcome.encode(to);
}

/// An answer's beginning: its id, which so many bytes follow.
fn begin_answer(to: &mut impl BufMut, id: u64, length: usize) {
    let mut of = Short::<BEGIN>::new();
    of.number(ID, id);
    let mut begin = Short::<BEGIN>::new();
    begin.begin(ANSWER, of.as_bytes().len() + length);
    to.put_slice(begin.as_bytes());
    to.put_slice(of.as_bytes());
}

/// Writes messages.
#[derive(Clone, Copy, Default)]
pub(super) struct Written;

impl Encoder for Written {
    type Item = Message;
    type Error = Status;

    fn encode(&mut self, message: Message, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.reserve(message.bytes + SAYS);
        message.put(to);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grpc::direct::tests::one;
    use crate::grpc::direct::wire::BESIDE;
    use crate::grpc::get::One;
    use crate::grpc::status;
    use proptest::prelude::*;
    use unstale_proto::v1::SessionAnswer;

    /// An answer, and the message of the same.
    fn ending(one: One, is_error: bool) -> (Ending, Outcome) {
        let error = || Outcome::Error(status::message(&status::no_room_for_calls()));
        match is_error {
            true => (Ending::Message(error()), error()),
            false => (one.clone().into(), Outcome::Get(one.message())),
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_the_message(
            answers in prop::collection::vec((1..u64::MAX, any::<bool>(), one()), 0..6),
            (opens, closes) in any::<(bool, bool)>(),
        ) {
            let (mut message, mut same) = (Message::default(), SessionResponse::default());
            let count = answers.len();
            if opens {
                message.open();
            }
            if closes {
                message.close();
            }
            same.opened = message.says.opened;
            same.closing = message.says.closing;
            for (id, is_error, one) in answers {
                let (ending, outcome) = ending(one, is_error);
                message.add(Answered::new(id, "", ending, None));
                let result = Some(outcome);
                same.answers.push(SessionAnswer { id, result });
            }
            let room = message.bytes;
            let mut written = Vec::new();
            message.put(&mut written);
            prop_assert_eq!(SessionResponse::decode(&*written).unwrap(), same);
            prop_assert!(room + SAYS >= written.len(), "{} of {}", room, written.len());
            let most = written.len() + count * (BESIDE + 2 * BEGIN);
            prop_assert!(room <= most, "{} of {}", room, written.len());
        }
    }
}
