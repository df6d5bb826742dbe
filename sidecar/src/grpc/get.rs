//! Get and BatchGet.
//!
//! A batch is all or nothing where errors are concerned, and one result per key
//! otherwise. A value for which its answer has no room is `missing`, and the
//! answer says so (ANSWER_TOO_LARGE): a caller that takes it for a miss is
//! slower, never wrong.

use super::batch::Batch;
use super::deadline::{Call, Deadline};
use super::encode::{self, Cached};
use super::violations::Violations;
use std::time::Duration;
use tonic::Status;
use unstale_engine::position::Position;
use unstale_engine::request::{Etag, Get, GetMany, GetOutcome, Level};
use unstale_engine::{Engine, limits};
use unstale_proto::v1::{
    self, batch_get_result::Result as BatchOutcome, get_response::Result as Outcome,
};

/// Most keys of a batch that are read at a time: what one batch can hold of
/// records it has no room for.
const TOGETHER: usize = 128;

pub(super) async fn get(
    engine: &Engine,
    call: Call<v1::GetRequest>,
) -> Result<v1::GetResponse, Status> {
    let Call { timeout, request } = call;
    let deadline = Deadline::of(timeout, engine, limits::DEADLINE_DEFAULT)?;
    let mut wrong = Violations::default();
    let namespace = wrong.namespace(&request.namespace);
    let key = wrong.key(namespace.as_ref(), &request.key);
    let demand = wrong.demand(&request.min_position, request.level, request.max_staleness);
    let (key, demand) = wrong.finish(key.zip(demand))?;
    let get = Get {
        key,
        min_position: demand.min_position,
        level: demand.level,
        max_staleness: demand.max_staleness,
        if_none_match: etag(&request.if_none_match),
        deadline: deadline.at,
    };
    let answer = deadline.bound(engine.get(get)).await?;
    Ok(v1::GetResponse {
        result: Some(outcome(answer.result, request.if_none_match)),
        position: answer.position.to_string(),
        degraded: encode::degraded(answer.degraded),
    })
}

fn outcome(outcome: GetOutcome, held: String) -> Outcome {
    match outcome {
        GetOutcome::Missing => Outcome::Missing(v1::Missing {}),
        GetOutcome::NotModified(found) => Outcome::NotModified(encode::not_modified(found, held)),
        GetOutcome::Found(found) => match encode::cached(found) {
            Cached::Entry(entry) => Outcome::Found(entry),
            Cached::Negative(negative) => Outcome::Negative(negative),
        },
    }
}

pub(super) async fn batch_get(
    engine: &Engine,
    call: Call<v1::BatchGetRequest>,
) -> Result<v1::BatchGetResponse, Status> {
    let Call { timeout, request } = call;
    let deadline = Deadline::of(timeout, engine, limits::DEADLINE_DEFAULT)?;
    let mut wrong = Violations::default();
    let namespace = wrong.namespace(&request.namespace);
    let keys = wrong.keys(namespace.as_ref(), &request.keys, limits::BATCH_KEYS);
    let demand = wrong.demand(&request.min_position, request.level, request.max_staleness);
    let (keys, demand) = wrong.finish(keys.zip(demand))?;
    let mut batch = Batch::new(engine);
    let read = async {
        let mut results = Vec::with_capacity(keys.len());
        // One after the other, so that who is left out is no matter of luck.
        for keys in keys.chunks(TOGETHER) {
            let many = GetMany {
                keys: keys.to_vec(),
                min_position: demand.min_position,
                level: demand.level,
                max_staleness: demand.max_staleness,
                deadline: deadline.at,
            };
            let answer = engine.get_many(many).await?;
            batch.add(&answer);
            let outcomes = answer.result.into_iter();
            results.extend(outcomes.map(|outcome| batch_outcome(&mut batch, outcome)));
        }
        Ok(results)
    };
    let results = deadline.bound(read).await?;
    let results = request.keys.into_iter().zip(results);
    let results = results.map(|(key, result)| v1::BatchGetResult {
        key,
        result: Some(result),
    });
    Ok(v1::BatchGetResponse {
        results: results.collect(),
        position: batch.position(),
        degraded: batch.degraded(),
    })
}

fn batch_outcome(batch: &mut Batch, outcome: GetOutcome) -> BatchOutcome {
    match outcome {
        GetOutcome::Found(found) | GetOutcome::NotModified(found) if batch.takes(&found) => {
            match encode::cached(found) {
                Cached::Entry(entry) => BatchOutcome::Found(entry),
                Cached::Negative(negative) => BatchOutcome::Negative(negative),
            }
        }
        GetOutcome::Found(_) | GetOutcome::NotModified(_) | GetOutcome::Missing => {
            BatchOutcome::Missing(v1::Missing {})
        }
    }
}

/// How current a read demands its answer to be.
struct Demand {
    min_position: Option<Position>,
    level: Level,
    max_staleness: Option<Duration>,
}

impl Violations {
    fn demand(
        &mut self,
        min_position: &str,
        level: i32,
        max_staleness: Option<prost_types::Duration>,
    ) -> Option<Demand> {
        let min_position = self.position("min_position", min_position);
        let level = self.level(level);
        let bounds = (limits::TTL_MIN, limits::TTL_MAX);
        let staleness = self.duration("max_staleness", max_staleness, bounds);
        if max_staleness.is_some() && level.is_some_and(|level| level != Level::Bounded) {
            self.add("max_staleness", "goes with level BOUNDED only");
        }
        Some(Demand {
            min_position,
            level: level?,
            max_staleness: staleness,
        })
    }
}

/// An etag from its text, 32 hex digits. Any other text, none included, is the
/// etag of nothing: no answer depends on it.
pub(super) fn etag(text: &str) -> Option<Etag> {
    let good = text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
    let bits = good.then(|| u128::from_str_radix(text, 16).ok());
    bits.flatten().map(Etag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_etag_survives_its_text_form_and_other_text_is_the_etag_of_nothing() {
        let known = Etag(0xabc);
        assert_eq!(etag(&encode::etag(known)), Some(known));
        for text in ["", "*", "abc", &"+".repeat(32), &format!("\"{:032x}\"", 1)] {
            assert_eq!(etag(text), None, "{text}");
        }
    }

    #[test]
    fn a_bound_on_staleness_goes_with_a_bounded_read_only() {
        let second = Some(prost_types::Duration {
            seconds: 1,
            nanos: 0,
        });
        for (level, good) in [(0, true), (1, true), (2, false), (3, false)] {
            let mut wrong = Violations::default();
            let demand = wrong.demand("", level, second);
            assert_eq!(wrong.finish(demand).is_ok(), good, "{level}");
        }
    }
}
