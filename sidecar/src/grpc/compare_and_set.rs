//! CompareAndSet.

use super::deadline::{Call, Deadline, default_of};
use super::depends::Dependent;
use super::encode::{self, Cached};
use super::get::etag;
use super::storing::Allowed;
use super::violations::Violations;
use tonic::Status;
use unstale_engine::Engine;
use unstale_engine::request::{Ack, CasOutcome, CompareAndSet, Expected};
use unstale_proto::v1::{
    self, compare_and_set_request as given, compare_and_set_response::Result as Outcome,
};

pub(super) async fn compare_and_set(
    engine: &Engine,
    call: Call<v1::CompareAndSetRequest>,
) -> Result<v1::CompareAndSetResponse, Status> {
    let Call {
        timeout,
        mut request,
    } = call;
    let mut wrong = Violations::default();
    let namespace = wrong.namespace(&request.namespace);
    let key = wrong.key(namespace.as_ref(), &request.key);
    let expected = wrong.expected(request.expected.take());
    let allowed = Allowed::of(engine, namespace.as_ref());
    let name = std::mem::take(&mut request.key);
    let of = Dependent {
        namespace: namespace.as_ref(),
        key: &name,
    };
    let entry = wrong.entry(&mut request, &allowed, &of);
    let ack = wrong.ack(request.ack);
    if ack == Some(Ack::Local) {
        let what = "must be LOG or FLEET: only the log can decide a comparison";
        wrong.add("ack", what);
    }
    let default = default_of(ack.unwrap_or(Ack::Log), engine);
    let deadline = Deadline::of(timeout, engine, default)?;
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
    Ok(v1::CompareAndSetResponse {
        result: Some(outcome(answer.result)),
        position: answer.position.to_string(),
        degraded: encode::degraded(answer.degraded),
    })
}

impl Violations {
    fn expected(&mut self, expected: Option<given::Expected>) -> Option<Expected> {
        let field = match expected {
            Some(given::Expected::Absent(v1::Absent {})) => return Some(Expected::Absent),
            Some(given::Expected::Version(version)) if !version.is_empty() => {
                return Some(Expected::Version(version));
            }
            Some(given::Expected::Etag(text)) if !text.is_empty() => {
                // What is no etag is the etag of nothing: as a version that
                // no entry has, it conflicts with whatever is there.
                let nothing = || Expected::Version("not an etag".into());
                return Some(etag(&text).map_or_else(nothing, Expected::Etag));
            }
            Some(given::Expected::Version(_)) => "version",
            Some(given::Expected::Etag(_)) => "etag",
            None => {
                self.add("expected", "is missing: give version, etag or absent");
                return None;
            }
        };
        self.add(field, "must not be empty; to expect nothing, give absent");
        None
    }
}

fn outcome(outcome: CasOutcome) -> Outcome {
    let (why, current) = match outcome {
        CasOutcome::Stored(version) => return Outcome::Stored(v1::Stored { version }),
        CasOutcome::Conflict(why, current) => (why, current),
    };
    let current = match current.map(encode::cached) {
        None => v1::conflict::Current::Missing(v1::Missing {}),
        Some(Cached::Entry(entry)) => v1::conflict::Current::Found(entry),
        Some(Cached::Negative(negative)) => v1::conflict::Current::Negative(negative),
    };
    let (reason, min_source_version) = why.map(encode::why_not_stored).unwrap_or_default();
    Outcome::Conflict(v1::Conflict {
        current: Some(current),
        reason: reason.into(),
        min_source_version,
    })
}
