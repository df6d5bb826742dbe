//! Renew.

use super::deadline::{Call, Deadline};
use super::encode;
use super::lease::token;
use tonic::Status;
use unstale_engine::request::RenewOutcome;
use unstale_engine::{Engine, limits};
use unstale_proto::v1::{self, renew_response::Result as Outcome};

pub(super) async fn renew(
    engine: &Engine,
    call: Call<v1::RenewRequest>,
) -> Result<v1::RenewResponse, Status> {
    let deadline = Deadline::of(call.timeout, engine, limits::DEADLINE_DEFAULT)?;
    let token = token(&call.request.lease_token)?;
    let outcome = deadline.bound(engine.renew(token, deadline.at)).await?;
    let result = match outcome {
        RenewOutcome::Renewed(term) => {
            let term = Some(encode::duration(term));
            Outcome::Renewed(v1::Renewed { term })
        }
        RenewOutcome::Voided(why) => Outcome::Voided(encode::voided(why)),
    };
    let result = Some(result);
    Ok(v1::RenewResponse { result })
}
