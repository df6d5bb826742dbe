//! Abandon.

use super::deadline::{Call, Deadline};
use super::lease::token;
use super::violations::Violations;
use tonic::Status;
use unstale_engine::request::Abandon;
use unstale_engine::{Engine, limits};
use unstale_proto::v1;

pub(super) async fn abandon(
    engine: &Engine,
    call: Call<v1::AbandonRequest>,
) -> Result<v1::AbandonResponse, Status> {
    let Call { timeout, request } = call;
    let deadline = Deadline::of(timeout, engine, limits::DEADLINE_DEFAULT)?;
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
    Ok(v1::AbandonResponse {})
}
