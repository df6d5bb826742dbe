//! Set: decided when this pod processes its own Write record, then put where
//! nothing newer is.

use crate::append::{self, Logged, Outgoing};
use crate::clock::Moment;
use crate::coherence::record::{Body, RecordId, Write};
use crate::coherence::{Decision, Own, WriteCheck};
use crate::engine::Engine;
use crate::entry::{self, Content, Entry, Version};
use crate::error::Error;
use crate::key::{Key, NameHash};
use crate::log::{Subject, WRITE_SHARDS};
use crate::position::Position;
use crate::read::{self, Lookup};
use crate::remote::{Expect, PutOutcome, RemoteError, Revision};
use crate::request::{Ack, Answer, Degraded, Found, NewEntry, Set, SetOutcome};
use std::sync::Arc;

/// A put that keeps meeting other writers gives up after this many tries.
const PUT_TRIES: usize = 16;

pub(crate) async fn set(engine: &Engine, set: Set) -> Result<Answer<SetOutcome>, Error> {
    let out = outgoing(engine, &set.key, &set.entry, set.position, set.ack, None);
    if set.ack == Ack::Local {
        return set_local(engine, set, out).await;
    }
    let under_way = append::begin(engine, out, append::permit(engine)?)?;
    match under_way.finish(set.deadline).await? {
        Logged::Conflict => Err(Error::LogUnavailable(
            "an unconditional append was refused".into(),
        )),
        Logged::Decided(Decision::Unknown) => Err(Error::FleetUnknown),
        Logged::Decided(Decision::Accepted(at)) => {
            let degraded = store(engine, &set.key, set.entry, at, set.deadline).await;
            if set.ack == Ack::Fleet {
                append::fleet(engine, at.sequence, set.deadline).await?;
            }
            let version = Version::Write(at).to_string();
            Ok(answer(engine, SetOutcome::Stored(Some(version)), degraded))
        }
        Logged::Decided(Decision::Refused(why)) => {
            let current = current(engine, &set.key, set.deadline).await;
            Ok(answer(
                engine,
                SetOutcome::NotStored(why, current),
                Degraded::default(),
            ))
        }
    }
}

/// LOCAL: the record follows from the queue, which blocks when it is full.
async fn set_local(engine: &Engine, set: Set, out: Outgoing) -> Result<Answer<SetOutcome>, Error> {
    let permit = tokio::select! {
        permit = engine.background.permit_wait() => permit,
        () = engine.ports.clock.sleep_until(set.deadline) => return Err(Error::DeadlineExceeded),
    };
    let decided = append::begin(engine, out, permit)?.detach();
    let owner = owner(engine);
    engine.background.hand(Box::pin(async move {
        if let Ok(Decision::Accepted(at)) = decided.await {
            let deadline = owner.now().plus(owner.options.remote_timeout * 4);
            store(&owner, &set.key, set.entry, at, deadline).await;
        }
    }));
    Ok(answer(
        engine,
        SetOutcome::Stored(None),
        Degraded::default(),
    ))
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
    let namespace = NameHash::of_namespace(key.namespace());
    let tags = new
        .tags
        .iter()
        .map(|tag| tag.hash(key.namespace()))
        .collect();
    let check = WriteCheck {
        key: key.hash(),
        namespace,
        tags,
        position,
    };
    let write = Write {
        namespace: key.namespace().as_str().into(),
        key: key.name().into(),
        source_version: None,
        ack_wanted: ack == Ack::Fleet,
    };
    Outgoing {
        id: RecordId(engine.ports.random.bits()),
        body: Body::Write(write),
        reason: None,
        subject: Subject::Writes(key.hash().shard(WRITE_SHARDS)),
        expect_last,
        own: Own {
            names: vec![key.hash()],
            namespace: None,
            check: Some(check),
        },
    }
}

/// Puts a decided write into the remote tier and L1. With the tier away only
/// L1 has it, and the answer says so.
pub(crate) async fn store(
    engine: &Engine,
    key: &Key,
    new: NewEntry,
    at: Position,
    deadline: Moment,
) -> Degraded {
    let entry = make(engine, key, new, Version::Write(at), at);
    let put = put_over(engine, key, &entry, deadline).await;
    if !matches!(put, Ok(false)) {
        hold(engine, key, entry);
    }
    Degraded {
        remote: put.is_err(),
        session: false,
    }
}

/// An entry as of `at`, with its deadlines in log time.
pub(crate) fn make(
    engine: &Engine,
    key: &Key,
    new: NewEntry,
    version: Version,
    at: Position,
) -> Entry {
    let facts = entry::facts(key, &new.tags, at.epoch, at.sequence);
    let stored = engine.ask(|machine, now| machine.log_time(now));
    let expires = stored.plus(new.ttl.unwrap_or(engine.options.default_ttl));
    Entry {
        facts,
        version,
        value: new.value,
        tags: new.tags,
        stored,
        expires,
    }
}

/// Holds an own entry in L1.
pub(crate) fn hold(engine: &Engine, key: &Key, entry: Entry) {
    if let Some(left) = engine.ask(|machine, now| machine.time_left(entry.expires, now)) {
        engine
            .l1
            .insert(entry, key.name().len(), engine.now().plus(left));
    }
}

/// Puts an entry unless one of higher `as_of` is there. A marker outranks
/// nothing. False: something newer is there.
async fn put_over(
    engine: &Engine,
    key: &Key,
    entry: &Entry,
    deadline: Moment,
) -> Result<bool, RemoteError> {
    let record = entry::encode(key, &Content::Entry(entry.clone()));
    let ttl = entry.expires.since(entry.stored);
    let remote = read::remote(engine);
    for _ in 0..PUT_TRIES {
        let there = read::call(engine, deadline, remote.get(key.hash())).await?;
        let expect = match there {
            None => Expect::Absent,
            Some(there) => match over(engine, key, entry, there.revision, &there.record) {
                Some(expect) => expect,
                None => return Ok(false),
            },
        };
        let put = remote.put(key.hash(), expect, record.clone(), ttl);
        if let PutOutcome::Stored(_) = read::call(engine, deadline, put).await? {
            remote.hint(key.hash());
            return Ok(true);
        }
    }
    Err(RemoteError::Unavailable(
        "too many writers of one key at once".into(),
    ))
}

fn over(
    engine: &Engine,
    key: &Key,
    new: &Entry,
    revision: Revision,
    record: &bytes::Bytes,
) -> Option<Expect> {
    let bug = engine
        .options
        .bugs
        .has(crate::coherence::Bug::PutOverHigher);
    match entry::decode(key, record) {
        Ok(Content::Entry(there))
            if !bug
                && there.facts.epoch == new.facts.epoch
                && there.facts.as_of > new.facts.as_of =>
        {
            None
        }
        _ => Some(Expect::Revision(revision)),
    }
}

/// What is cached now, for an answer that says "not this".
pub(crate) async fn current(engine: &Engine, key: &Key, deadline: Moment) -> Option<Found> {
    match read::look_up(engine, key, deadline).await {
        Lookup::Hit(found) => Some(found),
        Lookup::Miss(_) | Lookup::Unavailable(_) => None,
    }
}

pub(crate) fn answer<T>(engine: &Engine, result: T, degraded: Degraded) -> Answer<T> {
    Answer {
        result,
        position: engine.position(),
        degraded,
    }
}

/// The engine as a handle that outlives the call.
pub(crate) fn owner(engine: &Engine) -> Arc<Engine> {
    engine.me.upgrade().expect("the caller holds the engine")
}
