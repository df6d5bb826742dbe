//! CompareAndSet: the append itself is conditional on the newest Write of the
//! key's shard, so a loser appends nothing and reads again.

use crate::append::{self, Logged};
use crate::clock::Moment;
use crate::coherence::{Bug, Decision};
use crate::engine::Engine;
use crate::entry::Version;
use crate::error::Error;
use crate::key::Key;
use crate::log::{Subject, WRITE_SHARDS};
use crate::position::Position;
use crate::read::{self, Lookup, Remains};
use crate::request::{Ack, Answer, CasOutcome, CompareAndSet, Degraded, Expected, Found};
use crate::write;

pub(crate) async fn compare_and_set(
    engine: &Engine,
    cas: CompareAndSet,
) -> Result<Answer<CasOutcome>, Error> {
    let shard = cas.key.hash().shard(WRITE_SHARDS);
    let mut last_on_server = None;
    while engine.now() < cas.deadline {
        // Position and condition first, the comparison after: whatever comes
        // between makes the append lose or the write be refused.
        let (position, processed) =
            engine.ask(|machine, _| (machine.position(), machine.last_write(shard)));
        let position =
            position.ok_or_else(|| Error::LogUnavailable("it was not opened yet".into()))?;
        let current = comparable(engine, &cas.key, cas.deadline).await?;
        if !holds(&cas.expected, current.as_ref()) {
            return Ok(write::answer(
                engine,
                CasOutcome::Conflict(current),
                Degraded::default(),
            ));
        }
        let expect_last = match engine.options.bugs.has(Bug::UnconditionalCas) {
            true => None,
            false => Some(last_on_server.take().unwrap_or(processed)),
        };
        let out = write::outgoing(
            engine,
            &cas.key,
            &cas.entry,
            Some(position),
            cas.ack,
            expect_last,
        );
        let under_way = append::begin(engine, out, append::permit(engine)?)?;
        match under_way.finish(cas.deadline).await? {
            Logged::Conflict => {
                last_on_server = Some(catch_up(engine, shard, position, cas.deadline).await?)
            }
            Logged::Decided(decision) => return decided(engine, cas, decision).await,
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
        Decision::Refused(_) => {
            let current = write::current(engine, &cas.key, cas.deadline).await;
            Ok(write::answer(
                engine,
                CasOutcome::Conflict(current),
                Degraded::default(),
            ))
        }
        Decision::Accepted(at) => {
            let degraded = write::store(engine, &cas.key, cas.entry, at, cas.deadline).await;
            if cas.ack == Ack::Fleet {
                append::fleet(engine, at.sequence, cas.deadline).await?;
            }
            let version = Version::Write(at).to_string();
            Ok(write::answer(engine, CasOutcome::Stored(version), degraded))
        }
    }
}

/// What the comparison is made with; fails closed.
async fn comparable(engine: &Engine, key: &Key, deadline: Moment) -> Result<Option<Found>, Error> {
    match read::look_up(engine, key, deadline).await {
        Lookup::Hit(found) => Ok(Some(found)),
        Lookup::Miss(Remains::Unjudged)
            if !engine.ask(|machine, now| machine.session_fresh(now)) =>
        {
            Err(Error::LogUnavailable(
                "this pod's session is not fresh".into(),
            ))
        }
        Lookup::Miss(_) => Ok(None),
        Lookup::Unavailable(error) => Err(Error::RemoteUnavailable(error.to_string())),
    }
}

fn holds(expected: &Expected, current: Option<&Found>) -> bool {
    match (expected, current) {
        (Expected::Absent, None) => true,
        (Expected::Version(version), Some(found)) => *version == found.version,
        _ => false,
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
