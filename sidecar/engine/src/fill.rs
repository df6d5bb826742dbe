//! Fill and Renew: what a lease's holder does while and after it loads.
//!
//! A fill has its marker's `as_of` and is refused if anything covered the key,
//! one of its tags or what it depends on since, or if the origin that was read
//! lags. It is never
//! appended to the log: nobody holds a valid copy of what was missing.

use crate::abandon;
use crate::clock::Moment;
use crate::coherence::Bug;
use crate::depends::{Refused, looked_up};
use crate::engine::Engine;
use crate::entry::{self, Content, Entry, Version};
use crate::envelope;
use crate::error::Error;
use crate::lease::NewMarker;
use crate::leases::{Grant, Taken};
use crate::limits;
use crate::position::Position;
use crate::remote::{Expect, PutOutcome, Revision};
use crate::request::*;
use crate::{store, tier, write};

pub(crate) async fn fill(engine: &Engine, mut fill: Fill) -> Result<Answer<FillOutcome>, Error> {
    let mut taken = engine.leases.take(fill.token).await?;
    let grant = taken.grant();
    let position = as_of(engine, grant);
    // Before the floors are looked at: they are those of what is found.
    let found = looked_up!(engine, &grant.key, &mut fill.entry, fill.deadline);
    let rests = found.as_ref().is_err_and(Refused::lasts);
    let judged = match found {
        Ok(()) => judge(engine, grant, &fill, position),
        Err(refused) => Err(refused.of_fill(grant.marker.is_some())?),
    };
    let at = match judged {
        Ok(at) => at,
        Err(why) => {
            engine.meter.fill_voided();
            let grant = taken.end();
            let answer = voided(engine, &grant, why);
            give_back(engine, (fill.token, grant), rests, fill.deadline).await;
            return Ok(answer);
        }
    };
    let (key, version) = (grant.key.clone(), Version::Fill(fill.token));
    let load_time = Some(engine.now().since(grant.since));
    let entry = Entry {
        load_time,
        ..store::make(engine, &key, fill.entry, version, position)
    };
    match grant.marker {
        Some((revision, _)) => {
            let marker = (revision, at);
            replace_marker(engine, taken, marker, entry, fill.deadline).await
        }
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
            Ok(write::answer_at(engine, Some(at), stored, degraded))
        }
    }
}

/// To the next caller at once, unless that would load in vain, too.
async fn give_back(
    engine: &Engine,
    (token, grant): (LeaseToken, Grant),
    rests: bool,
    deadline: Moment,
) {
    match rests {
        true => {
            let rest = limits::RETRY_AFTER_DEFAULT;
            abandon::throttle(engine, (token, grant), rest, deadline).await;
        }
        false => abandon::release(engine, &grant, deadline).await,
    }
}

/// The holder has a value all the same, and it was read after the grant.
fn voided(engine: &Engine, grant: &Grant, why: Voided) -> Answer<FillOutcome> {
    let (position, voided) = (Some(grant.position), FillOutcome::Voided(why));
    write::answer_at(engine, position, voided, Degraded::default())
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

/// Why the fill may not stand; else this pod's position when that was judged.
fn judge(
    engine: &Engine,
    grant: &Grant,
    fill: &Fill,
    position: Position,
) -> Result<Position, Voided> {
    let delimiters = &engine.options.delimiters;
    let mut facts = entry::facts(&grant.key, &fill.entry.tags, position, delimiters);
    facts.depends = fill.entry.depends_on.found().cloned();
    let (voided, at) = engine.ask(|machine, _| {
        let at = machine.position().unwrap_or_default();
        (machine.is_voided(&facts), at)
    });
    if voided {
        return Err(Voided::Invalidated);
    }
    match lagging(engine, grant, fill) {
        Some(least) => {
            engine.meter.older_source_version();
            Err(Voided::OlderSourceVersion(least))
        }
        None => Ok(at),
    }
}

/// The source version that is known, if the fill's is below it.
fn lagging(engine: &Engine, grant: &Grant, fill: &Fill) -> Option<u64> {
    let given = fill.entry.source_version?;
    let known = engine.ask(|machine, _| machine.least_source_version(grant.key.hash()));
    // What was there before tells, too, that the origin was further.
    let least = known.max(grant.source_version)?;
    (given < least && !engine.options.bugs.has(Bug::OlderSourceVersion)).then_some(least)
}

/// Puts the entry, judged at that position, exactly where the grant's marker is.
async fn replace_marker(
    engine: &Engine,
    taken: Taken<'_>,
    (marker, at): (Revision, Position),
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
            return Ok(voided(engine, &taken.end(), Voided::Expired));
        }
        // The lease is kept: the caller may repeat it.
        Err(error) => return Err(error.into()),
    };
    taken.end();
    let degraded = Degraded::default();
    Ok(write::answer_at(engine, Some(at), outcome, degraded))
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
