//! Calls to the remote tier: bounded in time, reads shared, errors remembered,
//! and what was read unpacked, with a count of what is not believed.

use crate::clock::Moment;
use crate::coherence::{Bug, Source};
use crate::engine::{Engine, lock};
use crate::entry::Content;
use crate::envelope::{self, BadRecord};
use crate::key::{Key, NameHash, Prefixes};
use crate::remote::{Read, Remote, RemoteError, Stored};
use futures::future::{BoxFuture, join_all};
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

/// One read of the remote tier, shared by all who ask for the key meanwhile;
/// and whether another call had begun it.
pub(crate) async fn read(engine: &Engine, key: &Key, deadline: Moment) -> (Source, Read) {
    let mut reads = read_part(engine, &[key.hash()], deadline).await;
    reads.pop().expect("one answer per key")
}

/// The same of many keys, in their order: one call for each part of the tier,
/// so that one which does not answer takes no other's keys with it.
pub(crate) async fn read_many(
    engine: &Engine,
    keys: &[NameHash],
    deadline: Moment,
) -> Vec<(Source, Read)> {
    let mut parts: BTreeMap<u16, Vec<usize>> = BTreeMap::new();
    for (at, key) in keys.iter().enumerate() {
        let part = engine.ports.remote.part(*key);
        parts.entry(part).or_default().push(at);
    }
    if parts.len() <= 1 {
        return read_part(engine, keys, deadline).await;
    }
    let calls = parts.into_values().map(|at| async move {
        let part: Vec<_> = at.iter().map(|at| keys[*at]).collect();
        let reads = read_part(engine, &part, deadline).await;
        at.into_iter().zip(reads).collect::<Vec<_>>()
    });
    let mut reads: Vec<_> = join_all(calls).await.into_iter().flatten().collect();
    reads.sort_unstable_by_key(|(at, _)| *at);
    reads.into_iter().map(|(_, read)| read).collect()
}

async fn read_part(engine: &Engine, keys: &[NameHash], deadline: Moment) -> Vec<(Source, Read)> {
    if keys.is_empty() {
        return Vec::new();
    }
    let owner = engine.me.upgrade().expect("the caller holds the engine");
    let start = |keys: Vec<NameHash>| -> BoxFuture<'static, Vec<Read>> {
        // The flight's own deadline: no single caller's.
        Box::pin(async move {
            let until = owner.now().plus(owner.options.remote_timeout);
            fetch(&owner, &keys, until).await
        })
    };
    let late = |_: &NameHash| (Source::Remote, Err(late()));
    tokio::select! {
        biased;
        reads = engine.flights.join(keys, start) => reads,
        () = engine.ports.clock.sleep_until(deadline) => keys.iter().map(late).collect(),
    }
}

/// One call to the remote tier for all of the keys.
async fn fetch(engine: &Engine, keys: &[NameHash], until: Moment) -> Vec<Read> {
    let remote = &engine.ports.remote;
    if let [key] = keys {
        return vec![call(engine, until, remote.get(*key)).await];
    }
    let reads = in_time(engine, until, remote.get_many(keys)).await;
    let reads = reads.unwrap_or_else(|| keys.iter().map(|_| Err(late())).collect());
    note(engine, reads.iter().find_map(|read| read.as_ref().err()));
    reads
}

/// A call to the remote tier, bounded by its timeout and the deadline.
pub(crate) async fn call<T>(
    engine: &Engine,
    deadline: Moment,
    call: impl Future<Output = Result<T, RemoteError>>,
) -> Result<T, RemoteError> {
    let until = deadline.min(engine.now().plus(engine.options.remote_timeout));
    let result = in_time(engine, until, call).await;
    let result = result.unwrap_or_else(|| Err(late()));
    note(engine, result.as_ref().err());
    result
}

async fn in_time<T>(engine: &Engine, until: Moment, call: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        result = call => Some(result),
        () = engine.ports.clock.sleep_until(until) => None,
    }
}

/// Counts and remembers what a call failed of, if it did.
fn note(engine: &Engine, error: Option<&RemoteError>) {
    if error.is_some() {
        engine.meter.remote_error();
    }
    *lock(&engine.remote_error) = error.map(ToString::to_string);
}

fn late() -> RemoteError {
    RemoteError::Unknown("the remote tier did not answer in time".into())
}

/// What a record read from under `key` holds. One that was stored for another
/// key tells that the tier's connection may hand out others' answers.
pub(crate) fn decode(engine: &Engine, key: &Key, stored: &Stored) -> Result<Content, BadRecord> {
    decode_next(engine, key, stored, &mut prefixes(engine))
}

/// The same of many, one after the other.
pub(crate) fn decode_next<'a>(
    engine: &Engine,
    key: &'a Key,
    stored: &Stored,
    prefixes: &mut Prefixes<'a>,
) -> Result<Content, BadRecord> {
    let content = match engine.options.bugs.has(Bug::KeyNotChecked) {
        true => envelope::decode_unnamed(key, &stored.record, prefixes),
        false => envelope::decode(key, &stored.record, prefixes),
    };
    if content.is_err() {
        engine.meter.bad_record();
    }
    if content == Err(BadRecord::OtherKey) {
        engine.meter.wrong_key();
        engine.ports.remote.distrust(key.hash());
    }
    content
}

/// To decode with, once for keys that are read together.
pub(crate) fn prefixes(engine: &Engine) -> Prefixes<'_> {
    Prefixes::new(&engine.options.delimiters)
}

/// The tier as an owned handle, for futures that outlive the call.
pub(crate) fn remote(engine: &Engine) -> Arc<dyn Remote> {
    Arc::clone(&engine.ports.remote)
}
