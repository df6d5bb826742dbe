//! Set.

use super::convert::{self, EntryParts, Violations};
use super::deadline::{Deadline, default_of};
use bytes::Bytes;
use tonic::{Request, Response, Status};
use unstale_engine::Engine;
use unstale_engine::request::{Ack, NotStored, Set, SetOutcome};
use unstale_proto::v1::{self, set_request::Value, set_response::Result as Outcome};

pub(super) async fn set(
    engine: &Engine,
    request: Request<v1::SetRequest>,
) -> Result<Response<v1::SetResponse>, Status> {
    let (metadata, _, request) = request.into_parts();
    let mut wrong = Violations::default();
    let key = wrong.key(&request.namespace, &request.key);
    let entry = wrong.entry(EntryParts {
        value: request.value.map(|value| match value {
            Value::Data(data) => (data, false),
            Value::Text(text) => (Bytes::from(text), true),
        }),
        content_type: &request.content_type,
        ttl: request.ttl,
        tags: &request.tags,
    });
    let position = wrong.position("position", &request.position);
    let ack = wrong.ack(request.ack);
    let default = default_of(ack.unwrap_or(Ack::Log), engine);
    let deadline = Deadline::of(&metadata, engine, default)?;
    let ((key, entry), ack) = wrong.finish(key.zip(entry).zip(ack))?;
    let set = Set {
        key,
        entry,
        position,
        ack,
        deadline: deadline.at,
    };
    let answer = deadline.bound(engine.set(set)).await?;
    let result = match answer.result {
        SetOutcome::Stored(version) => {
            let version = version.unwrap_or_default();
            Outcome::Stored(v1::Stored { version })
        }
        SetOutcome::NotStored(why, current) => Outcome::NotStored(v1::NotStored {
            reason: reason(why).into(),
            current: current.map(convert::entry),
        }),
    };
    Ok(Response::new(v1::SetResponse {
        result: Some(result),
        position: answer.position.to_string(),
        degraded: convert::degraded(answer.degraded),
    }))
}

fn reason(why: NotStored) -> v1::NotStoredReason {
    match why {
        NotStored::Covered => v1::NotStoredReason::Covered,
        NotStored::PositionTooOld => v1::NotStoredReason::PositionTooOld,
    }
}
