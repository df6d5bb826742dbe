//! Lease: a hit, or the right to load the key, one loader in the whole fleet.
//!
//! The right is a marker in the remote tier, put conditionally. Exclusivity
//! saves origin load; correctness never depends on it. With the tier or the
//! session away a lease is exclusive in this pod only, and says so.

use crate::clock::Moment;
use crate::engine::{Engine, lock};
use crate::entry::{self, Content, Marker};
use crate::error::Error;
use crate::key::{Key, NameHash};
use crate::position::Position;
use crate::read::{self, Lookup, Remains};
use crate::remote::{Expect, PutOutcome, RemoteError, Revision};
use crate::request::{Answer, Degraded, Lease, LeaseOutcome, LeaseToken};
use crate::write;
use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

/// How often a waiting call looks itself, beside the hints: from, to.
const POLL: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(250));
/// Grants are remembered this long after their term.
const REMEMBER: Duration = Duration::from_secs(60);
/// Most grants and sightings remembered each.
const MOST: usize = 65_536;

/// A lease that this pod granted.
#[derive(Clone, Debug)]
pub(crate) struct Grant {
    pub(crate) key: Key,
    /// What was processed here before the grant: the fill's `as_of`.
    pub(crate) position: Position,
    pub(crate) term: Duration,
    pub(crate) until: Moment,
    /// The marker's state in the remote tier; none for a lease of this pod.
    pub(crate) marker: Option<(Revision, u32)>,
}

/// The first sight of another pod's marker: its term is counted from here.
struct Sighting {
    token: LeaseToken,
    renewal: u32,
    first: Moment,
    term: Duration,
}

#[derive(Default)]
pub(crate) struct Leases {
    grants: Mutex<HashMap<LeaseToken, Grant>>,
    local: Mutex<HashMap<NameHash, LeaseToken>>,
    seen: Mutex<HashMap<NameHash, Sighting>>,
}

impl Leases {
    /// Takes a grant out: who holds it decides its fate.
    pub(crate) fn take(&self, token: LeaseToken) -> Result<Grant, Error> {
        let grant = lock(&self.grants)
            .remove(&token)
            .ok_or(Error::UnknownLease)?;
        let mut local = lock(&self.local);
        if local.get(&grant.key.hash()) == Some(&token) {
            local.remove(&grant.key.hash());
        }
        Ok(grant)
    }

    pub(crate) fn give(&self, token: LeaseToken, grant: Grant) {
        if grant.marker.is_none() {
            lock(&self.local).insert(grant.key.hash(), token);
        }
        lock(&self.grants).insert(token, grant);
    }

    /// Forgets what ended long ago.
    pub(crate) fn sweep(&self, now: Moment) {
        lock(&self.grants).retain(|_, grant| now < grant.until.plus(REMEMBER));
        lock(&self.seen).retain(|_, seen| now < seen.first.plus(seen.term + REMEMBER));
        let grants = lock(&self.grants);
        lock(&self.local).retain(|_, token| grants.contains_key(token));
    }

    /// Time until this marker may be taken over; zero: now.
    fn time_left(&self, key: NameHash, marker: &Marker, now: Moment) -> Duration {
        let mut seen = lock(&self.seen);
        let first = match seen.get(&key) {
            Some(s) if s.token == marker.token && s.renewal == marker.renewal => s.first,
            _ if seen.len() >= MOST => return marker.term,
            _ => {
                let (token, renewal, term) = (marker.token, marker.renewal, marker.term);
                seen.insert(
                    key,
                    Sighting {
                        token,
                        renewal,
                        first: now,
                        term,
                    },
                );
                now
            }
        };
        marker.term.saturating_sub(now.since(first))
    }

    /// The rest of the term of this pod's own local lease on the key.
    fn local_left(&self, key: NameHash, now: Moment) -> Duration {
        let grants = lock(&self.grants);
        let token = lock(&self.local).get(&key).copied();
        token
            .and_then(|token| grants.get(&token))
            .map_or(Duration::ZERO, |grant| grant.until.since(now))
    }

    /// Grants a lease of this pod unless another still lasts; its rest then.
    fn give_local(&self, token: LeaseToken, grant: Grant, now: Moment) -> Result<(), Duration> {
        let mut grants = lock(&self.grants);
        let mut local = lock(&self.local);
        let held = local
            .get(&grant.key.hash())
            .and_then(|token| grants.get(token));
        match held.map(|grant| grant.until.since(now)) {
            Some(left) if !left.is_zero() => Err(left),
            _ => {
                local.insert(grant.key.hash(), token);
                grants.insert(token, grant);
                Ok(())
            }
        }
    }
}

pub(crate) async fn lease(engine: &Engine, lease: Lease) -> Result<Answer<LeaseOutcome>, Error> {
    let until = lease.deadline.min(engine.now().plus(lease.wait));
    let mut poll = POLL.0;
    loop {
        let (outcome, degraded) = attempt(engine, &lease).await?;
        let left = until.since(engine.now());
        let LeaseOutcome::Busy(retry) = outcome else {
            return Ok(write::answer(engine, outcome, degraded));
        };
        if left.is_zero() {
            return Ok(write::answer(engine, LeaseOutcome::Busy(retry), degraded));
        }
        let next = engine.now().plus(poll.min(left).min(retry.max(POLL.0)));
        tokio::select! {
            () = engine.ports.remote.hinted(lease.key.hash()) => {}
            () = engine.ports.clock.sleep_until(next) => {}
        }
        poll = (poll * 2).min(POLL.1);
    }
}

async fn attempt(engine: &Engine, lease: &Lease) -> Result<(LeaseOutcome, Degraded), Error> {
    // `as_of` is fixed before anybody reads the source.
    let position = engine.ask(|machine, _| machine.position());
    let remains = match read::look_up(engine, &lease.key, lease.deadline).await {
        Lookup::Hit(found) => return Ok((LeaseOutcome::Hit(found), Degraded::default())),
        Lookup::Miss(remains) => remains,
        Lookup::Unavailable(_) => {
            return local(
                engine,
                lease,
                Degraded {
                    remote: true,
                    session: false,
                },
            );
        }
    };
    let now = engine.now();
    // Granted while the tier or the session was away: it still binds this pod.
    let left = engine.leases.local_left(lease.key.hash(), now);
    if !left.is_zero() {
        return Ok((LeaseOutcome::Busy(left.min(POLL.1)), Degraded::default()));
    }
    let expect = match remains {
        Remains::Nothing => Expect::Absent,
        Remains::Dead(revision) => Expect::Revision(revision),
        Remains::Marker(revision, marker) => {
            let left = engine.leases.time_left(lease.key.hash(), &marker, now);
            if !left.is_zero() {
                return Ok((LeaseOutcome::Busy(left.min(POLL.1)), Degraded::default()));
            }
            Expect::Revision(revision)
        }
        Remains::Unjudged if engine.ask(|machine, now| machine.session_fresh(now)) => {
            return Ok((LeaseOutcome::Busy(POLL.0), Degraded::default()));
        }
        Remains::Unjudged => {
            return local(
                engine,
                lease,
                Degraded {
                    remote: false,
                    session: true,
                },
            );
        }
    };
    match position {
        Some(position) => grant(engine, lease, position, expect).await,
        None => local(
            engine,
            lease,
            Degraded {
                remote: false,
                session: true,
            },
        ),
    }
}

async fn grant(
    engine: &Engine,
    lease: &Lease,
    position: Position,
    expect: Expect,
) -> Result<(LeaseOutcome, Degraded), Error> {
    let token = LeaseToken(engine.ports.random.bits());
    match put_marker(
        engine,
        &lease.key,
        position,
        token,
        0,
        lease.term,
        expect,
        lease.deadline,
    )
    .await
    {
        Ok(PutOutcome::Stored(revision)) => {
            let marker = Some((revision, 0));
            Ok((
                granted(engine, lease, token, position, marker),
                Degraded::default(),
            ))
        }
        Ok(PutOutcome::Conflict) => Ok((LeaseOutcome::Busy(POLL.0), Degraded::default())),
        Err(_) => local(
            engine,
            lease,
            Degraded {
                remote: true,
                session: false,
            },
        ),
    }
}

#[allow(
    clippy::too_many_arguments,
    reason = "the parts of a marker and where it goes"
)]
pub(crate) async fn put_marker(
    engine: &Engine,
    key: &Key,
    position: Position,
    token: LeaseToken,
    renewal: u32,
    term: Duration,
    expect: Expect,
    deadline: Moment,
) -> Result<PutOutcome, RemoteError> {
    let facts = entry::facts(key, &[], position.epoch, position.sequence);
    let marker = Content::Marker(Marker {
        facts,
        token,
        renewal,
        term,
    });
    // Longer than the term: observers count from their own first sight.
    let ttl = term * 2 + Duration::from_secs(1);
    let record = entry::encode(key, &marker);
    let remote = read::remote(engine);
    read::call(
        engine,
        deadline,
        remote.put(key.hash(), expect, record, ttl),
    )
    .await
}

/// A lease that is exclusive in this pod only.
fn local(
    engine: &Engine,
    lease: &Lease,
    degraded: Degraded,
) -> Result<(LeaseOutcome, Degraded), Error> {
    let token = LeaseToken(engine.ports.random.bits());
    let (now, term) = (engine.now(), lease.term);
    let grant = Grant {
        key: lease.key.clone(),
        position: engine.position(),
        term,
        until: now.plus(term),
        marker: None,
    };
    match engine.leases.give_local(token, grant, now) {
        Ok(()) => {
            engine.meter.lease_granted();
            Ok((LeaseOutcome::Granted(token, term), degraded))
        }
        Err(left) => Ok((LeaseOutcome::Busy(left.min(POLL.1)), degraded)),
    }
}

fn granted(
    engine: &Engine,
    lease: &Lease,
    token: LeaseToken,
    position: Position,
    marker: Option<(Revision, u32)>,
) -> LeaseOutcome {
    engine.meter.lease_granted();
    let (key, term) = (lease.key.clone(), lease.term);
    let until = engine.now().plus(term);
    engine.leases.give(
        token,
        Grant {
            key,
            position,
            term,
            until,
            marker,
        },
    );
    LeaseOutcome::Granted(token, term)
}
