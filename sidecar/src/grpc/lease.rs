//! Lease and BatchLease, and the text form of a token.

use super::deadline::{Call, Deadline};
use super::delivery::Grants;
use super::encode::{self, Cached};
use super::rounds::Rounds;
use super::status;
use super::violations::Violations;
use std::sync::Arc;
use std::time::Duration;
use tonic::Status;
use unstale_engine::clock::Moment;
use unstale_engine::key::Key;
use unstale_engine::position::Position;
use unstale_engine::request::{Lease, LeaseOutcome, LeaseToken};
use unstale_engine::{Engine, Error, limits};
use unstale_proto::v1::{
    self, batch_lease_result::Result as BatchOutcome, lease_response::Result as Outcome,
};

pub(super) async fn lease(
    engine: &Arc<Engine>,
    call: Call<v1::LeaseRequest>,
) -> Result<(v1::LeaseResponse, Grants), Status> {
    let Call { timeout, request } = call;
    let mut wrong = Violations::default();
    let namespace = wrong.namespace(&request.namespace);
    let key = wrong.key(namespace.as_ref(), &request.key);
    let asked = wrong.asked(request.term, request.wait, &request.min_position);
    let deadline = Deadline::of(timeout, engine, asked.wait + limits::DEADLINE_DEFAULT)?;
    let lease = asked.of(wrong.finish(key)?, deadline.at, true);
    let answer = deadline.bound(engine.lease(lease)).await?;
    let mut grants = Grants::new(engine);
    grants.hold(&answer.result);
    let answer = v1::LeaseResponse {
        result: Some(outcome(answer.result)),
        position: answer.position.to_string(),
        degraded: encode::degraded(answer.degraded),
    };
    Ok((answer, grants))
}

pub(super) async fn batch_lease(
    engine: &Arc<Engine>,
    call: Call<v1::BatchLeaseRequest>,
) -> Result<(v1::BatchLeaseResponse, Grants), Status> {
    let Call { timeout, request } = call;
    let mut wrong = Violations::default();
    let namespace = wrong.namespace(&request.namespace);
    let keys = wrong.keys(namespace.as_ref(), &request.keys, limits::BATCH_KEYS);
    wrong.once("keys", "", request.keys.iter().take(limits::BATCH_KEYS));
    let asked = wrong.asked(request.term, request.wait, &request.min_position);
    let deadline = Deadline::of(timeout, engine, asked.wait + limits::DEADLINE_DEFAULT)?;
    let keys = wrong.finish(keys)?;
    let mut rounds = Rounds::new(engine, keys, asked, deadline.at);
    deadline.bound(rounds.run(engine)).await?;
    let outcomes = rounds.outcomes.into_iter();
    let results = request.keys.into_iter().zip(outcomes);
    let results = results.map(|(key, outcome)| v1::BatchLeaseResult {
        key,
        result: outcome.map(batch_outcome),
    });
    let answer = v1::BatchLeaseResponse {
        results: results.collect(),
        position: rounds.batch.position(),
        degraded: rounds.batch.degraded(),
    };
    Ok((answer, rounds.grants))
}

/// What is asked for every key.
#[derive(Clone, Copy)]
pub(super) struct Asked {
    term: Duration,
    pub(super) wait: Duration,
    pub(super) min_position: Option<Position>,
}

impl Asked {
    /// In a batch a refresh would end the wait of the other keys.
    pub(super) fn of(self, key: Key, deadline: Moment, may_refresh: bool) -> Lease {
        Lease {
            key,
            term: self.term,
            wait: self.wait,
            min_position: self.min_position,
            may_refresh,
            deadline,
        }
    }
}

impl Violations {
    fn asked(
        &mut self,
        term: Option<prost_types::Duration>,
        wait: Option<prost_types::Duration>,
        min_position: &str,
    ) -> Asked {
        let term = self.duration("term", term, (limits::TERM_MIN, limits::TERM_MAX));
        let wait = self.duration("wait", wait, (Duration::ZERO, limits::DEADLINE_MAX));
        Asked {
            term: term.unwrap_or(limits::TERM_DEFAULT),
            wait: wait.unwrap_or_default(),
            min_position: self.position("min_position", min_position),
        }
    }
}

pub(super) fn outcome(outcome: LeaseOutcome) -> Outcome {
    match outcome {
        LeaseOutcome::Hit(found) => match encode::cached(found) {
            Cached::Entry(entry) => Outcome::Hit(entry),
            Cached::Negative(negative) => Outcome::Negative(negative),
        },
        LeaseOutcome::Granted(token, term, stale) => Outcome::Granted(v1::Granted {
            lease_token: format!("{:032x}", token.0),
            term: Some(encode::duration(term)),
            stale: stale.and_then(encode::entry),
        }),
        LeaseOutcome::Busy(after, stale) => Outcome::Busy(v1::Busy {
            retry_after: Some(encode::duration(after)),
            stale: stale.and_then(encode::entry),
        }),
    }
}

fn batch_outcome(outcome: Outcome) -> BatchOutcome {
    match outcome {
        Outcome::Hit(entry) => BatchOutcome::Hit(entry),
        Outcome::Granted(granted) => BatchOutcome::Granted(granted),
        Outcome::Busy(busy) => BatchOutcome::Busy(busy),
        Outcome::Negative(negative) => BatchOutcome::Negative(negative),
    }
}

/// A token from its text: 32 hex digits. Any other text is a token that was
/// never granted.
pub(super) fn token(text: &str) -> Result<LeaseToken, Status> {
    let good = text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
    let bits = good.then(|| u128::from_str_radix(text, 16).ok()).flatten();
    bits.map(LeaseToken)
        .ok_or_else(|| status::status(&Error::UnknownLease))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_survives_its_text_form_and_garbage_was_never_granted() {
        assert_eq!(token(&format!("{:032x}", 7)).unwrap(), LeaseToken(7));
        for text in ["", "7", &"g".repeat(32), &"+".repeat(32), &"0".repeat(33)] {
            let code = token(text).unwrap_err().code();
            assert_eq!(code, tonic::Code::FailedPrecondition, "{text}");
        }
    }
}
