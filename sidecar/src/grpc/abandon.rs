//! Abandon.

use super::deadline::Deadline;
use super::lease::token;
use tonic::{Request, Response, Status};
use unstale_engine::{Engine, limits};
use unstale_proto::v1;

pub(super) async fn abandon(
    engine: &Engine,
    request: Request<v1::AbandonRequest>,
) -> Result<Response<v1::AbandonResponse>, Status> {
    let deadline = Deadline::of(request.metadata(), engine, limits::DEADLINE_DEFAULT)?;
    let token = token(&request.get_ref().lease_token)?;
    deadline.bound(engine.abandon(token, deadline.at)).await?;
    Ok(Response::new(v1::AbandonResponse {}))
}
