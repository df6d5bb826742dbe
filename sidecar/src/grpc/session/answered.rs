//! An answer that is not sent yet.
//!
//! Those of calls that had to wait are held until the caller reads, so the values
//! in them are bounded: one for which there is no room is not kept, and the call
//! is refused, as when too much is in flight. No call is refused that has done
//! something.

use super::super::delivery::Grants;
use super::super::direct::wire::{is_hit, room_of_one};
use super::super::get::One;
use super::super::status;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::Code;
use unstale_proto::v1::batch_set_result::Result as Part;
use unstale_proto::v1::compare_and_set_response::Result as Compared;
use unstale_proto::v1::session_answer::Result as Outcome;
use unstale_proto::v1::set_response::Result as Written;
use unstale_proto::v1::{BatchSetResponse, DegradedReason};

/// What a call ended with.
pub(super) enum Ending {
    /// A message.
    Message(Outcome),
    /// The answer to a Get that found an entry, which is written without one.
    Hit(One),
}

impl From<One> for Ending {
    fn from(one: One) -> Self {
        match is_hit(&one) {
            true => Self::Hit(one),
            false => Self::Message(Outcome::Get(one.message())),
        }
    }
}

impl Ending {
    /// Its length, rather more than less.
    pub(super) fn length(&self) -> usize {
        match self {
            Self::Message(outcome) => outcome.encoded_len(),
            Self::Hit(one) => one.answer.result.found().map_or(0, room_of_one),
        }
    }
}

/// An answer, and the leases that it brings.
pub(super) struct Answered {
    /// The call's.
    pub(super) id: u64,
    pub(super) ending: Ending,
    pub(super) grants: Option<Grants>,
    /// Of the RPC, to count it by; empty when it is none.
    pub(super) path: &'static str,
    room: Option<OwnedSemaphorePermit>,
}

impl Answered {
    pub(super) fn new(id: u64, path: &'static str, ending: Ending, grants: Option<Grants>) -> Self {
        Self {
            id,
            ending,
            grants,
            path,
            room: None,
        }
    }

    /// How the call ended.
    pub(super) fn code(&self) -> Code {
        match &self.ending {
            Ending::Message(Outcome::Error(error)) => Code::from(error.code),
            Ending::Message(_) | Ending::Hit(_) => Code::Ok,
        }
    }

    /// Takes room, in bytes, until it is dropped or sent; without its values when
    /// there is none.
    pub(super) fn kept_in(mut self, room: &Arc<Semaphore>) -> Self {
        if !brings_values(&self.ending) {
            return self;
        }
        let bytes = u32::try_from(self.ending.length()).unwrap_or(u32::MAX);
        match room.clone().try_acquire_many_owned(bytes) {
            Ok(room) => self.room = Some(room),
            Err(_) => {
                self.ending = Ending::Message(without_values(self.ending));
                self.grants = None;
            }
        }
        self
    }
}

/// Whether the answer may hold what was cached. The others are no longer than
/// their requests.
fn brings_values(ending: &Ending) -> bool {
    let outcome = match ending {
        Ending::Message(outcome) => outcome,
        Ending::Hit(_) => return true,
    };
    match outcome {
        Outcome::Get(_)
        | Outcome::BatchGet(_)
        | Outcome::BatchSet(_)
        | Outcome::Lease(_)
        | Outcome::BatchLease(_) => true,
        Outcome::Set(answer) => matches!(answer.result, Some(Written::NotStored(_))),
        Outcome::CompareAndSet(answer) => matches!(answer.result, Some(Compared::Conflict(_))),
        Outcome::Error(_)
        | Outcome::Renew(_)
        | Outcome::Fill(_)
        | Outcome::Abandon(_)
        | Outcome::Invalidate(_) => false,
    }
}

/// A batch may have stored some; any other call with values has done nothing.
fn without_values(ending: Ending) -> Outcome {
    match ending {
        Ending::Message(Outcome::BatchSet(answer)) => Outcome::BatchSet(left_out(answer)),
        Ending::Message(_) | Ending::Hit(_) => {
            Outcome::Error(status::message(&status::no_room_for_answers()))
        }
    }
}

fn left_out(mut answer: BatchSetResponse) -> BatchSetResponse {
    let mut any = false;
    for part in &mut answer.results {
        if let Some(Part::NotStored(part)) = &mut part.result {
            any |= part.current.take().is_some();
        }
    }
    if any {
        let reason = DegradedReason::AnswerTooLarge.into();
        let degraded = answer.degraded.get_or_insert_default();
        degraded.reasons.push(reason);
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;
    use unstale_proto::v1::{
        BatchSetResult, Entry, LeaseResponse, NotStored, SetResponse, Stored, entry, lease_response,
    };

    const VALUE: usize = 1000;

    fn entry() -> Entry {
        Entry {
            value: Some(entry::Value::Text("v".repeat(VALUE))),
            ..Entry::default()
        }
    }

    fn answered(outcome: Outcome) -> Answered {
        Answered::new(1, "", Ending::Message(outcome), None)
    }

    fn hit() -> Answered {
        answered(Outcome::Lease(LeaseResponse {
            result: Some(lease_response::Result::Hit(entry())),
            ..LeaseResponse::default()
        }))
    }

    fn not_stored() -> NotStored {
        NotStored {
            current: Some(entry()),
            ..NotStored::default()
        }
    }

    #[test]
    fn values_have_room_until_it_is_full_and_again_when_one_is_sent() {
        let room = Arc::new(Semaphore::new(2 * VALUE + 200));
        let kept = [hit().kept_in(&room), hit().kept_in(&room)];
        assert!(kept.iter().all(|kept| kept.code() == Code::Ok));
        let refused = hit().kept_in(&room);
        assert_eq!(refused.code(), Code::ResourceExhausted);
        assert!(refused.ending.length() < VALUE);
        drop(kept);
        assert_eq!(hit().kept_in(&room).code(), Code::Ok);
    }

    #[test]
    fn what_was_done_is_told_whether_there_is_room_or_not() {
        let none = Arc::new(Semaphore::new(0));
        let stored = || Stored {
            version: "1".into(),
        };
        let set = SetResponse {
            result: Some(Written::Stored(stored())),
            ..SetResponse::default()
        };
        let set = answered(Outcome::Set(set)).kept_in(&none);
        assert_eq!(set.code(), Code::Ok);
        let part = |result| BatchSetResult {
            result: Some(result),
            ..BatchSetResult::default()
        };
        let batch = BatchSetResponse {
            results: vec![
                part(Part::Stored(stored())),
                part(Part::NotStored(not_stored())),
            ],
            ..BatchSetResponse::default()
        };
        let batch = answered(Outcome::BatchSet(batch)).kept_in(&none);
        let Ending::Message(Outcome::BatchSet(answer)) = batch.ending else {
            panic!("it is not refused");
        };
        let left = part(Part::NotStored(NotStored::default()));
        assert_eq!(answer.results, [part(Part::Stored(stored())), left]);
        let reasons = answer.degraded.unwrap().reasons;
        assert_eq!(reasons, [i32::from(DegradedReason::AnswerTooLarge)]);
    }

    #[test]
    fn a_write_that_was_not_done_is_refused_like_a_read() {
        let none = Arc::new(Semaphore::new(0));
        let set = SetResponse {
            result: Some(Written::NotStored(not_stored())),
            ..SetResponse::default()
        };
        let set = answered(Outcome::Set(set)).kept_in(&none);
        assert_eq!(set.code(), Code::ResourceExhausted);
    }
}
