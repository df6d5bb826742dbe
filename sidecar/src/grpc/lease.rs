//! Lease, and the text form of its token.

use super::convert::{self, Violations};
use super::deadline::Deadline;
use super::status;
use std::time::Duration;
use tonic::{Request, Response, Status};
use unstale_engine::request::{Lease, LeaseOutcome, LeaseToken, Voided};
use unstale_engine::{Engine, Error, limits};
use unstale_proto::v1::{self, lease_response::Result as Outcome};

pub(super) async fn lease(
    engine: &Engine,
    request: Request<v1::LeaseRequest>,
) -> Result<Response<v1::LeaseResponse>, Status> {
    let (metadata, _, request) = request.into_parts();
    let mut wrong = Violations::default();
    let key = wrong.key(&request.namespace, &request.key);
    let bounds = (limits::TERM_MIN, limits::TERM_MAX);
    let term = wrong.duration("term", request.term, bounds);
    let bounds = (Duration::ZERO, limits::DEADLINE_MAX);
    let wait = wrong
        .duration("wait", request.wait, bounds)
        .unwrap_or_default();
    let default = wait + limits::DEADLINE_DEFAULT;
    let deadline = Deadline::of(&metadata, engine, default)?;
    let key = wrong.finish(key)?;
    let term = term.unwrap_or(limits::TERM_DEFAULT);
    let lease = Lease {
        key,
        term,
        wait,
        deadline: deadline.at,
    };
    let answer = deadline.bound(engine.lease(lease)).await?;
    let result = match answer.result {
        LeaseOutcome::Hit(found) => Outcome::Hit(convert::entry(found)),
        LeaseOutcome::Granted(token, term) => Outcome::Granted(v1::Granted {
            lease_token: format!("{:032x}", token.0),
            term: Some(convert::duration(term)),
        }),
        LeaseOutcome::Busy(after) => Outcome::Busy(v1::Busy {
            retry_after: Some(convert::duration(after)),
        }),
    };
    Ok(Response::new(v1::LeaseResponse {
        result: Some(result),
        position: answer.position.to_string(),
        degraded: convert::degraded(answer.degraded),
    }))
}

/// A token from its text: 32 hex digits. Any other text is a token that was
/// never granted.
pub(super) fn token(text: &str) -> Result<LeaseToken, Status> {
    let good = text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
    let bits = good.then(|| u128::from_str_radix(text, 16).ok()).flatten();
    bits.map(LeaseToken)
        .ok_or_else(|| status::status(Error::UnknownLease))
}

/// Why a lease is void.
pub(super) fn voided(why: Voided) -> v1::Voided {
    let reason = match why {
        Voided::Invalidated => v1::VoidedReason::Invalidated,
        Voided::Expired => v1::VoidedReason::Expired,
    };
    v1::Voided {
        reason: reason.into(),
    }
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
