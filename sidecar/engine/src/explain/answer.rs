//! Looks in L1 and in the remote tier, then judges all of it at one moment.

use super::*;
use crate::coherence::{Depends, Machine};
use crate::engine::{Engine, lock};
use crate::entry::{Content, Entry, Marker};
use crate::error::Error;
use crate::limits;
use crate::look::{self, Vantage};
use crate::request::{Here, Payload};
use crate::tier;

/// What is held, taken before it is judged.
struct Taken {
    l1: Option<Arc<Entry>>,
    remote: Result<Remote, String>,
}

enum Remote {
    Nothing,
    Unreadable,
    Holds(Box<Content>),
}

impl Taken {
    fn entries(&self) -> impl Iterator<Item = &Entry> {
        let remote = match self.content() {
            Some(Content::Entry(entry)) => Some(entry),
            Some(Content::Marker(marker)) => marker.stale.as_deref(),
            None => None,
        };
        self.l1.as_deref().into_iter().chain(remote)
    }

    fn marker(&self) -> Option<&Marker> {
        match self.content()? {
            Content::Marker(marker) => Some(marker),
            Content::Entry(_) => None,
        }
    }

    fn content(&self) -> Option<&Content> {
        match &self.remote {
            Ok(Remote::Holds(content)) => Some(content),
            Ok(Remote::Nothing | Remote::Unreadable) | Err(_) => None,
        }
    }

    /// What they depend on, which is mostly the same.
    fn depends(&self) -> Vec<Arc<Depends>> {
        let mut all = Vec::new();
        for depends in self
            .entries()
            .filter_map(|entry| entry.facts.depends.as_ref())
        {
            if !all.contains(depends) {
                all.push(Arc::clone(depends));
            }
        }
        all
    }

    /// Their tags, each once.
    fn tags(&self) -> Vec<Tag> {
        let mut all = Vec::new();
        for tag in self.entries().flat_map(|entry| entry.tags.iter()) {
            if !all.contains(tag) {
                all.push(tag.clone());
            }
        }
        all
    }
}

pub(crate) async fn explain(engine: &Engine, explain: Explain) -> Result<Explanation, Error> {
    let Explain { key, deadline } = explain;
    if engine.now() >= deadline {
        return Err(Error::DeadlineExceeded);
    }
    // One after the other: it walks through L1 and the history.
    let _turn = engine.explaining.lock().await;
    let l1 = engine.l1.look_at(key.hash()).await;
    let remote = look(engine, &key, deadline).await;
    let taken = Taken { l1, remote };
    let names = Names {
        key: &key,
        tags: taken.tags(),
        depends: taken.depends(),
    };
    let (leases, now) = (&engine.leases, engine.now());
    let local = leases.local_left(key.hash(), now);
    let marker = taken.marker();
    let term = marker.map(|marker| leases.peek_left(key.hash(), marker, now));
    let judged = engine.ask(|machine, now| judge((machine, now), &names, &taken));
    Ok(Explanation {
        local_lease: (!local.is_zero()).then_some(local),
        remote: judged.remote.map(|held| with_term(held, term)),
        references: referred(engine, &key),
        family: crate::adaptive::family(engine, &key),
        ..judged
    })
}

fn referred(engine: &Engine, key: &Key) -> Referred {
    let now = engine.now();
    let all = lock(&engine.references).of(key, now);
    let count = all.len();
    let first = all.into_iter().take(limits::EXPLAINED_OWNERS);
    let owners = first.map(|held| Referring {
        left: held.until.since(now),
        reference: held.reference,
    });
    Referred {
        count,
        owners: owners.collect(),
        pinned: engine.l1.here(key.hash()) == Here::Pinned,
    }
}

/// Not by way of those who read: they could be given what was asked for here.
async fn look(engine: &Engine, key: &Key, deadline: Moment) -> Result<Remote, String> {
    let read = engine.ports.remote.get(key.hash());
    let read = tier::call(engine, deadline, read).await;
    Ok(match read.map_err(|away| away.to_string())? {
        None => Remote::Nothing,
        Some(stored) => match tier::decode(engine, key, &stored) {
            Ok(content) => Remote::Holds(Box::new(content)),
            Err(_) => Remote::Unreadable,
        },
    })
}

/// The lease, as this pod counts its term.
fn with_term(held: InTier, term: Option<(bool, Duration)>) -> InTier {
    match (held, term) {
        (InTier::Lease(mut lease), Some((own, left))) => {
            (lease.own, lease.left) = (own, left);
            InTier::Lease(lease)
        }
        (held, _) => held,
    }
}

fn judge((machine, now): (&Machine, Moment), names: &Names<'_>, taken: &Taken) -> Explanation {
    let from = look::vantage(machine, now);
    let held = |entry: &Entry| held(machine, names, entry, &from);
    let remote = taken.remote.as_ref().map_err(String::clone);
    let remote = remote.map(|remote| match remote {
        Remote::Nothing => InTier::Nothing,
        Remote::Unreadable => InTier::Unreadable,
        Remote::Holds(content) => match content.as_ref() {
            Content::Entry(entry) => InTier::Entry(Box::new(held(entry))),
            Content::Marker(marker) => {
                let stale = marker.stale.as_deref().map(held);
                InTier::Lease(Box::new(leased(machine, marker, &from, stale)))
            }
        },
    });
    let (state, fresh_for) = machine.session_state(now);
    let [invalidations_after, writes_after] = machine.changes_after();
    Explanation {
        position: from.position,
        state,
        fresh_for,
        l1: taken.l1.as_deref().map(held),
        remote,
        local_lease: None,
        floors: machine.floors_of(names),
        changes: machine.changes_of(names, &from.at),
        invalidations_after,
        writes_after,
        references: Referred::default(),
        family: None,
    }
}

fn leased(machine: &Machine, marker: &Marker, from: &Vantage, stale: Option<Held>) -> Leased {
    let facts = &marker.facts;
    // It has no others, whatever the entry has that it will be filled with.
    let own = Names {
        key: &facts.key,
        tags: Vec::new(),
        depends: Vec::new(),
    };
    Leased {
        own: false,
        term: marker.term,
        left: marker.term,
        renewals: marker.renewal,
        as_of: crate::entry::position(facts.epoch, facts.as_of),
        judgement: machine.explain(facts, &own, &from.at),
        stale,
    }
}

fn held(machine: &Machine, names: &Names<'_>, entry: &Entry, from: &Vantage) -> Held {
    let facts = &entry.facts;
    let [age, ttl_left, stale_left] = from.at.times(entry.stored, facts);
    // Only its own: it is not covered by those of another that is held.
    let own = Names {
        key: names.key,
        tags: entry.tags.to_vec(),
        depends: facts.depends.iter().cloned().collect(),
    };
    Held {
        version: entry.version.to_string(),
        etag: entry.etag,
        negative: matches!(entry.payload, Payload::NotFound),
        value_bytes: entry.payload.data().len() as u64,
        as_of: crate::entry::position(facts.epoch, facts.as_of),
        source_version: facts.source_version,
        tags: entry.tags.clone(),
        depends: depended(facts.depends.as_deref()),
        age,
        life: life(entry, ttl_left, stale_left),
        judgement: machine.explain(facts, &own, &from.at),
    }
}

fn depended(depends: Option<&Depends>) -> Vec<Depended> {
    let keys = depends.into_iter().flat_map(Depends::keys);
    let keys = keys.map(|(key, level)| Depended {
        key: key.name().into(),
        level,
    });
    keys.collect()
}

fn life(entry: &Entry, ttl_left: Duration, stale_left: Duration) -> Life {
    let (facts, why) = (&entry.facts, entry.why);
    let ends = entry.valid_until.0 < u64::MAX;
    Life {
        ttl: facts.expires.since(entry.stored),
        given: (why.ttl_by != Giver::Unknown).then_some(Duration::from_micros(why.given_us)),
        ttl_by: why.ttl_by,
        jitter: Duration::from_micros(why.jitter_us),
        stale_for: facts.gone.since(facts.expires),
        stale_for_by: why.stale_for_by,
        valid_for: ends.then(|| entry.valid_until.since(entry.stored)),
        ttl_left,
        stale_left,
    }
}
