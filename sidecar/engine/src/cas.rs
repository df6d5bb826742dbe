//! CompareAndSet: the append itself is conditional on the newest Write of the
//! key's shard, so a loser appends nothing and reads again.

use crate::append::{self, Logged};
use crate::clock::Moment;
use crate::coherence::{Bug, Decision};
use crate::depends::looked_up;
use crate::engine::Engine;
use crate::entry::{self, Version};
use crate::error::Error;
use crate::key::Key;
use crate::log::{Subject, WRITE_SHARDS};
use crate::look::{self, Lookup, Remains};
use crate::position::Position;
use crate::read;
use crate::request::*;
use crate::store::{self, Put};
use crate::write;

/// A value on its way is looked for this often, beside the hints.
const LOOK_AGAIN: std::time::Duration = std::time::Duration::from_millis(10);

pub(crate) async fn compare_and_set(
    engine: &Engine,
    mut cas: CompareAndSet,
) -> Result<Answer<CasOutcome>, Error> {
    if let Err(why) = looked_up!(engine, &cas.key, &mut cas.entry, cas.deadline) {
        return conflict(engine, &cas.key, why.of_write()?, cas.deadline).await;
    }
    let shard = cas.key.hash().shard(WRITE_SHARDS);
    let mut last_on_server = None;
    let mut compared = false;
    while engine.now() < cas.deadline {
        // Position and condition first, the comparison after: whatever comes
        // between makes the append lose or the write be refused.
        let (position, processed) =
            engine.ask(|machine, _| (machine.position(), machine.last_write(shard)));
        let position =
            position.ok_or_else(|| Error::LogUnavailable("it was not opened yet".into()))?;
        let current = comparable(engine, &cas.key, cas.deadline).await?;
        let older = write::older(engine, &cas.key, &cas.entry);
        let holds = compared || holds(&cas.expected, current.as_ref());
        if older.is_some() || !holds {
            return Ok(conflict_with(engine, older, current));
        }
        let (since, expect_last) = match engine.options.bugs.has(Bug::UnconditionalCas) {
            true => (None, None),
            false => (
                Some(position),
                Some(last_on_server.take().unwrap_or(processed)),
            ),
        };
        let out = write::outgoing(engine, &cas.key, &cas.entry, since, cas.ack, expect_last);
        let mut under_way = append::begin(engine, out, append::permit(engine)?)?;
        match under_way.finish(cas.deadline).await? {
            Logged::Conflict => {
                compared = under_way.is_unanswered();
                last_on_server = Some(catch_up(engine, shard, position, cas.deadline).await?)
            }
            Logged::Decided(decision) => {
                let made_at = write::made_at(Some(position), &cas.entry);
                let sure = write::confirmed(engine, decision, made_at, cas.deadline).await?;
                return decided(engine, cas, sure).await;
            }
        }
    }
    // Every attempt lost definitely: nothing was done.
    Err(Error::Overloaded {
        retry_after: std::time::Duration::from_millis(50),
    })
}

async fn decided(
    engine: &Engine,
    cas: CompareAndSet,
    decision: Decision,
) -> Result<Answer<CasOutcome>, Error> {
    match decision {
        Decision::Unknown => Err(Error::FleetUnknown),
        Decision::Refused(why) => conflict(engine, &cas.key, why, cas.deadline).await,
        Decision::Accepted(at) => {
            let (put, degraded) = store::store(engine, &cas.key, cas.entry, at, cas.deadline).await;
            if let Put::OlderSourceVersion(least) = put {
                let why = NotStored::OlderSourceVersion(least);
                return conflict(engine, &cas.key, why, cas.deadline).await;
            }
            if cas.ack == Ack::Fleet {
                append::fleet(engine, at.sequence, cas.deadline).await?;
            }
            let version = Version::Write(at).to_string();
            let stored = CasOutcome::Stored(version);
            Ok(write::answer_at(engine, Some(at), stored, degraded))
        }
    }
}

async fn conflict(
    engine: &Engine,
    key: &Key,
    why: NotStored,
    deadline: Moment,
) -> Result<Answer<CasOutcome>, Error> {
    let current = write::current(engine, key, deadline).await;
    Ok(conflict_with(engine, Some(why), current))
}

/// `why`: none when the expectation does not hold.
fn conflict_with(
    engine: &Engine,
    why: Option<NotStored>,
    current: Option<Found>,
) -> Answer<CasOutcome> {
    let found_at = current.as_ref().map(|found| found.position);
    let conflict = CasOutcome::Conflict(why, current);
    write::answer_at(engine, found_at, conflict, Degraded::default())
}

/// What the comparison is made with; fails closed. A value that was decided a
/// moment ago is waited for.
async fn comparable(engine: &Engine, key: &Key, deadline: Moment) -> Result<Option<Found>, Error> {
    let facts = entry::facts(key, &[], Position::default(), &engine.options.delimiters);
    loop {
        let found = look(engine, key, deadline).await?;
        let coming = engine.ask(|machine, now| machine.is_on_its_way(&facts, now));
        if found.is_some() || !coming || engine.now() >= deadline {
            return Ok(found);
        }
        let again = engine.now().plus(LOOK_AGAIN).min(deadline);
        tokio::select! {
            biased;
            () = engine.ports.remote.hinted(key.hash()) => {}
            () = engine.ports.clock.sleep_until(again) => {}
        }
    }
}

async fn look(engine: &Engine, key: &Key, deadline: Moment) -> Result<Option<Found>, Error> {
    let missed = match look::look_up(engine, key, || false, deadline).await {
        Lookup::Hit(found) => return Ok(Some(found)),
        Lookup::Miss(missed) => missed,
    };
    match missed.remains {
        Ok(Remains::Unjudged) => Err(Error::LogUnavailable(
            "this pod cannot judge yet what is cached".into(),
        )),
        Ok(_) => Ok(None),
        // Nothing was appended yet.
        Err(error) => Err(Error::RemoteUnavailable(error.to_string())),
    }
}

fn holds(expected: &Expected, current: Option<&Found>) -> bool {
    match (expected, current) {
        (Expected::Absent, current) => {
            current.is_none_or(|found| found.payload == Payload::NotFound)
        }
        (Expected::Version(version), Some(found)) => {
            version.as_bytes() == found.version.text().as_bytes()
        }
        (Expected::Etag(etag), Some(found)) => *etag == found.etag,
        (Expected::Version(_) | Expected::Etag(_), None) => false,
    }
}

/// Another Write came first (or the log dropped the one we know): process what
/// there is, and learn what the next attempt has to expect.
async fn catch_up(
    engine: &Engine,
    shard: u16,
    position: Position,
    deadline: Moment,
) -> Result<u64, Error> {
    let last = engine
        .ports
        .log
        .last(Subject::Writes(shard))
        .await
        .map_err(Error::LogUnavailable)?;
    let reached = Position {
        sequence: last,
        ..position
    };
    read::reach(engine, reached, deadline)
        .await
        .map_err(|_| Error::DeadlineExceeded)?;
    Ok(last)
}
