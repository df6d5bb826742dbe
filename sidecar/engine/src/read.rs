//! Get: waits for what the call demands, looks the key up, and answers.

use crate::clock::Moment;
use crate::coherence::{ASK_AGAIN, Bug, Progress};
use crate::engine::Engine;
use crate::error::Error;
use crate::key::Key;
use crate::look::{self, Lookup, Stale};
use crate::policy::{OnSessionLoss, stale};
use crate::position::Position;
use crate::request::{
    Answer, Degraded, Demand, Etag, Found, Get, GetOutcome, Level, Payload, Tier,
};

/// A Get that L1 alone does not answer.
pub struct GetFar {
    get: Get,
    looked: Looked,
}

/// Whether L1 was looked at.
enum Looked {
    /// Something has to be waited for before.
    NotYet,
    /// The remote tier has to be asked; this may be served stale.
    Ask(Option<Box<Stale>>),
}

/// Answers at once if nothing has to be waited for: without a future, which
/// would cost a hit more than all the rest of it.
pub(crate) fn get_near(engine: &Engine, get: Get) -> Result<Answer<GetOutcome>, Box<GetFar>> {
    let waits = get.min_position.is_some()
        || get.max_staleness.is_some()
        || get.level == Level::Strong
        || plants(engine);
    if waits {
        let looked = Looked::NotYet;
        return Err(Box::new(GetFar { get, looked }));
    }
    let demand = get.demand();
    let wants_stale = || wants_stale(engine, &get.key, &demand);
    match look::look_near(engine, &get.key, wants_stale) {
        Ok(lookup) => {
            let mut degraded = Degraded::default();
            let found = serve(engine, &get.key, &demand, lookup, &mut degraded);
            Ok(answer(engine, &get, found, degraded))
        }
        Err(held) => {
            let looked = Looked::Ask(held);
            Err(Box::new(GetFar { get, looked }))
        }
    }
}

/// Waits for the rest.
pub(crate) async fn get_far(
    engine: &Engine,
    far: Box<GetFar>,
) -> Result<Answer<GetOutcome>, Error> {
    let GetFar { get, looked } = *far;
    let demand = get.demand();
    let mut degraded = Degraded::default();
    let lookup = match looked {
        Looked::Ask(held) => look::ask(engine, &get.key, held, get.deadline).await,
        Looked::NotYet => {
            if let Some(position) = get.min_position {
                reach(engine, position, get.deadline).await?;
            }
            if !is_current(engine, &demand).await {
                degraded.session = true;
                return Ok(answer(engine, &get, None, degraded));
            }
            if let Some(found) = planted(engine, &get.key, &demand) {
                return Ok(answer(engine, &get, Some(found), degraded));
            }
            let wants_stale = || wants_stale(engine, &get.key, &demand);
            look::look_up(engine, &get.key, wants_stale, get.deadline).await
        }
    };
    let found = serve(engine, &get.key, &demand, lookup, &mut degraded);
    Ok(answer(engine, &get, found, degraded))
}

fn answer(
    engine: &Engine,
    get: &Get,
    found: Option<Found>,
    degraded: Degraded,
) -> Answer<GetOutcome> {
    let found_at = found.as_ref().map(|found| found.position);
    Answer {
        result: outcome(engine, found, get.if_none_match),
        // Who found nothing reads the origin after this.
        position: found_at.unwrap_or_else(|| engine.position()),
        degraded,
    }
}

/// Waits until this pod is as current as the call demands. False: it cannot be
/// in time, and so nothing may be called current.
pub(crate) async fn is_current(engine: &Engine, demand: &Demand) -> bool {
    let barred = !engine.options.bugs.has(Bug::StrongWithoutBarrier);
    let strong = demand.level == Level::Strong && barred;
    let too_old = |most| {
        let known = engine.ask(|machine, now| machine.staleness(now));
        known.is_none_or(|staleness| staleness >= most)
    };
    if !strong && !demand.max_staleness.is_some_and(too_old) {
        return true;
    }
    // With the log away the beat would not come back: say so at once.
    let away = engine.ask(|machine, _| machine.log_error().is_some());
    !away && Box::pin(barrier(engine, demand.deadline)).await
}

/// Whether what is not fresh is of use to this read.
pub(crate) fn wants_stale(engine: &Engine, key: &Key, demand: &Demand) -> bool {
    let policy = || engine.policy(key.namespace());
    demand.level == Level::StaleOk || policy().on_session_loss == OnSessionLoss::ServeStale
}

/// What is answered of what was found, and what was not available for it.
pub(crate) fn serve(
    engine: &Engine,
    key: &Key,
    demand: &Demand,
    lookup: Lookup,
    degraded: &mut Degraded,
) -> Option<Found> {
    let missed = match lookup {
        Lookup::Hit(found) => return Some(found),
        Lookup::Miss(missed) => missed,
    };
    degraded.remote |= missed.remains.is_err();
    degraded.session |= !engine.ask(|machine, now| machine.session_fresh(now));
    let policy = engine.policy(key.namespace());
    let may = |stale: &Stale| stale::may_serve(demand.level, &policy, stale.reason);
    let stale = missed.stale.filter(may)?;
    Some(look::found_stale(engine, &stale))
}

/// Planted bugs only: answers from L1 without judging.
pub(crate) fn planted(engine: &Engine, key: &Key, demand: &Demand) -> Option<Found> {
    if !plants(engine) {
        return None;
    }
    let bugs = engine.options.bugs;
    let held = engine.l1.get(key.hash())?;
    let negative = bugs.has(Bug::NegativeNotJudged) && held.payload == Payload::NotFound;
    let held_already =
        bugs.has(Bug::NotModifiedNotJudged) && demand.if_none_match == Some(held.etag);
    (negative || held_already).then(|| look::found_now(engine, &held, Tier::L1))
}

/// The same for many; nothing without such a bug.
pub(crate) fn planted_all(engine: &Engine, keys: &[Key], demand: &Demand) -> Vec<Option<Found>> {
    match plants(engine) {
        true => keys
            .iter()
            .map(|key| planted(engine, key, demand))
            .collect(),
        false => Vec::new(),
    }
}

/// Whether such a bug is planted.
pub(crate) fn plants(engine: &Engine) -> bool {
    let bugs = engine.options.bugs;
    bugs.has(Bug::NegativeNotJudged) || bugs.has(Bug::NotModifiedNotJudged)
}

pub(crate) fn outcome(engine: &Engine, found: Option<Found>, held: Option<Etag>) -> GetOutcome {
    let Some(found) = found else {
        engine.meter.miss();
        return GetOutcome::Missing;
    };
    if found.payload == Payload::NotFound {
        engine.meter.hit_negative();
        return GetOutcome::Found(found);
    }
    if held == Some(found.etag) {
        engine.meter.found_not_modified();
        return GetOutcome::NotModified(found);
    }
    GetOutcome::Found(found)
}

/// Waits until an own Beat appended from now on was processed here: then all
/// that had been appended before was, too. False: not before the deadline.
pub(crate) async fn barrier(engine: &Engine, deadline: Moment) -> bool {
    let number = engine.with(|machine, now| machine.barrier(now));
    engine.background.wake();
    let mut progress = engine.progress.subscribe();
    let reached = progress.wait_for(|progress| progress.echoed >= number);
    tokio::select! {
        biased;
        reached = reached => reached.is_ok(),
        () = engine.ports.clock.sleep_until(deadline) => false,
        // A pod that leaves has no beats any more.
        () = engine.closed() => false,
    }
}

/// Waits until nothing can be missing up to a `position` that was processed
/// here. False: its epoch ended meanwhile, or the pod left.
pub(crate) async fn verified(
    engine: &Engine,
    position: Position,
    deadline: Moment,
) -> Result<bool, Error> {
    let mut progress = engine.progress.subscribe();
    let settles = |p: &Progress| p.epoch != Some(position.epoch) || p.verified >= position.sequence;
    loop {
        let seen = *progress.borrow_and_update();
        if settles(&seen) {
            return Ok(seen.epoch == Some(position.epoch));
        }
        engine.with(|machine, now| machine.verify(now));
        let again = engine.now().plus(ASK_AGAIN);
        tokio::select! {
            biased;
            settled = progress.wait_for(settles) => if settled.is_err() {
                return Ok(false);
            },
            () = engine.closed() => return Ok(false),
            () = engine.ports.clock.sleep_until(deadline.min(again)) => {
                if engine.now() >= deadline {
                    return Err(Error::DeadlineExceeded);
                }
            }
        }
    }
}

/// Waits until `position` was processed here. A position that any pod had
/// handed out is in the log, so what a barrier does not reach never comes.
pub(crate) async fn reach(
    engine: &Engine,
    position: Position,
    deadline: Moment,
) -> Result<(), Error> {
    let mut progress = engine.progress.subscribe();
    let has = |p: &Progress| p.epoch == Some(position.epoch) && p.verified >= position.sequence;
    let now = *progress.borrow_and_update();
    if has(&now) {
        return Ok(());
    }
    if now.processed >= position.sequence {
        engine.with(|machine, now| machine.verify(now));
    }
    let reached = progress.wait_for(has);
    tokio::select! {
        biased;
        reached = reached => reached.map(|_| ()).map_err(|_| Error::PositionNotReached),
        _ = barrier(engine, deadline) => {
            has(&engine.progress.borrow()).then_some(()).ok_or(Error::PositionNotReached)
        }
    }
}
