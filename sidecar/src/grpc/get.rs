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
use futures::future::BoxFuture;
use std::sync::Arc;
use std::time::Duration;
use tonic::Status;
use unstale_engine::key::Key;
use unstale_engine::position::Position;
use unstale_engine::request::{Answer, Etag, Get, GetMany, GetOutcome, Level};
use unstale_engine::{Engine, GetManyFar, limits};
use unstale_proto::v1::{
    self, batch_get_result::Result as BatchOutcome, get_response::Result as Outcome,
};

/// Most keys of a batch that are read at a time: what one batch can hold of
/// records it has no room for.
const TOGETHER: usize = 128;

/// What a call comes to without waiting, or the rest of it.
pub(super) enum Step<T> {
    Done(Result<T, Status>),
    Far(BoxFuture<'static, Result<T, Status>>),
}

impl<T> Step<T> {
    async fn ended(self) -> Result<T, Status> {
        match self {
            Self::Done(answer) => answer,
            Self::Far(answer) => answer.await,
        }
    }
}

/// The answer to a Get.
#[derive(Clone, Debug)]
pub(super) struct One {
    pub(super) answer: Answer<GetOutcome>,
    /// The etag that the caller gave.
    pub(super) held: String,
}

impl One {
    pub(super) fn message(self) -> v1::GetResponse {
        v1::GetResponse {
            result: Some(outcome(self.answer.result, self.held)),
            position: self.answer.position.to_string(),
            degraded: encode::degraded(self.answer.degraded),
        }
    }
}

pub(super) async fn get(
    engine: &Arc<Engine>,
    call: Call<v1::GetRequest>,
) -> Result<v1::GetResponse, Status> {
    one(engine, call).ended().await.map(One::message)
}

pub(super) fn one(engine: &Arc<Engine>, call: Call<v1::GetRequest>) -> Step<One> {
    let (get, held, deadline) = match decode(engine, call) {
        Ok(decoded) => decoded,
        Err(refused) => return Step::Done(Err(refused)),
    };
    match engine.get_near(get) {
        Ok(answer) => Step::Done(Ok(One { answer, held })),
        Err(far) => {
            let engine = engine.clone();
            Step::Far(Box::pin(async move {
                let answer = deadline.bound(engine.get_far(far)).await?;
                Ok(One { answer, held })
            }))
        }
    }
}

fn decode(engine: &Engine, call: Call<v1::GetRequest>) -> Result<(Get, String, Deadline), Status> {
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
    Ok((get, request.if_none_match, deadline))
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

/// The answer to a BatchGet.
pub(super) struct Many {
    pub(super) keys: Vec<String>,
    pub(super) outcomes: Vec<GetOutcome>,
    pub(super) position: String,
    pub(super) degraded: Option<v1::Degraded>,
}

impl Many {
    pub(super) fn message(self) -> v1::BatchGetResponse {
        let results = self.keys.into_iter().zip(self.outcomes);
        let results = results.map(|(key, outcome)| v1::BatchGetResult {
            key,
            result: Some(batch_outcome(outcome)),
        });
        v1::BatchGetResponse {
            results: results.collect(),
            position: self.position,
            degraded: self.degraded,
        }
    }
}

pub(super) async fn batch_get(
    engine: &Arc<Engine>,
    call: Call<v1::BatchGetRequest>,
) -> Result<v1::BatchGetResponse, Status> {
    many(engine, call).ended().await.map(Many::message)
}

pub(super) fn many(engine: &Arc<Engine>, call: Call<v1::BatchGetRequest>) -> Step<Many> {
    let mut reading = match Reading::begin(engine, call) {
        Ok(reading) => reading,
        Err(refused) => return Step::Done(Err(refused)),
    };
    while let Some(many) = reading.next() {
        match engine.get_many_near(many) {
            Ok(answer) => reading.add(answer),
            Err(far) => return Step::Far(Box::pin(reading.finish(engine.clone(), far))),
        }
    }
    Step::Done(Ok(reading.answer()))
}

/// A BatchGet under way.
struct Reading {
    names: Vec<String>,
    /// Those that were not read yet.
    rest: Vec<Key>,
    demand: Demand,
    deadline: Deadline,
    batch: Batch,
    outcomes: Vec<GetOutcome>,
}

impl Reading {
    fn begin(engine: &Engine, call: Call<v1::BatchGetRequest>) -> Result<Self, Status> {
        let Call { timeout, request } = call;
        let deadline = Deadline::of(timeout, engine, limits::DEADLINE_DEFAULT)?;
        let mut wrong = Violations::default();
        let namespace = wrong.namespace(&request.namespace);
        let keys = wrong.keys(namespace.as_ref(), &request.keys, limits::BATCH_KEYS);
        let demand = wrong.demand(&request.min_position, request.level, request.max_staleness);
        let (keys, demand) = wrong.finish(keys.zip(demand))?;
        Ok(Self {
            names: request.keys,
            rest: keys,
            demand,
            deadline,
            batch: Batch::new(engine),
            outcomes: Vec::new(),
        })
    }

    /// One after the other, so that who is left out is no matter of luck.
    fn next(&mut self) -> Option<GetMany> {
        let later = self.rest.split_off(self.rest.len().min(TOGETHER));
        let keys = std::mem::replace(&mut self.rest, later);
        (!keys.is_empty()).then_some(GetMany {
            keys,
            min_position: self.demand.min_position,
            level: self.demand.level,
            max_staleness: self.demand.max_staleness,
            deadline: self.deadline.at,
        })
    }

    fn add(&mut self, answer: Answer<Vec<GetOutcome>>) {
        self.batch.add(&answer);
        let mut outcomes = answer.result;
        for outcome in &mut outcomes {
            if outcome
                .found()
                .is_some_and(|found| !self.batch.takes(found))
            {
                *outcome = GetOutcome::Missing;
            }
        }
        match self.outcomes.is_empty() {
            true => self.outcomes = outcomes,
            false => self.outcomes.append(&mut outcomes),
        }
    }

    async fn finish(mut self, engine: Arc<Engine>, far: GetManyFar) -> Result<Many, Status> {
        let deadline = self.deadline;
        let read = async {
            self.add(engine.get_many_far(far).await?);
            while let Some(many) = self.next() {
                self.add(engine.get_many(many).await?);
            }
            Ok(())
        };
        deadline.bound(read).await?;
        Ok(self.answer())
    }

    fn answer(self) -> Many {
        Many {
            keys: self.names,
            outcomes: self.outcomes,
            position: self.batch.position(),
            degraded: self.batch.degraded(),
        }
    }
}

fn batch_outcome(outcome: GetOutcome) -> BatchOutcome {
    match outcome {
        GetOutcome::Found(found) | GetOutcome::NotModified(found) => match encode::cached(found) {
            Cached::Entry(entry) => BatchOutcome::Found(entry),
            Cached::Negative(negative) => BatchOutcome::Negative(negative),
        },
        GetOutcome::Missing => BatchOutcome::Missing(v1::Missing {}),
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
