//! Retain and Release: who refers to a key, what is kept for it in L1, and what
//! the end of the last reference drops.
//!
//! Guarantees: a count that is answered reflects the caller's own record and all
//! before it, whatever pods they came through. A reference neither makes an entry
//! fresh nor keeps it from expiring. An entry that was to be dropped at zero is
//! invalidated like any other, through the log.

mod drops;
mod table;

pub(crate) use table::Table;

use crate::clock::Moment;
use crate::coherence::{Freshness, Source};
use crate::engine::{Engine, lock};
use crate::error::Error;
use crate::key::Namespace;
use crate::look;
use crate::policy::refs;
use crate::position::Position;
use crate::references::{Event, Reference};
use crate::request::{Ack, Invalidate, Mode, Release, Released, Retain, Retained};
use drops::Drop;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use table::Change;

/// What people are told of a drop.
const REASON: &str = "references: none left";
/// How long a drop in the background may take.
const DROP_WITHIN: Duration = Duration::from_secs(4);

pub(crate) async fn retain(engine: &Engine, retain: Retain) -> Result<Retained, Error> {
    let term = refs::term(retain.term);
    let (key, deadline) = (retain.key.clone(), retain.deadline);
    let reference = Reference {
        key: retain.key,
        owner: retain.owner,
        drop_at_zero: retain.drop_at_zero,
        pod: engine.options.pod.as_str().into(),
    };
    if engine.is_closing() {
        return Err(Error::ShuttingDown);
    }
    if !lock(&engine.references).has_room(reference.id()) {
        return Err(Error::ReferencesFull);
    }
    let put = engine.ports.references.put(reference.clone(), term);
    let sequence = in_time(engine, deadline, put).await?;
    read_back(engine, sequence, deadline).await?;
    if !lock(&engine.references).has_room(reference.id()) {
        // Others were faster. What nobody counts should not stay; its term ends it.
        let removed = engine.ports.references.remove(reference);
        let _ = in_time(engine, deadline, removed).await;
        return Err(Error::ReferencesFull);
    }
    Ok(Retained {
        references: lock(&engine.references).count(key.hash(), engine.now()),
        term,
        here: engine.l1.here(key.hash()),
    })
}

/// None: there was no reference.
pub(crate) async fn release(engine: &Engine, release: Release) -> Result<Option<Released>, Error> {
    let Release {
        key,
        owner,
        deadline,
    } = release;
    let reference = Reference {
        key: key.clone(),
        owner,
        drop_at_zero: false,
        pod: engine.options.pod.as_str().into(),
    };
    let removed = engine.ports.references.remove(reference);
    let Some(sequence) = in_time(engine, deadline, removed).await? else {
        return Ok(None);
    };
    read_back(engine, sequence, deadline).await?;
    let now = engine.now();
    let (references, drop) = {
        let mut table = lock(&engine.references);
        let references = table.count(key.hash(), now);
        (references, table.drops.take(key.hash(), sequence, now))
    };
    let dropped = match drop {
        // What fails is done again in the background.
        Some(drop) => self::drop(engine, drop, deadline).await.ok().flatten(),
        None => None,
    };
    Ok(Some(Released {
        references,
        dropped,
    }))
}

/// A call to the references, bounded by the deadline.
async fn in_time<T>(
    engine: &Engine,
    deadline: Moment,
    call: impl Future<Output = Result<T, String>>,
) -> Result<T, Error> {
    tokio::select! {
        biased;
        done = call => done.map_err(Error::ReferencesUnavailable),
        () = engine.ports.clock.sleep_until(deadline) => Err(Error::DeadlineExceeded),
    }
}

/// Waits until every record up to this one is reflected here.
async fn read_back(engine: &Engine, sequence: u64, deadline: Moment) -> Result<(), Error> {
    let mut followed = engine.followed.subscribe();
    let read = followed.wait_for(|processed| *processed >= sequence);
    tokio::select! {
        biased;
        read = read => read.map(|_| ()).map_err(|_| Error::ShuttingDown),
        () = engine.ports.clock.sleep_until(deadline) => Err(Error::DeadlineExceeded),
    }
}

/// Invalidates the entry; where in the log.
async fn drop(engine: &Engine, drop: Drop, deadline: Moment) -> Result<Option<Position>, Error> {
    let invalidate = Invalidate {
        namespace: drop.key.namespace().clone(),
        keys: vec![drop.key.clone()],
        tags: Vec::new(),
        prefixes: Vec::new(),
        all: false,
        mode: Mode::Hard,
        min_source_version: None,
        ack: Ack::Log,
        id: Some(drop.id()),
        reason: Some(REASON.into()),
        trace_id: None,
        deadline,
    };
    let done = crate::invalidate::invalidate(engine, invalidate).await?;
    lock(&engine.references).drops.done(&drop);
    engine.meter.reference_drop();
    Ok(done.position)
}

/// Takes what the driver tells.
pub(crate) fn told(engine: &Engine, event: Event) {
    let now = engine.now();
    let mut random = || engine.ports.random.bits() as u64;
    let mut table = lock(&engine.references);
    let changes = table.apply(event, now, &mut random);
    carry_out(engine, changes);
    note_drops(engine, &table);
    // Of a stream that was made anew, perhaps: nothing is reflected until it is read.
    let processed = match table.away() {
        Some(_) => 0,
        None => table.processed(),
    };
    // In the order of the events.
    engine.followed.send_replace(processed);
}

/// Ends what has lasted its term, makes room of what is kept in vain, and begins
/// the drops whose turn it is.
pub(crate) fn sweep(engine: &Arc<Engine>, now: Moment) {
    let mut random = || engine.ports.random.bits() as u64;
    let workers = {
        let mut table = lock(&engine.references);
        let changes = table.sweep(now, &mut random);
        carry_out(engine, changes);
        note_drops(engine, &table);
        table.drops.workers(now)
    };
    for entry in engine.l1.when_full() {
        if look::judge_at(engine, &entry.facts, Source::L1).0 == Freshness::Dead {
            engine.l1.give_up(&entry);
        }
    }
    for _ in 0..workers {
        let owner = Arc::clone(engine);
        let job = Box::pin(async move { drop_due(&owner).await });
        if !engine.background.clean(job) {
            lock(&engine.references).drops.worker_ended();
        }
    }
}

/// Drops what is due, one after the other: what is forgotten meanwhile is left
/// alone.
async fn drop_due(engine: &Engine) {
    loop {
        let now = engine.now();
        let next = lock(&engine.references).drops.next(now);
        let Some(drop) = next else { break };
        // What fails is due again, and so are the others.
        let done = self::drop(engine, drop, now.plus(DROP_WITHIN)).await;
        if done.is_err() {
            break;
        }
    }
    lock(&engine.references).drops.worker_ended();
}

/// The table is locked.
fn note_drops(engine: &Engine, table: &Table) {
    let wait = !table.drops.is_empty();
    engine.drops_wait.store(wait, Ordering::Release);
}

/// In the order of the events: the table is locked.
fn carry_out(engine: &Engine, changes: Vec<Change>) {
    for change in changes {
        match change {
            Change::Pin(key) => engine.l1.pin(key),
            Change::Unpin(key) => engine.l1.unpin(key),
        }
    }
}

/// An invalidation of these keys was processed: nobody else needs to drop them.
pub(crate) fn invalidated(engine: &Engine, namespace: &Namespace, keys: &[String]) {
    // The machine is locked: who asks it must not wait for the table.
    if !engine.drops_wait.load(Ordering::Acquire) {
        return;
    }
    let mut table = lock(&engine.references);
    for key in keys {
        if let Ok(key) = crate::key::Key::new(namespace.clone(), key) {
            table.drops.forget(key.hash());
        }
    }
}
