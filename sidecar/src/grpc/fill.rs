//! Fill.

use super::convert::{self, EntryParts, Violations};
use super::deadline::Deadline;
use super::lease::{token, voided};
use bytes::Bytes;
use tonic::{Request, Response, Status};
use unstale_engine::request::{Fill, FillOutcome};
use unstale_engine::{Engine, limits};
use unstale_proto::v1::{self, fill_request::Value, fill_response::Result as Outcome};

pub(super) async fn fill(
    engine: &Engine,
    request: Request<v1::FillRequest>,
) -> Result<Response<v1::FillResponse>, Status> {
    let deadline = Deadline::of(request.metadata(), engine, limits::DEADLINE_DEFAULT)?;
    let request = request.into_inner();
    let mut wrong = Violations::default();
    let entry = wrong.entry(EntryParts {
        value: request.value.map(|value| match value {
            Value::Data(data) => (data, false),
            Value::Text(text) => (Bytes::from(text), true),
        }),
        content_type: &request.content_type,
        ttl: request.ttl,
        tags: &request.tags,
    });
    let entry = wrong.finish(entry)?;
    let token = token(&request.lease_token)?;
    let fill = Fill {
        token,
        entry,
        deadline: deadline.at,
    };
    let answer = deadline.bound(engine.fill(fill)).await?;
    let result = match answer.result {
        FillOutcome::Stored(version) => Outcome::Stored(v1::Stored { version }),
        FillOutcome::Voided(why) => Outcome::Voided(voided(why)),
    };
    Ok(Response::new(v1::FillResponse {
        result: Some(result),
        position: answer.position.to_string(),
        degraded: convert::degraded(answer.degraded),
    }))
}
