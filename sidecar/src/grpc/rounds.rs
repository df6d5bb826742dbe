//! A BatchLease under way, in rounds.
//!
//! The keys wait at the same time, until one of them is granted: a lease that is
//! held does not wait for others, so that its term is not spent in here and two
//! batches never wait for each other's keys. If the batch fails, what it was
//! granted goes back.

use super::batch::{Batch, CONCURRENT};
use super::delivery::Grants;
use super::lease::{Asked, outcome};
use futures::{StreamExt as _, stream};
use std::sync::Arc;
use std::time::Duration;
use unstale_engine::clock::Moment;
use unstale_engine::key::Key;
use unstale_engine::request::LeaseOutcome;
use unstale_engine::{Engine, Error, limits};
use unstale_proto::v1::lease_response::Result as Outcome;

/// The longest that a granted key of a batch waits for the others.
const ROUND: Duration = Duration::from_millis(250);
/// When to ask again for a hit that did not fit.
const AGAIN: Duration = Duration::from_millis(1);

/// A BatchLease under way: each round asks for the keys that wait still.
pub(super) struct Rounds {
    keys: Vec<Key>,
    asked: Asked,
    deadline: Moment,
    /// One result per key once [`Rounds::run`] is done.
    pub(super) outcomes: Vec<Option<Outcome>>,
    waiting: Vec<usize>,
    pub(super) batch: Batch,
    /// What was granted so far.
    pub(super) grants: Grants,
}

impl Rounds {
    pub(super) fn new(
        engine: &Arc<Engine>,
        keys: Vec<Key>,
        asked: Asked,
        deadline: Moment,
    ) -> Self {
        Self {
            outcomes: vec![None; keys.len()],
            waiting: (0..keys.len()).collect(),
            batch: Batch::new(engine),
            grants: Grants::new(engine),
            keys,
            asked,
            deadline,
        }
    }

    pub(super) async fn run(&mut self, engine: &Engine) -> Result<(), Error> {
        let until = self.deadline.min(engine.now().plus(self.asked.wait));
        self.asked.wait = Duration::ZERO;
        loop {
            self.round(engine).await?;
            let left = until.since(engine.now());
            if self.grants.any() || self.waiting.is_empty() || left.is_zero() {
                return Ok(());
            }
            self.asked.min_position = None; // reached
            self.asked.wait = left.min(ROUND);
        }
    }

    /// One error fails the batch, but only after every call has ended: a grant
    /// that nobody learns of would keep its key for a whole term.
    async fn round(&mut self, engine: &Engine) -> Result<(), Error> {
        let (asked, deadline) = (self.asked, self.deadline);
        let calls = std::mem::take(&mut self.waiting).into_iter().map(|i| {
            let lease = asked.of(self.keys[i].clone(), deadline, false);
            async move { (i, engine.lease(lease).await) }
        });
        // Those that only wait cost little.
        let at_once = if asked.wait.is_zero() {
            CONCURRENT
        } else {
            limits::BATCH_KEYS
        };
        let calls = stream::iter(calls.collect::<Vec<_>>());
        let mut answers = calls.buffer_unordered(at_once);
        let mut failed = Ok(());
        while let Some((i, answer)) = answers.next().await {
            let result = match answer {
                Ok(answer) => {
                    self.grants.hold(&answer.result);
                    self.batch.add(&answer);
                    self.fit(i, answer.result)
                }
                Err(Error::Overloaded { retry_after }) => LeaseOutcome::Busy(retry_after, None),
                Err(error) => {
                    failed = Err(error);
                    continue;
                }
            };
            self.outcomes[i] = Some(outcome(result));
        }
        failed
    }

    /// What there is room for. A hit without room is "ask again", not a miss:
    /// nobody is to load it.
    fn fit(&mut self, i: usize, outcome: LeaseOutcome) -> LeaseOutcome {
        let batch = &mut self.batch;
        match outcome {
            LeaseOutcome::Hit(found) if !batch.takes(&found) => LeaseOutcome::Busy(AGAIN, None),
            LeaseOutcome::Hit(found) => LeaseOutcome::Hit(found),
            LeaseOutcome::Granted(token, term, stale) => {
                LeaseOutcome::Granted(token, term, stale.filter(|found| batch.takes(found)))
            }
            LeaseOutcome::Busy(retry, None) => {
                self.waiting.push(i);
                LeaseOutcome::Busy(retry, None)
            }
            // As with one key: nobody waits who can be given something.
            LeaseOutcome::Busy(retry, Some(stale)) => {
                LeaseOutcome::Busy(retry, Some(stale).filter(|found| batch.takes(found)))
            }
        }
    }
}
