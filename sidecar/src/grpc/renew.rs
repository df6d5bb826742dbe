//! Renew.

use super::deadline::Deadline;
use super::encode;
use super::lease::token;
use tonic::{Request, Response, Status};
use unstale_engine::request::RenewOutcome;
use unstale_engine::{Engine, limits};
use unstale_proto::v1::{self, renew_response::Result as Outcome};

pub(super) async fn renew(
    engine: &Engine,
    request: Request<v1::RenewRequest>,
) -> Result<Response<v1::RenewResponse>, Status> {
    let deadline = Deadline::of(request.metadata(), engine, limits::DEADLINE_DEFAULT)?;
    let token = token(&request.get_ref().lease_token)?;
    let outcome = deadline.bound(engine.renew(token, deadline.at)).await?;
    let result = match outcome {
        RenewOutcome::Renewed(term) => {
            let term = Some(encode::duration(term));
            Outcome::Renewed(v1::Renewed { term })
        }
        RenewOutcome::Voided(why) => Outcome::Voided(encode::voided(why)),
    };
    let result = Some(result);
    Ok(Response::new(v1::RenewResponse { result }))
}
