//! Abandon.

use super::deadline::Deadline;
use super::lease::token;
use super::violations::Violations;
use tonic::{Request, Response, Status};
use unstale_engine::request::Abandon;
use unstale_engine::{Engine, limits};
use unstale_proto::v1;

pub(super) async fn abandon(
    engine: &Engine,
    request: Request<v1::AbandonRequest>,
) -> Result<Response<v1::AbandonResponse>, Status> {
    let deadline = Deadline::of(request.metadata(), engine, limits::DEADLINE_DEFAULT)?;
    let request = request.into_inner();
    let mut wrong = Violations::default();
    let bounds = (limits::TTL_MIN, limits::TTL_MAX);
    let serve_stale_for = wrong.duration("serve_stale_for", request.serve_stale_for, bounds);
    let bounds = (limits::TERM_MIN, limits::TERM_MAX);
    let retry_after = wrong.duration("retry_after", request.retry_after, bounds);
    wrong.finish(Some(()))?;
    let abandon = Abandon {
        token: token(&request.lease_token)?,
        serve_stale_for,
        retry_after,
        deadline: deadline.at,
    };
    deadline.bound(engine.abandon(abandon)).await?;
    Ok(Response::new(v1::AbandonResponse {}))
}
