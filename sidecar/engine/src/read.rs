//! Get: waits for what the call demands, looks the key up, and answers.

use crate::clock::Moment;
use crate::coherence::{ASK_AGAIN, Bug, Progress};
use crate::engine::Engine;
use crate::error::Error;
use crate::look::{self, Lookup, Stale};
use crate::policy::{OnSessionLoss, stale};
use crate::position::Position;
use crate::request::{Answer, Degraded, Etag, Found, Get, GetOutcome, Level, Payload};

pub(crate) async fn get(engine: &Engine, get: Get) -> Result<Answer<GetOutcome>, Error> {
    if let Some(position) = get.min_position {
        Box::pin(reach(engine, position, get.deadline)).await?;
    }
    let mut degraded = Degraded::default();
    let found = if is_current(engine, &get).await {
        find(engine, &get, &mut degraded).await
    } else {
        degraded.session = true;
        None
    };
    let found_at = found.as_ref().map(|found| found.position);
    Ok(Answer {
        result: outcome(engine, found, get.if_none_match),
        // Who found nothing reads the origin after this.
        position: found_at.unwrap_or_else(|| engine.position()),
        degraded,
    })
}

/// Waits until this pod is as current as the call demands. False: it cannot be
/// in time, and so nothing may be called current.
pub(crate) async fn is_current(engine: &Engine, get: &Get) -> bool {
    let strong = get.level == Level::Strong && !engine.options.bugs.has(Bug::StrongWithoutBarrier);
    let known = engine.ask(|machine, now| machine.staleness(now));
    let too_old = |most| known.is_none_or(|staleness| staleness >= most);
    if !strong && !get.max_staleness.is_some_and(too_old) {
        return true;
    }
    // With the log away the beat would not come back: say so at once.
    let away = engine.ask(|machine, _| machine.log_error().is_some());
    !away && Box::pin(barrier(engine, get.deadline)).await
}

async fn find(engine: &Engine, get: &Get, degraded: &mut Degraded) -> Option<Found> {
    if let Some(found) = planted(engine, get) {
        return Some(found);
    }
    let wants_stale = || wants_stale(engine, get);
    let lookup = look::look_up(engine, &get.key, wants_stale, get.deadline).await;
    serve(engine, get, lookup, degraded)
}

/// Whether what is not fresh is of use to this read.
pub(crate) fn wants_stale(engine: &Engine, get: &Get) -> bool {
    let policy = || engine.policy(get.key.namespace());
    get.level == Level::StaleOk || policy().on_session_loss == OnSessionLoss::ServeStale
}

/// What is answered of what was found, and what was not available for it.
pub(crate) fn serve(
    engine: &Engine,
    get: &Get,
    lookup: Lookup,
    degraded: &mut Degraded,
) -> Option<Found> {
    let missed = match lookup {
        Lookup::Hit(found) => return Some(found),
        Lookup::Miss(missed) => missed,
    };
    degraded.remote |= missed.remains.is_err();
    degraded.session |= !engine.ask(|machine, now| machine.session_fresh(now));
    let policy = engine.policy(get.key.namespace());
    let may = |stale: &Stale| stale::may_serve(get.level, &policy, stale.reason);
    let stale = missed.stale.filter(may)?;
    Some(look::found_stale(engine, &stale))
}

/// Planted bugs only: answers from L1 without judging.
pub(crate) fn planted(engine: &Engine, get: &Get) -> Option<Found> {
    let bugs = engine.options.bugs;
    if !bugs.has(Bug::NegativeNotJudged) && !bugs.has(Bug::NotModifiedNotJudged) {
        return None;
    }
    let held = engine.l1.get(get.key.hash())?;
    let negative = bugs.has(Bug::NegativeNotJudged) && held.payload == Payload::NotFound;
    let held_already = bugs.has(Bug::NotModifiedNotJudged) && get.if_none_match == Some(held.etag);
    let tier = crate::request::Tier::L1;
    (negative || held_already).then(|| look::found(engine, &held, tier, engine.position()))
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
