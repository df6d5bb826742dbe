//! Fill, Renew, Abandon: what a lease's holder does with it.
//!
//! A fill has its marker's `as_of` and is refused if anything covered the key
//! or one of its tags since. It is never appended to the log: nobody holds a
//! valid copy of what was missing.

use crate::clock::Moment;
use crate::coherence::Bug;
use crate::engine::Engine;
use crate::entry::{self, Content, Entry, Version};
use crate::error::Error;
use crate::lease::{self, Grant};
use crate::position::Position;
use crate::read;
use crate::remote::{Expect, PutOutcome, Revision};
use crate::request::{Answer, Degraded, Fill, FillOutcome, LeaseToken, RenewOutcome, Voided};
use crate::write;

pub(crate) async fn fill(engine: &Engine, fill: Fill) -> Result<Answer<FillOutcome>, Error> {
    let grant = engine.leases.take(fill.token)?;
    let position = match engine.options.bugs.has(Bug::AsOfAfterRead) {
        true => engine.position(),
        false => grant.position,
    };
    let facts = entry::facts(
        &grant.key,
        &fill.entry.tags,
        position.epoch,
        position.sequence,
    );
    if engine.ask(|machine, _| machine.is_voided(&facts)) {
        engine.meter.fill_voided();
        release(engine, &grant, fill.deadline).await;
        return Ok(write::answer(
            engine,
            FillOutcome::Voided(Voided::Invalidated),
            Degraded::default(),
        ));
    }
    let entry = write::make(
        engine,
        &grant.key,
        fill.entry,
        Version::Fill(fill.token),
        position,
    );
    match grant.marker {
        Some((revision, _)) => {
            replace_marker(engine, fill.token, grant, revision, entry, fill.deadline).await
        }
        None => {
            write::hold(engine, &grant.key, entry);
            let stored = FillOutcome::Stored(Version::Fill(fill.token).to_string());
            Ok(write::answer(
                engine,
                stored,
                Degraded {
                    remote: true,
                    session: false,
                },
            ))
        }
    }
}

/// Puts the entry exactly where the grant's marker is.
async fn replace_marker(
    engine: &Engine,
    token: LeaseToken,
    grant: Grant,
    marker: Revision,
    entry: Entry,
    deadline: Moment,
) -> Result<Answer<FillOutcome>, Error> {
    let record = entry::encode(&grant.key, &Content::Entry(entry.clone()));
    let ttl = entry.expires.since(entry.stored);
    let remote = read::remote(engine);
    let put = remote.put(grant.key.hash(), Expect::Revision(marker), record, ttl);
    let outcome = match read::call(engine, deadline, put).await {
        Ok(PutOutcome::Stored(_)) => {
            remote.hint(grant.key.hash());
            write::hold(engine, &grant.key, entry);
            FillOutcome::Stored(Version::Fill(token).to_string())
        }
        Ok(PutOutcome::Conflict) => {
            engine.meter.fill_voided();
            FillOutcome::Voided(Voided::Expired)
        }
        Err(error) => {
            // The caller may repeat it; if it did happen, the repeat is void.
            engine.leases.give(token, grant);
            return Err(Error::RemoteUnavailable(error.to_string()));
        }
    };
    Ok(write::answer(engine, outcome, Degraded::default()))
}

pub(crate) async fn renew(
    engine: &Engine,
    token: LeaseToken,
    deadline: Moment,
) -> Result<RenewOutcome, Error> {
    let mut grant = engine.leases.take(token)?;
    let Position { epoch, sequence } = grant.position;
    let facts = entry::facts(&grant.key, &[], epoch, sequence);
    if grant.marker.is_some() && engine.ask(|machine, _| machine.is_voided(&facts)) {
        // Kept: the holder's fill will be told the same.
        engine.leases.give(token, grant);
        return Ok(RenewOutcome::Voided(Voided::Invalidated));
    }
    let outcome = match grant.marker {
        None => Ok(RenewOutcome::Renewed(grant.term)),
        Some((revision, renewal)) => {
            put_renewal(engine, token, &mut grant, revision, renewal + 1, deadline).await
        }
    };
    if let Ok(RenewOutcome::Renewed(term)) = outcome {
        grant.until = engine.now().plus(term);
    }
    engine.leases.give(token, grant);
    outcome
}

async fn put_renewal(
    engine: &Engine,
    token: LeaseToken,
    grant: &mut Grant,
    revision: Revision,
    renewal: u32,
    deadline: Moment,
) -> Result<RenewOutcome, Error> {
    let expect = Expect::Revision(revision);
    let (position, term) = (grant.position, grant.term);
    match lease::put_marker(
        engine, &grant.key, position, token, renewal, term, expect, deadline,
    )
    .await
    {
        Ok(PutOutcome::Stored(revision)) => {
            grant.marker = Some((revision, renewal));
            Ok(RenewOutcome::Renewed(term))
        }
        Ok(PutOutcome::Conflict) => Ok(RenewOutcome::Voided(Voided::Expired)),
        Err(error) => Err(Error::RemoteUnavailable(error.to_string())),
    }
}

pub(crate) async fn abandon(
    engine: &Engine,
    token: LeaseToken,
    deadline: Moment,
) -> Result<(), Error> {
    let grant = engine.leases.take(token)?;
    release(engine, &grant, deadline).await;
    Ok(())
}

/// Removes the marker, so that the next caller becomes the loader at once. If
/// the tier is away the term's end does the same.
async fn release(engine: &Engine, grant: &Grant, deadline: Moment) {
    let remote = read::remote(engine);
    if let Some((revision, _)) = grant.marker {
        let _ = read::call(engine, deadline, remote.delete(grant.key.hash(), revision)).await;
    }
    remote.hint(grant.key.hash());
}
