//! Get and BatchGet.
//!
//! A batch is all or nothing where errors are concerned, and one result per
//! key otherwise. Its position is the oldest of its reads: the one that is safe
//! to give to Set for any of its keys.

use super::convert::{self, Violations};
use super::deadline::Deadline;
use super::status;
use futures::future::try_join_all;
use tonic::{Request, Response, Status};
use unstale_engine::request::{Answer, Degraded, Found, Get};
use unstale_engine::{Engine, limits};
use unstale_proto::v1;

pub(super) async fn get(
    engine: &Engine,
    request: Request<v1::GetRequest>,
) -> Result<Response<v1::GetResponse>, Status> {
    let deadline = Deadline::of(request.metadata(), engine, limits::DEADLINE_DEFAULT)?;
    let request = request.into_inner();
    let mut wrong = Violations::default();
    let key = wrong.key(&request.namespace, &request.key);
    let min_position = wrong.position("min_position", &request.min_position);
    let key = wrong.finish(key)?;
    let deadline_at = deadline.at;
    let get = Get {
        key,
        min_position,
        deadline: deadline_at,
    };
    let answer = deadline.bound(engine.get(get)).await?;
    let result = match answer.result {
        Some(found) => v1::get_response::Result::Found(convert::entry(found)),
        None => v1::get_response::Result::Missing(v1::Missing {}),
    };
    Ok(Response::new(v1::GetResponse {
        result: Some(result),
        position: answer.position.to_string(),
        degraded: convert::degraded(answer.degraded),
    }))
}

pub(super) async fn batch_get(
    engine: &Engine,
    request: Request<v1::BatchGetRequest>,
) -> Result<Response<v1::BatchGetResponse>, Status> {
    let deadline = Deadline::of(request.metadata(), engine, limits::DEADLINE_DEFAULT)?;
    let request = request.into_inner();
    let mut wrong = Violations::default();
    let namespace = wrong.namespace(&request.namespace);
    let keys = wrong.keys(namespace.as_ref(), &request.keys);
    let min_position = wrong.position("min_position", &request.min_position);
    let keys = wrong.finish(keys)?;
    let before = engine.status().position;
    let reads = keys.into_iter().map(|key| {
        let deadline = deadline.at;
        engine.get(Get {
            key,
            min_position,
            deadline,
        })
    });
    let answers = deadline.bound(try_join_all(reads)).await?;
    let size = |answer: &Answer<Option<Found>>| {
        answer
            .result
            .as_ref()
            .map_or(0, |found| found.value.data.len())
    };
    if answers.iter().map(size).sum::<usize>() > limits::BATCH_BYTES {
        return Err(status::batch_too_large());
    }
    let oldest = answers
        .iter()
        .map(|a| a.position)
        .min_by_key(|p| p.sequence);
    let degraded = answers.iter().fold(Degraded::default(), |all, a| Degraded {
        remote: all.remote | a.degraded.remote,
        session: all.session | a.degraded.session,
    });
    let results = request.keys.into_iter().zip(answers);
    Ok(Response::new(v1::BatchGetResponse {
        results: results
            .map(|(key, answer)| result(key, answer.result))
            .collect(),
        position: oldest.unwrap_or(before).to_string(),
        degraded: convert::degraded(degraded),
    }))
}

fn result(key: String, found: Option<Found>) -> v1::BatchGetResult {
    let result = match found {
        Some(found) => v1::batch_get_result::Result::Found(convert::entry(found)),
        None => v1::batch_get_result::Result::Missing(v1::Missing {}),
    };
    v1::BatchGetResult {
        key,
        result: Some(result),
    }
}
