//! CompareAndSet.

use super::convert::{self, EntryParts, Violations};
use super::deadline::{Deadline, default_of};
use bytes::Bytes;
use tonic::{Request, Response, Status};
use unstale_engine::Engine;
use unstale_engine::request::{Ack, CasOutcome, CompareAndSet, Expected};
use unstale_proto::v1::{
    self, compare_and_set_request as given, compare_and_set_response::Result as Outcome,
};

pub(super) async fn compare_and_set(
    engine: &Engine,
    request: Request<v1::CompareAndSetRequest>,
) -> Result<Response<v1::CompareAndSetResponse>, Status> {
    let (metadata, _, request) = request.into_parts();
    let mut wrong = Violations::default();
    let key = wrong.key(&request.namespace, &request.key);
    let expected = expected(&mut wrong, request.expected);
    let entry = wrong.entry(EntryParts {
        value: request.value.map(|value| match value {
            given::Value::Data(data) => (data, false),
            given::Value::Text(text) => (Bytes::from(text), true),
        }),
        content_type: &request.content_type,
        ttl: request.ttl,
        tags: &request.tags,
    });
    let ack = wrong.ack(request.ack);
    if ack == Some(Ack::Local) {
        wrong.add(
            "ack",
            "must be LOG or FLEET: only the log can decide a comparison",
        );
    }
    let default = default_of(ack.unwrap_or(Ack::Log), engine);
    let deadline = Deadline::of(&metadata, engine, default)?;
    let parts = key.zip(expected).zip(entry).zip(ack);
    let (((key, expected), entry), ack) = wrong.finish(parts)?;
    let cas = CompareAndSet {
        key,
        expected,
        entry,
        ack,
        deadline: deadline.at,
    };
    let answer = deadline.bound(engine.compare_and_set(cas)).await?;
    Ok(Response::new(v1::CompareAndSetResponse {
        result: Some(outcome(answer.result)),
        position: answer.position.to_string(),
        degraded: convert::degraded(answer.degraded),
    }))
}

fn expected(wrong: &mut Violations, expected: Option<given::Expected>) -> Option<Expected> {
    match expected {
        Some(given::Expected::Version(version)) if !version.is_empty() => {
            Some(Expected::Version(version))
        }
        Some(given::Expected::Absent(v1::Absent {})) => Some(Expected::Absent),
        Some(given::Expected::Version(_)) => {
            wrong.add(
                "version",
                "must not be empty; to expect nothing, give absent",
            );
            None
        }
        None => {
            wrong.add("expected", "is missing: give version or absent");
            None
        }
    }
}

fn outcome(outcome: CasOutcome) -> Outcome {
    match outcome {
        CasOutcome::Stored(version) => Outcome::Stored(v1::Stored { version }),
        CasOutcome::Conflict(current) => {
            let current = match current {
                Some(found) => v1::conflict::Current::Found(convert::entry(found)),
                None => v1::conflict::Current::Missing(v1::Missing {}),
            };
            Outcome::Conflict(v1::Conflict {
                current: Some(current),
            })
        }
    }
}
