//! Putting a decided write where nothing newer is: the remote tier, then L1.
//!
//! Never over a value of higher `as_of` or of a higher source version; a marker
//! outranks nothing. With the tier away only L1 has the value, and the answer
//! says so.

use crate::adaptive;
use crate::clock::Moment;
use crate::coherence::Bug;
use crate::engine::Engine;
use crate::entry::{self, Content, Entry, Version};
use crate::envelope;
use crate::key::Key;
use crate::policy::ttl;
use crate::position::Position;
use crate::remote::{Expect, PutOutcome, RemoteError, Stored};
use crate::request::{Degraded, NewEntry};
use crate::tier;
use std::time::Duration;

/// A put that keeps meeting other writers gives up after this many tries.
const PUT_TRIES: usize = 16;

/// What became of a put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Put {
    Done,
    /// Something newer is there: as if it had been stored and overwritten.
    Outranked,
    /// What is there has this source version: as if it had never been stored.
    OlderSourceVersion(u64),
}

/// Puts a decided write into the remote tier and L1.
pub(crate) async fn store(
    engine: &Engine,
    key: &Key,
    new: NewEntry,
    at: Position,
    deadline: Moment,
) -> (Put, Degraded) {
    let entry = make(engine, key, new, Version::Write(at), at);
    let put = put_over(engine, &entry, deadline).await;
    let degraded = Degraded {
        remote: put.is_err(),
        session: false,
    };
    let put = put.unwrap_or(Put::Done);
    if put == Put::Done {
        engine.l1.insert_written(entry);
    }
    (put, degraded)
}

/// An entry as of `at`, with its deadlines in log time.
pub(crate) fn make(
    engine: &Engine,
    key: &Key,
    new: NewEntry,
    version: Version,
    at: Position,
) -> Entry {
    let stored = engine.ask(|machine, now| machine.log_time(now));
    let policy = engine.policy(key.namespace());
    let random = engine.ports.random.bits() as u64;
    let etag = entry::etag(&new.payload);
    let learned = adaptive::stored(engine, key, etag, &policy);
    let life = ttl::life(&new, (&policy, learned), stored, random);
    let mut facts = entry::facts(key, &new.tags, at, &engine.options.delimiters);
    facts.source_version = new.source_version;
    facts.depends = new.depends_on.found().cloned();
    (facts.expires, facts.gone) = (life.expires, life.gone);
    Entry {
        facts,
        version,
        etag,
        payload: new.payload,
        tags: entry::shared(new.tags),
        stored,
        valid_until: life.valid_until,
        load_time: None,
        why: life.why,
    }
}

/// Holds an own entry in L1.
pub(crate) fn hold(engine: &Engine, entry: Entry) {
    engine.l1.insert(entry);
}

/// How long the tier has to keep an entry.
pub(crate) fn kept(entry: &Entry) -> Duration {
    entry.facts.gone.since(entry.stored)
}

async fn put_over(engine: &Engine, entry: &Entry, deadline: Moment) -> Result<Put, RemoteError> {
    let hash = entry.facts.key.hash();
    let record = envelope::encode(&Content::Entry(entry.clone()));
    let remote = tier::remote(engine);
    for _ in 0..PUT_TRIES {
        let there = tier::call(engine, deadline, remote.get(hash)).await?;
        let expect = match there {
            None => Expect::Absent,
            Some(there) => match rank(engine, entry, &there) {
                Put::Done => Expect::Revision(there.revision),
                outranked => return Ok(outranked),
            },
        };
        let put = remote.put(hash, expect, record.clone(), kept(entry));
        if let PutOutcome::Stored(_) = tier::call(engine, deadline, put).await? {
            remote.hint(hash);
            return Ok(Put::Done);
        }
    }
    Err(RemoteError::Unavailable(
        "too many writers of one key at once".into(),
    ))
}

/// Whether the new entry may take the place of what is there.
fn rank(engine: &Engine, new: &Entry, there: &Stored) -> Put {
    let there = match tier::decode(engine, &new.facts.key, there) {
        Ok(there) if there.facts().epoch == new.facts.epoch => there,
        Ok(_) | Err(_) => return Put::Done,
    };
    let bugs = engine.options.bugs;
    if bugs.has(Bug::PutOverHigher) {
        return Put::Done;
    }
    let version = match &there {
        Content::Entry(there) if there.facts.as_of > new.facts.as_of => return Put::Outranked,
        Content::Entry(there) => there.facts.source_version,
        Content::Marker(marker)
            if bugs.has(Bug::MarkerOutranksSet) && marker.facts.as_of >= new.facts.as_of =>
        {
            return Put::Outranked;
        }
        // A marker outranks nothing, but it knows what was there.
        Content::Marker(marker) => marker.source_version,
    };
    match (version, new.facts.source_version) {
        (Some(there), Some(new)) if there > new && !bugs.has(Bug::OlderSourceVersion) => {
            Put::OlderSourceVersion(there)
        }
        _ => Put::Done,
    }
}
