//! Invalidate.

use super::convert::{self, Violations};
use super::deadline::{Deadline, default_of};
use tonic::{Request, Response, Status};
use unstale_engine::request::{Ack, Invalidate};
use unstale_engine::{Engine, limits};
use unstale_proto::v1;

pub(super) async fn invalidate(
    engine: &Engine,
    request: Request<v1::InvalidateRequest>,
) -> Result<Response<v1::InvalidateResponse>, Status> {
    let (metadata, _, request) = request.into_parts();
    let mut wrong = Violations::default();
    let namespace = wrong.namespace(&request.namespace);
    let keys = wrong.keys(namespace.as_ref(), &request.keys);
    let tags = wrong.tags(&request.tags);
    let all = request.all.is_some();
    if request.keys.is_empty() && request.tags.is_empty() && !all {
        wrong.add("keys", "is empty: give keys, tags or all");
    }
    wrong.text("id", &request.id, limits::ID_BYTES);
    wrong.text("reason", &request.reason, limits::REASON_BYTES);
    let ack = wrong.ack(request.ack);
    let default = default_of(ack.unwrap_or(Ack::Log), engine);
    let deadline = Deadline::of(&metadata, engine, default)?;
    let parts = namespace.zip(keys).zip(tags).zip(ack);
    let (((namespace, keys), tags), ack) = wrong.finish(parts)?;
    let invalidate = Invalidate {
        namespace,
        keys,
        tags,
        all,
        ack,
        id: given(request.id),
        reason: given(request.reason),
        deadline: deadline.at,
    };
    let done = deadline.bound(engine.invalidate(invalidate)).await?;
    Ok(Response::new(v1::InvalidateResponse {
        position: done.position.map(|p| p.to_string()).unwrap_or_default(),
        acked: done.acked.into_iter().map(convert::session).collect(),
        lapsed: done.lapsed.into_iter().map(convert::session).collect(),
    }))
}

fn given(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}
