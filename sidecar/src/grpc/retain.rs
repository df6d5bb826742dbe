//! Retain.

use super::deadline::{Call, Deadline};
use super::encode;
use super::violations::Violations;
use tonic::Status;
use unstale_engine::clock::Moment;
use unstale_engine::request::{Here, Retain, Retained};
use unstale_engine::{Engine, limits};
use unstale_proto::v1;
use unstale_proto::v1::retain_response::Here as Told;

pub(super) async fn retain(
    engine: &Engine,
    call: Call<v1::RetainRequest>,
) -> Result<v1::RetainResponse, Status> {
    let Call { timeout, request } = call;
    let deadline = Deadline::of(timeout, engine, limits::DEADLINE_DEFAULT)?;
    let mut wrong = Violations::default();
    let retain = wrong.retain(&request, deadline.at);
    let retain = wrong.finish(retain)?;
    let retained = deadline.bound(engine.retain(retain)).await?;
    Ok(response(retained))
}

impl Violations {
    fn retain(&mut self, request: &v1::RetainRequest, deadline: Moment) -> Option<Retain> {
        let namespace = self.namespace(&request.namespace);
        let key = self.key(namespace.as_ref(), &request.key);
        let owner = self.owner(&request.owner);
        let bounds = (limits::REFERENCE_TERM_MIN, limits::REFERENCE_TERM_MAX);
        let term = self.duration("term", request.term, bounds);
        Some(Retain {
            key: key?,
            owner: owner?,
            term,
            drop_at_zero: request.drop_at_zero.is_some(),
            deadline,
        })
    }
}

fn response(retained: Retained) -> v1::RetainResponse {
    let here = match retained.here {
        Here::Pinned => Told::Pinned(v1::Pinned {}),
        Here::NotCached => not_pinned(v1::NotPinnedReason::NotCached),
        Here::NoRoom => not_pinned(v1::NotPinnedReason::NoRoom),
    };
    v1::RetainResponse {
        references: encode::count(retained.references),
        term: Some(encode::duration(retained.term)),
        here: Some(here),
    }
}

fn not_pinned(reason: v1::NotPinnedReason) -> Told {
    Told::NotPinned(v1::NotPinned {
        reason: reason.into(),
    })
}
