//! Set and BatchSet.
//!
//! A batch is refused as a whole only if the request is bad. Otherwise each of
//! its writes is decided by itself, and answered by itself: stored, not stored,
//! or why it failed, even if all of them did.

use super::batch::CONCURRENT;
use super::deadline::{Call, Deadline, default_of};
use super::encode;
use super::status;
use super::storing::Allowed;
use super::violations::Violations;
use futures::{StreamExt as _, stream};
use tonic::Status;
use unstale_engine::request::{Ack, Answer, Degraded, SetOutcome};
use unstale_engine::{Engine, Error};
use unstale_proto::v1::{
    self, batch_set_result::Result as BatchOutcome, set_response::Result as Outcome,
};

pub(super) async fn set(
    engine: &Engine,
    call: Call<v1::SetRequest>,
) -> Result<v1::SetResponse, Status> {
    let Call {
        timeout,
        mut request,
    } = call;
    let mut wrong = Violations::default();
    let namespace = wrong.namespace(&request.namespace);
    let allowed = Allowed::of(engine, namespace.as_ref());
    let ack = wrong.ack(request.ack);
    let write = wrong.write(&mut request, namespace.as_ref(), &allowed, ack);
    let default = default_of(ack.unwrap_or(Ack::Log), engine);
    let deadline = Deadline::of(timeout, engine, default)?;
    let (write, ack) = wrong.finish(write.zip(ack))?;
    let set = write.set(ack, deadline.at);
    let answer = deadline.bound(engine.set(set)).await?;
    Ok(v1::SetResponse {
        result: Some(outcome(answer.result)),
        position: answer.position.to_string(),
        degraded: encode::degraded(answer.degraded),
    })
}

fn outcome(outcome: SetOutcome) -> Outcome {
    match outcome {
        SetOutcome::Stored(version) => {
            let version = version.unwrap_or_default();
            Outcome::Stored(v1::Stored { version })
        }
        SetOutcome::NotStored(why, current) => Outcome::NotStored(encode::not_stored(why, current)),
    }
}

pub(super) async fn batch_set(
    engine: &Engine,
    call: Call<v1::BatchSetRequest>,
) -> Result<v1::BatchSetResponse, Status> {
    let Call {
        timeout,
        mut request,
    } = call;
    let mut wrong = Violations::default();
    let namespace = wrong.namespace(&request.namespace);
    let allowed = Allowed::of(engine, namespace.as_ref());
    let ack = wrong.ack(request.ack);
    let writes = wrong.writes(&mut request.items, namespace.as_ref(), &allowed, ack);
    let default = default_of(ack.unwrap_or(Ack::Log), engine);
    let deadline = Deadline::of(timeout, engine, default)?;
    let (writes, ack) = wrong.finish(writes.zip(ack))?;
    let writes = writes.into_iter().map(|write| async move {
        // A write that was not begun in time is not begun at all.
        if engine.now() >= deadline.at {
            return Err(Error::DeadlineExceeded);
        }
        deadline.cut(engine.set(write.set(ack, deadline.at))).await
    });
    let answers = stream::iter(writes.collect::<Vec<_>>()).buffered(CONCURRENT);
    let answers: Vec<_> = answers.collect().await;
    let mut degraded = Degraded::default();
    for answer in answers.iter().flatten() {
        degraded.remote |= answer.degraded.remote;
        degraded.session |= answer.degraded.session;
    }
    // Not the oldest: this one reflects every write of the batch in the log.
    let positions = answers.iter().flatten().map(|answer| answer.position);
    let own = engine.status().position;
    // One of an epoch that ended meanwhile is reached by nobody.
    let of_now = positions.filter(|position| position.epoch == own.epoch);
    let position = of_now.max_by_key(|p| p.sequence).unwrap_or(own);
    let results = request.items.into_iter().zip(answers);
    let results = results.map(|(item, answer)| v1::BatchSetResult {
        key: item.key,
        result: Some(batch_outcome(answer)),
    });
    Ok(v1::BatchSetResponse {
        results: results.collect(),
        position: position.to_string(),
        degraded: encode::degraded(degraded),
    })
}

fn batch_outcome(answer: Result<Answer<SetOutcome>, Error>) -> BatchOutcome {
    match answer.map(|answer| outcome(answer.result)) {
        Ok(Outcome::Stored(stored)) => BatchOutcome::Stored(stored),
        Ok(Outcome::NotStored(not_stored)) => BatchOutcome::NotStored(not_stored),
        Err(error) => BatchOutcome::Error(status::batch_error(&error)),
    }
}
