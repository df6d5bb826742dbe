//! Fill.

use super::deadline::{Call, Deadline};
use super::depends::Dependent;
use super::encode;
use super::lease::token;
use super::storing::Allowed;
use super::violations::Violations;
use tonic::Status;
use unstale_engine::key::Namespace;
use unstale_engine::request::{Fill, FillOutcome};
use unstale_engine::{Engine, limits};
use unstale_proto::v1::{self, fill_response::Result as Outcome};

pub(super) async fn fill(
    engine: &Engine,
    call: Call<v1::FillRequest>,
) -> Result<v1::FillResponse, Status> {
    let Call {
        timeout,
        mut request,
    } = call;
    let deadline = Deadline::of(timeout, engine, limits::DEADLINE_DEFAULT)?;
    let token = token(&request.lease_token);
    // The limits are those of the namespace for whose key the lease is.
    let key = token.as_ref().ok().and_then(|token| engine.leased(*token));
    let namespace = key.as_ref().map(|key| key.namespace());
    let allowed = Allowed::of(engine, namespace);
    let default = Namespace::new("").ok();
    let mut wrong = Violations::default();
    let of = Dependent {
        // Of a lease that is not known here nothing is stored.
        namespace: namespace.or(default.as_ref()),
        key: key.as_ref().map_or("", |key| key.name()),
    };
    let entry = wrong.entry(&mut request, &allowed, &of);
    let entry = wrong.finish(entry)?;
    let fill = Fill {
        token: token?,
        entry,
        deadline: deadline.at,
    };
    let answer = deadline.bound(engine.fill(fill)).await?;
    let result = match answer.result {
        FillOutcome::Stored(version) => Outcome::Stored(v1::Stored { version }),
        FillOutcome::Voided(why) => Outcome::Voided(encode::voided(why)),
    };
    Ok(v1::FillResponse {
        result: Some(result),
        position: answer.position.to_string(),
        degraded: encode::degraded(answer.degraded),
    })
}
