//! Calls to the remote tier: bounded in time, reads shared, errors remembered,
//! and what was read unpacked, with a count of what is not believed.

use crate::clock::Moment;
use crate::coherence::{Bug, Source};
use crate::engine::{Engine, lock};
use crate::entry::Content;
use crate::envelope::{self, BadRecord};
use crate::key::Key;
use crate::remote::{Remote, RemoteError, Stored};
use std::future::Future;
use std::sync::Arc;

/// One read of the remote tier, shared by all who ask for the key meanwhile;
/// and whether another call had begun it.
pub(crate) async fn read(
    engine: &Engine,
    key: &Key,
    deadline: Moment,
) -> (Source, Result<Option<Stored>, RemoteError>) {
    let hash = key.hash();
    let owner = engine.me.upgrade().expect("the caller holds the engine");
    let start = || -> futures::future::BoxFuture<'static, _> {
        Box::pin(async move {
            // The flight's own deadline: no single caller's.
            let until = owner.now().plus(owner.options.remote_timeout);
            call(&owner, until, owner.ports.remote.get(hash)).await
        })
    };
    let flight = engine.flights.join(hash, start);
    tokio::select! {
        biased;
        read = flight => read,
        () = engine.ports.clock.sleep_until(deadline) => (Source::Remote, Err(late())),
    }
}

/// A call to the remote tier, bounded by its timeout and the deadline.
pub(crate) async fn call<T>(
    engine: &Engine,
    deadline: Moment,
    call: impl Future<Output = Result<T, RemoteError>>,
) -> Result<T, RemoteError> {
    let until = deadline.min(engine.now().plus(engine.options.remote_timeout));
    let result = tokio::select! {
        biased;
        result = call => result,
        () = engine.ports.clock.sleep_until(until) => Err(late()),
    };
    if result.is_err() {
        engine.meter.remote_error();
    }
    *lock(&engine.remote_error) = result.as_ref().err().map(ToString::to_string);
    result
}

fn late() -> RemoteError {
    RemoteError::Unknown("the remote tier did not answer in time".into())
}

/// What a record read from under `key` holds. One that was stored for another
/// key tells that the tier's connection may hand out others' answers.
pub(crate) fn decode(engine: &Engine, key: &Key, stored: &Stored) -> Result<Content, BadRecord> {
    let delimiters = &engine.options.delimiters;
    let content = match engine.options.bugs.has(Bug::KeyNotChecked) {
        true => envelope::decode_unnamed(key, &stored.record, delimiters),
        false => envelope::decode(key, &stored.record, delimiters),
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

/// The tier as an owned handle, for futures that outlive the call.
pub(crate) fn remote(engine: &Engine) -> Arc<dyn Remote> {
    Arc::clone(&engine.ports.remote)
}
