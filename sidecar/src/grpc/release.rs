//! Release.

use super::deadline::{Call, Deadline};
use super::encode;
use super::violations::Violations;
use tonic::Status;
use unstale_engine::clock::Moment;
use unstale_engine::request::{Release, Released};
use unstale_engine::{Engine, limits};
use unstale_proto::v1;
use unstale_proto::v1::release_response::Result as Told;

pub(super) async fn release(
    engine: &Engine,
    call: Call<v1::ReleaseRequest>,
) -> Result<v1::ReleaseResponse, Status> {
    let Call { timeout, request } = call;
    let deadline = Deadline::of(timeout, engine, limits::DEADLINE_DEFAULT)?;
    let mut wrong = Violations::default();
    let release = wrong.release(&request, deadline.at);
    let release = wrong.finish(release)?;
    let released = deadline.bound(engine.release(release)).await?;
    let result = match released {
        Some(released) => Told::Released(response(released)),
        None => Told::NotRetained(v1::NotRetained {}),
    };
    Ok(v1::ReleaseResponse {
        result: Some(result),
    })
}

impl Violations {
    fn release(&mut self, request: &v1::ReleaseRequest, deadline: Moment) -> Option<Release> {
        let namespace = self.namespace(&request.namespace);
        let key = self.key(namespace.as_ref(), &request.key);
        let owner = self.owner(&request.owner);
        Some(Release {
            key: key?,
            owner: owner?,
            deadline,
        })
    }
}

fn response(released: Released) -> v1::Released {
    let dropped = released.dropped.map(|position| position.to_string());
    v1::Released {
        references: Some(encode::count(released.references)),
        dropped_position: dropped.unwrap_or_default(),
    }
}
