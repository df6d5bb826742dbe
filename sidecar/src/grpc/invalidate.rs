//! Invalidate.

use super::deadline::{Call, Deadline, default_of};
use super::violations::Violations;
use super::{encode, traceparent};
use tonic::{Request, Status};
use unstale_engine::clock::Moment;
use unstale_engine::request::{Ack, Invalidate};
use unstale_engine::{Engine, limits};
use unstale_proto::v1;

/// A call by itself: its metadata may name its trace.
pub(super) async fn invalidate_alone(
    engine: &Engine,
    request: Request<v1::InvalidateRequest>,
) -> Result<v1::InvalidateResponse, Status> {
    let trace_id = traceparent::of_call(request.metadata());
    traced(engine, request.into(), trace_id).await
}

pub(super) async fn invalidate(
    engine: &Engine,
    call: Call<v1::InvalidateRequest>,
) -> Result<v1::InvalidateResponse, Status> {
    traced(engine, call, None).await
}

async fn traced(
    engine: &Engine,
    call: Call<v1::InvalidateRequest>,
    trace_id: Option<u128>,
) -> Result<v1::InvalidateResponse, Status> {
    let Call { timeout, request } = call;
    let mut wrong = Violations::default();
    let ack = wrong.ack(request.ack);
    let default = default_of(ack.unwrap_or(Ack::Log), engine);
    let deadline = Deadline::of(timeout, engine, default)?;
    let invalidate = wrong.invalidate(request, ack, deadline.at);
    let mut invalidate = wrong.finish(invalidate)?;
    invalidate.trace_id = invalidate.trace_id.or(trace_id);
    let done = deadline.bound(engine.invalidate(invalidate)).await?;
    Ok(v1::InvalidateResponse {
        position: done.position.map(|p| p.to_string()).unwrap_or_default(),
        acked: done.acked.into_iter().map(encode::session).collect(),
        lapsed: done.lapsed.into_iter().map(encode::session).collect(),
    })
}

impl Violations {
    fn invalidate(
        &mut self,
        request: v1::InvalidateRequest,
        ack: Option<Ack>,
        deadline: Moment,
    ) -> Option<Invalidate> {
        let namespace = self.namespace(&request.namespace);
        let keys = self.keys(namespace.as_ref(), &request.keys, limits::BATCH_KEYS);
        let tags = self.tags(&request.tags, limits::TAGS);
        let prefixes = self.prefixes(&request.prefixes);
        let mode = self.mode(request.mode);
        self.text("id", &request.id, limits::ID_BYTES);
        self.text("reason", &request.reason, limits::REASON_BYTES);
        let trace_id = self.traceparent(&request.traceparent);
        self.covers(&request);
        Some(Invalidate {
            namespace: namespace?,
            keys: keys?,
            tags: tags?,
            prefixes: prefixes?,
            all: request.all.is_some(),
            mode: mode?,
            min_source_version: request.min_source_version,
            ack: ack?,
            id: given(request.id),
            reason: given(request.reason),
            trace_id,
            deadline,
        })
    }

    /// Whether it names something, and nothing that contradicts it.
    fn covers(&mut self, request: &v1::InvalidateRequest) {
        let wide =
            !request.tags.is_empty() || !request.prefixes.is_empty() || request.all.is_some();
        if request.keys.is_empty() && !wide {
            self.add("keys", "is empty: give keys, tags, prefixes or all");
        }
        if request.min_source_version.is_some() && (request.keys.is_empty() || wide) {
            let what = "goes with keys only: it is the version of each of them";
            self.add("min_source_version", what);
        }
    }
}

fn given(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[track_caller]
    fn judged(request: v1::InvalidateRequest) -> bool {
        let mut wrong = Violations::default();
        let at = Moment::new(Duration::ZERO);
        let invalidate = wrong.invalidate(request, Some(Ack::Log), at);
        wrong.finish(invalidate).is_ok()
    }

    #[test]
    fn it_names_something_and_a_source_version_goes_with_keys_alone() {
        let nothing = v1::InvalidateRequest::default();
        let keys = v1::InvalidateRequest {
            keys: vec!["k".into()],
            ..nothing.clone()
        };
        let of_keys = v1::InvalidateRequest {
            min_source_version: Some(7),
            ..keys.clone()
        };
        let of_all = v1::InvalidateRequest {
            all: Some(v1::All {}),
            ..of_keys.clone()
        };
        let of_nothing = v1::InvalidateRequest {
            min_source_version: Some(7),
            ..nothing.clone()
        };
        let requests = [nothing, keys, of_keys, of_all, of_nothing];
        let expected = [false, true, true, false, false];
        assert_eq!(requests.map(judged), expected);
    }
}
