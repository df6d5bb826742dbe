//! Fill and Renew: what a lease's holder does while and after it loads.
//!
//! A fill has its marker's `as_of` and is refused if anything covered the key
//! or one of its tags since, or if the origin that was read lags. It is never
//! appended to the log: nobody holds a valid copy of what was missing.

use crate::abandon;
use crate::clock::Moment;
use crate::coherence::Bug;
use crate::engine::Engine;
use crate::entry::{self, Content, Entry, Version};
use crate::envelope;
use crate::error::Error;
use crate::lease::NewMarker;
use crate::leases::{Grant, Taken};
use crate::position::Position;
use crate::remote::{Expect, PutOutcome, Revision};
use crate::request::*;
use crate::{store, tier, write};

pub(crate) async fn fill(engine: &Engine, fill: Fill) -> Result<Answer<FillOutcome>, Error> {
    let mut taken = engine.leases.take(fill.token).await?;
    let grant = taken.grant();
    let position = as_of(engine, grant);
    if let Some(why) = voided(engine, grant, &fill, position) {
        engine.meter.fill_voided();
        let grant = taken.end();
        abandon::release(engine, &grant, fill.deadline).await;
        let voided = FillOutcome::Voided(why);
        return Ok(write::answer(engine, voided, Degraded::default()));
    }
    let (key, version) = (grant.key.clone(), Version::Fill(fill.token));
    let entry = store::make(engine, &key, fill.entry, version, position);
    match grant.marker {
        Some((revision, _)) => replace_marker(engine, taken, revision, entry, fill.deadline).await,
        None => {
            // Before the end: whoever sees that the lease is over finds the value.
            store::hold(engine, entry);
            engine.leases.land(fill.token, taken.grant().since);
            taken.end();
            let stored = FillOutcome::Stored(version.to_string());
            let degraded = Degraded {
                remote: true,
                session: false,
            };
            Ok(write::answer(engine, stored, degraded))
        }
    }
}

/// What had been processed before the source was read.
fn as_of(engine: &Engine, grant: &Grant) -> Position {
    let bugs = engine.options.bugs;
    match grant.marker {
        _ if bugs.has(Bug::AsOfAfterRead) => engine.position(),
        Some((Revision(sequence), _)) if bugs.has(Bug::AsOfFromAnotherCounter) => Position {
            sequence,
            ..grant.position
        },
        _ => grant.position,
    }
}

/// Why the fill may not stand.
fn voided(engine: &Engine, grant: &Grant, fill: &Fill, position: Position) -> Option<Voided> {
    let delimiters = &engine.options.delimiters;
    let facts = entry::facts(&grant.key, &fill.entry.tags, position, delimiters);
    if engine.ask(|machine, _| machine.is_voided(&facts)) {
        return Some(Voided::Invalidated);
    }
    let given = fill.entry.source_version?;
    let known = engine.ask(|machine, _| machine.least_source_version(grant.key.hash()));
    // What was there before tells, too, that the origin was further.
    let least = known.max(grant.source_version)?;
    if given >= least || engine.options.bugs.has(Bug::OlderSourceVersion) {
        return None;
    }
    engine.meter.older_source_version();
    Some(Voided::OlderSourceVersion(least))
}

/// Puts the entry exactly where the grant's marker is.
async fn replace_marker(
    engine: &Engine,
    taken: Taken<'_>,
    marker: Revision,
    entry: Entry,
    deadline: Moment,
) -> Result<Answer<FillOutcome>, Error> {
    let record = envelope::encode(&Content::Entry(entry.clone()));
    let hash = entry.facts.key.hash();
    let remote = tier::remote(engine);
    let put = remote.put(hash, Expect::Revision(marker), record, store::kept(&entry));
    let outcome = match tier::call(engine, deadline, put).await {
        Ok(PutOutcome::Stored(_)) => {
            remote.hint(hash);
            let version = entry.version.to_string();
            store::hold(engine, entry);
            FillOutcome::Stored(version)
        }
        // An earlier attempt, whose outcome nobody was told, may have stored it.
        Ok(PutOutcome::Conflict) if is_stored(engine, &entry, deadline).await => {
            FillOutcome::Stored(entry.version.to_string())
        }
        Ok(PutOutcome::Conflict) => {
            engine.meter.fill_voided();
            FillOutcome::Voided(Voided::Expired)
        }
        // The lease is kept: the caller may repeat it.
        Err(error) => return Err(error.into()),
    };
    taken.end();
    Ok(write::answer(engine, outcome, Degraded::default()))
}

/// Whether exactly this fill is what the tier holds.
async fn is_stored(engine: &Engine, fill: &Entry, deadline: Moment) -> bool {
    let key = &fill.facts.key;
    let get = tier::remote(engine);
    let Ok(Some(there)) = tier::call(engine, deadline, get.get(key.hash())).await else {
        return false;
    };
    match tier::decode(engine, key, &there) {
        Ok(Content::Entry(entry)) => entry.version == fill.version && entry.etag == fill.etag,
        Ok(Content::Marker(_)) | Err(_) => false,
    }
}

pub(crate) async fn renew(
    engine: &Engine,
    token: LeaseToken,
    deadline: Moment,
) -> Result<RenewOutcome, Error> {
    let mut taken = engine.leases.take(token).await?;
    let grant = taken.grant();
    let facts = entry::facts(&grant.key, &[], grant.position, &engine.options.delimiters);
    // Granted before the log was opened, nothing is known to cover it.
    let known = grant.position != Position::default();
    if known && engine.ask(|machine, _| machine.is_voided(&facts)) {
        // Kept: the holder's fill will be told the same.
        return Ok(RenewOutcome::Voided(Voided::Invalidated));
    }
    let outcome = match grant.marker {
        None => RenewOutcome::Renewed(grant.term),
        Some((revision, renewal)) => {
            put_renewal(engine, token, grant, revision, renewal + 1, deadline).await?
        }
    };
    if let RenewOutcome::Renewed(term) = outcome {
        grant.until = engine.now().plus(term);
    }
    Ok(outcome)
}

async fn put_renewal(
    engine: &Engine,
    token: LeaseToken,
    grant: &mut Grant,
    revision: Revision,
    renewal: u32,
    deadline: Moment,
) -> Result<RenewOutcome, Error> {
    let marker = NewMarker {
        key: &grant.key,
        position: grant.position,
        token,
        renewal,
        term: grant.term,
        source_version: grant.source_version,
        stale: grant.stale.clone(),
    };
    let put = marker.put(engine, Expect::Revision(revision), deadline);
    match put.await {
        Ok(PutOutcome::Stored(revision)) => {
            grant.marker = Some((revision, renewal));
            Ok(RenewOutcome::Renewed(grant.term))
        }
        Ok(PutOutcome::Conflict) => Ok(RenewOutcome::Voided(Voided::Expired)),
        Err(error) => Err(error.into()),
    }
}
