//! Set: decided when this pod processes its own Write record, then put where
//! nothing newer is. A Set of what is cached already needs no record.

use crate::append::{self, Logged, Outgoing};
use crate::clock::Moment;
use crate::coherence::record::{Body, RecordId, Write};
use crate::coherence::{Bug, Decision, Own, WriteCheck};
use crate::depends::looked_up;
use crate::engine::Engine;
use crate::entry::{self, Version};
use crate::error::Error;
use crate::key::Key;
use crate::log::{Subject, WRITE_SHARDS};
use crate::look::{self, Lookup};
use crate::position::Position;
use crate::read;
use crate::refresh;
use crate::request::*;
use crate::store::{self, Put};
use std::sync::Arc;

pub(crate) async fn set(engine: &Engine, mut set: Set) -> Result<Answer<SetOutcome>, Error> {
    if let Err(why) = looked_up!(engine, &set.key, &mut set.entry, set.deadline) {
        let why = why.of_write()?;
        return Box::pin(refused(engine, &set.key, why, set.deadline)).await;
    }
    if set.if_absent {
        return Box::pin(set_absent(engine, set)).await;
    }
    if let Some((version, at)) = refresh::refresh(engine, &set).await {
        let stored = SetOutcome::Stored(Some(version.to_string()));
        return Ok(answer_at(engine, Some(at), stored, Degraded::default()));
    }
    if let Some(why) = older(engine, &set.key, &set.entry) {
        return Box::pin(refused(engine, &set.key, why, set.deadline)).await;
    }
    let out = outgoing(engine, &set.key, &set.entry, set.position, set.ack, None);
    if set.ack == Ack::Local {
        return Box::pin(set_local(engine, set, out)).await;
    }
    let mut under_way = append::begin(engine, out, append::permit(engine)?)?;
    match under_way.finish(set.deadline).await? {
        Logged::Conflict if under_way.is_unanswered() => {
            let position = set.position.map(|_| engine.position());
            Box::pin(self::set(engine, Set { position, ..set })).await
        }
        Logged::Conflict => Err(Error::LogUnavailable(
            "an unconditional append was refused".into(),
        )),
        Logged::Decided(decision) => Box::pin(decided(engine, set, decision)).await,
    }
}

async fn decided(
    engine: &Engine,
    set: Set,
    decision: Decision,
) -> Result<Answer<SetOutcome>, Error> {
    let position = made_at(set.position, &set.entry);
    match confirmed(engine, decision, position, set.deadline).await? {
        Decision::Unknown => Err(Error::FleetUnknown),
        Decision::Accepted(at) => accepted(engine, set, at).await,
        Decision::Refused(why) => refused(engine, &set.key, why, set.deadline).await,
    }
}

/// A write was accepted because nothing between `position` and its own record
/// covers it. That holds once nothing can be missing in between: what the log
/// discarded before this pod read it may have covered the write. And what this
/// pod answered at a position may have been covered below it, until nothing can
/// be missing there: the write may be made of that answer.
pub(crate) async fn confirmed(
    engine: &Engine,
    decision: Decision,
    position: Option<Position>,
    deadline: Moment,
) -> Result<Decision, Error> {
    let (Decision::Accepted(at), Some(position)) = (&decision, position) else {
        return Ok(decision);
    };
    if engine.options.bugs.has(Bug::WriteNotConfirmed) {
        return Ok(decision);
    }
    if !read::verified(engine, *at, deadline).await? {
        return Ok(Decision::Unknown);
    }
    let unsound = engine.ask(|machine, _| machine.unsound());
    match position.sequence <= unsound {
        true => Ok(Decision::Refused(NotStored::PositionTooOld)),
        false => Ok(decision),
    }
}

/// The lower of the caller's position and that at which what the entry depends
/// on was judged.
pub(crate) fn made_at(given: Option<Position>, new: &NewEntry) -> Option<Position> {
    let both = given.into_iter().chain(new.depends_on.at());
    both.min_by_key(|position| position.sequence)
}

async fn accepted(engine: &Engine, set: Set, at: Position) -> Result<Answer<SetOutcome>, Error> {
    let (key, deadline) = (set.key, set.deadline);
    let (put, degraded) = store::store(engine, &key, set.entry, at, deadline).await;
    if let Put::OlderSourceVersion(least) = put {
        let why = NotStored::OlderSourceVersion(least);
        return refused(engine, &key, why, deadline).await;
    }
    if set.ack == Ack::Fleet {
        append::fleet(engine, at.sequence, deadline).await?;
    }
    let version = Version::Write(at).to_string();
    let stored = SetOutcome::Stored(Some(version));
    Ok(answer_at(engine, Some(at), stored, degraded))
}

async fn refused(
    engine: &Engine,
    key: &Key,
    why: NotStored,
    deadline: Moment,
) -> Result<Answer<SetOutcome>, Error> {
    if let NotStored::OlderSourceVersion(_) = why {
        engine.meter.older_source_version();
    }
    let current = current(engine, key, deadline).await;
    let found_at = current.as_ref().map(|found| found.position);
    let not_stored = SetOutcome::NotStored(why, current);
    let degraded = Degraded::default();
    Ok(answer_at(engine, found_at, not_stored, degraded))
}

/// `if_absent`: a comparison like any other.
async fn set_absent(engine: &Engine, set: Set) -> Result<Answer<SetOutcome>, Error> {
    if let Some(why) = older(engine, &set.key, &set.entry) {
        return refused(engine, &set.key, why, set.deadline).await;
    }
    let cas = CompareAndSet {
        key: set.key,
        expected: Expected::Absent,
        entry: set.entry,
        ack: set.ack,
        deadline: set.deadline,
    };
    let answer = crate::cas::compare_and_set(engine, cas).await?;
    let result = match answer.result {
        CasOutcome::Stored(version) => SetOutcome::Stored(Some(version)),
        CasOutcome::Conflict(why, current) => {
            SetOutcome::NotStored(why.unwrap_or(NotStored::Present), current)
        }
    };
    let Answer {
        position, degraded, ..
    } = answer;
    Ok(Answer {
        result,
        position,
        degraded,
    })
}

/// LOCAL: the record follows from the queue, which blocks when it is full.
async fn set_local(engine: &Engine, set: Set, out: Outgoing) -> Result<Answer<SetOutcome>, Error> {
    let permit = tokio::select! {
        biased;
        permit = engine.background.permit_wait() => permit,
        () = engine.ports.clock.sleep_until(set.deadline) => return Err(Error::DeadlineExceeded),
    };
    let mut under_way = append::begin(engine, out, permit)?;
    let owner = owner(engine);
    under_way.detach_then(move |decision| async move {
        let deadline = owner.now().plus(owner.options.remote_timeout * 4);
        let position = made_at(set.position, &set.entry);
        match confirmed(&owner, decision, position, deadline).await {
            Ok(Decision::Accepted(at)) => {
                store::store(&owner, &set.key, set.entry, at, deadline).await;
            }
            // Nobody waits for the answer: the record covers the key, and the
            // value is not stored.
            Ok(_) | Err(_) => owner.meter.local_dropped(),
        }
    });
    let stored = SetOutcome::Stored(None);
    Ok(answer_at(engine, None, stored, Degraded::default()))
}

/// Whether the log tells of a higher source version already: then nothing has
/// to be appended, and nothing newer made unreadable, to refuse the write.
pub(crate) fn older(engine: &Engine, key: &Key, new: &NewEntry) -> Option<NotStored> {
    let given = new.source_version?;
    let least = engine.ask(|machine, _| machine.least_source_version(key.hash()))?;
    (given < least).then_some(NotStored::OlderSourceVersion(least))
}

/// The Write record of an entry.
pub(crate) fn outgoing(
    engine: &Engine,
    key: &Key,
    new: &NewEntry,
    position: Option<Position>,
    ack: Ack,
    expect_last: Option<u64>,
) -> Outgoing {
    let delimiters = &engine.options.delimiters;
    let mut facts = entry::facts(key, &new.tags, Position::default(), delimiters);
    facts.source_version = new.source_version;
    facts.depends = new.depends_on.found().cloned();
    let write = Write {
        namespace: key.namespace().as_str().into(),
        key: key.name().into(),
        source_version: new.source_version,
        ack_wanted: ack == Ack::Fleet,
    };
    Outgoing {
        id: RecordId(engine.ports.random.bits()),
        body: Body::Write(write),
        reason: None,
        trace_id: None,
        subject: Subject::Writes(key.hash().shard(WRITE_SHARDS)),
        expect_last,
        own: Own {
            namespace: key.namespace().clone(),
            names: vec![key.hash()],
            prefixes: Vec::new(),
            all: false,
            mode: Mode::Hard,
            answered: ack == Ack::Local,
            check: Some(WriteCheck {
                facts,
                position,
                depends_at: new.depends_on.at(),
            }),
        },
    }
}

/// What is cached now, for an answer that says "not this".
pub(crate) async fn current(engine: &Engine, key: &Key, deadline: Moment) -> Option<Found> {
    match look::look_up(engine, key, || false, deadline).await {
        Lookup::Hit(found) => Some(found),
        Lookup::Miss(_) => None,
    }
}

/// An answer with what was judged at `position`, or was decided there. None:
/// there is nothing in it.
pub(crate) fn answer_at<T>(
    engine: &Engine,
    position: Option<Position>,
    result: T,
    degraded: Degraded,
) -> Answer<T> {
    Answer {
        result,
        position: position.unwrap_or_else(|| engine.position()),
        degraded,
    }
}

/// The engine as a handle that outlives the call.
pub(crate) fn owner(engine: &Engine) -> Arc<Engine> {
    engine.me.upgrade().expect("the caller holds the engine")
}
