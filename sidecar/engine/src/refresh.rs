//! A Set of what is cached already: content, tags, source version and what it
//! depends on equal to an entry that is fresh. It prolongs that entry in its place and appends
//! nothing.
//!
//! The entry keeps its version and its `as_of`, so that whatever was appended
//! meanwhile covers it as before; it is judged after a barrier, so that a write
//! that had answered OK elsewhere is known here. A life is only ever prolonged:
//! other pods hold the entry with the one it has. FLEET always appends: other
//! pods may still serve what the cached entry replaced.

use crate::adaptive;
use crate::clock::Moment;
use crate::coherence::{Bug, Freshness, Source};
use crate::engine::{Engine, lock};
use crate::entry::{Content, Entry, Version};
use crate::envelope;
use crate::look;
use crate::policy::ttl::{self, Life, Why};
use crate::position::Position;
use crate::read;
use crate::remote::{Expect, PutOutcome, Revision};
use crate::request::{Ack, Set};
use crate::store;
use crate::tier;

/// Refreshes the cached entry if the Set would change nothing; its version
/// then, and the position at which it was judged. None: write.
pub(crate) async fn refresh(engine: &Engine, set: &Set) -> Option<(Version, Position)> {
    if set.ack == Ack::Fleet || !engine.ask(|machine, now| machine.session_fresh(now)) {
        return None;
    }
    // Not worth waiting for a tier that did not answer last time.
    if lock(&engine.remote_error).is_some() {
        return None;
    }
    let (revision, mut there) = entry_there(engine, set, set.deadline).await?;
    if !there.equals(&set.entry) || !prolong(engine, set, &mut there) {
        return None;
    }
    // With the log away the beat would not come back.
    let away = engine.ask(|machine, _| machine.log_error().is_some());
    if away || !read::barrier(engine, set.deadline).await {
        return None;
    }
    let (freshness, vantage) = look::judge_at(engine, &there.facts, Source::Remote);
    let position = vantage.position;
    let processed = position.sequence;
    let known = set.position.is_none_or(|position| {
        position.epoch == there.facts.epoch
            && (there.facts.as_of..=processed).contains(&position.sequence)
    });
    let fresh = freshness == Freshness::Fresh || engine.options.bugs.has(Bug::RefreshNotJudged);
    if !known || !fresh {
        return None;
    }
    if engine.options.bugs.has(Bug::RefreshNotJudged) {
        there.facts.as_of = processed;
    }
    let record = envelope::encode(&Content::Entry(there.clone()));
    let hash = set.key.hash();
    let remote = tier::remote(engine);
    let put = remote.put(
        hash,
        Expect::Revision(revision),
        record,
        store::kept(&there),
    );
    match tier::call(engine, set.deadline, put).await {
        Ok(PutOutcome::Stored(_)) => {
            engine.meter.set_refreshed();
            let version = there.version;
            store::hold(engine, there);
            Some((version, position))
        }
        Ok(PutOutcome::Conflict) | Err(_) => None,
    }
}

async fn entry_there(engine: &Engine, set: &Set, deadline: Moment) -> Option<(Revision, Entry)> {
    let stored = tier::read(engine, &set.key, deadline).await.1.ok()??;
    match tier::decode(engine, &set.key, &stored) {
        Ok(Content::Entry(entry)) => Some((stored.revision, entry)),
        Ok(Content::Marker(_)) | Err(_) => None,
    }
}

/// Gives the entry the life of one that is stored now. False: it would end
/// sooner than other pods believe. What jitter takes off does not count.
fn prolong(engine: &Engine, set: &Set, there: &mut Entry) -> bool {
    let stored = engine.ask(|machine, now| machine.log_time(now));
    let policy = engine.policy(set.key.namespace());
    let learned = adaptive::stored(engine, &set.key, there.etag, &policy);
    let policy = (&*policy, learned);
    let facts = &mut there.facts;
    let full = ttl::life(&set.entry, policy, stored, 0);
    let shorter = full.expires < facts.expires
        || full.gone < facts.gone
        || full.valid_until < there.valid_until;
    if shorter {
        return false;
    }
    let Life {
        expires, gone, why, ..
    } = ttl::life(
        &set.entry,
        policy,
        stored,
        engine.ports.random.bits() as u64,
    );
    facts.expires = facts.expires.max(expires);
    facts.gone = facts.gone.max(gone);
    (there.stored, there.valid_until) = (stored, full.valid_until);
    // As much as it lives shorter now, whichever of the two draws counts.
    let jitter_us = full.expires.0.saturating_sub(facts.expires.0);
    there.why = Why { jitter_us, ..why };
    true
}
