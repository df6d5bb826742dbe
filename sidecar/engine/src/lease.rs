//! Lease: a hit, or the right to load the key, one loader in the whole fleet.
//!
//! The right is a marker in the remote tier, put conditionally; it carries what
//! may be served stale meanwhile. Exclusivity saves origin load; correctness
//! never depends on it. With the tier or the session away a lease is exclusive
//! in this pod only, and says so.

use crate::clock::Moment;
use crate::coherence::{Bug, Freshness, Source};
use crate::early;
use crate::engine::{Engine, lock};
use crate::entry::{self, Content, Entry, Marker, Version};
use crate::envelope;
use crate::error::Error;
use crate::key::Key;
use crate::leases::Grant;
use crate::look::{self, Lookup, Missed, Remains, Stale};
use crate::position::Position;
use crate::read;
use crate::remote::{Expect, PutOutcome, RemoteError};
use crate::request::{
    Answer, Degraded, Found, Lease, LeaseOutcome, LeaseToken, Payload, StaleReason, Tier,
};
use crate::unheard::Putting;
use crate::{tier, write};
use std::time::Duration;

/// How often a waiting call looks itself, beside the hints: from, to.
const POLL: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(250));

/// Why a lease is exclusive in this pod only.
const NO_TIER: Degraded = Degraded {
    remote: true,
    session: false,
};
const NO_SESSION: Degraded = Degraded {
    remote: false,
    session: true,
};

pub(crate) async fn lease(engine: &Engine, lease: Lease) -> Result<Answer<LeaseOutcome>, Error> {
    let arrived = engine.now();
    if let Some(position) = lease.min_position {
        read::reach(engine, position, lease.deadline).await?;
    }
    let until = lease.deadline.min(engine.now().plus(lease.wait));
    let mut poll = POLL.0;
    loop {
        let (outcome, degraded) = attempt(engine, (&lease, arrived), true).await?;
        let left = until.since(engine.now());
        let LeaseOutcome::Busy(retry, stale) = outcome else {
            return Ok(answer(engine, outcome, degraded));
        };
        // Nobody waits who can be given something.
        if left.is_zero() || stale.is_some() {
            let busy = LeaseOutcome::Busy(retry, stale);
            return Ok(answer(engine, busy, degraded));
        }
        let next = engine.now().plus(poll.min(left).min(retry.max(POLL.0)));
        tokio::select! {
            biased;
            () = engine.ports.remote.hinted(lease.key.hash()) => {}
            () = engine.ports.clock.sleep_until(next) => {}
            () = engine.closed() => return Err(Error::ShuttingDown),
        }
        poll = (poll * 2).min(POLL.1);
    }
}

fn answer(engine: &Engine, outcome: LeaseOutcome, degraded: Degraded) -> Answer<LeaseOutcome> {
    let found_at = outcome.found().map(|found| found.position);
    write::answer_at(engine, found_at, outcome, degraded)
}

type Attempt = (LeaseOutcome, Degraded);

/// `may_refresh`: what is fresh may be loaded anew.
async fn attempt(
    engine: &Engine,
    (lease, arrived): (&Lease, Moment),
    may_refresh: bool,
) -> Result<Attempt, Error> {
    // A pod that leaves grants nothing more, not even in itself.
    if engine.is_closing() {
        return Err(Error::ShuttingDown);
    }
    // `as_of` is fixed before anybody reads the source.
    let position = engine.ask(|machine, _| machine.position());
    let missed = match look::look_up(engine, &lease.key, || true, lease.deadline).await {
        Lookup::Hit(found) if may_refresh && early::is_due(engine, lease, &found) => {
            // Boxed: only few hits wait for it.
            return Box::pin(refresh(engine, (lease, arrived), &found)).await;
        }
        Lookup::Hit(found) => return Ok((LeaseOutcome::Hit(found), Degraded::default())),
        Lookup::Miss(missed) => missed,
    };
    let Missed {
        remains,
        stale,
        source_version,
    } = *missed;
    // Stale news that there is nothing is of no use to anybody.
    let stale = stale.filter(|stale| stale.entry.payload != Payload::NotFound);
    let known = Known {
        stale,
        source_version,
    };
    let fresh = engine.ask(|machine, now| machine.session_fresh(now));
    let (Ok(remains), Some(position), true) = (&remains, position, fresh) else {
        let degraded = if remains.is_err() {
            NO_TIER
        } else {
            NO_SESSION
        };
        return local(engine, (lease, arrived), known, degraded);
    };
    let now = engine.now();
    // Granted while the tier or the session was away: it still binds this pod.
    let left = engine.leases.local_left(lease.key.hash(), now);
    if !left.is_zero() {
        return Ok(busy(engine, left, known.stale));
    }
    let expect = match remains {
        Remains::Nothing => Expect::Absent,
        Remains::Dead(revision) => Expect::Revision(*revision),
        Remains::Marker(revision, marker) => {
            let left = marker_left(engine, &lease.key, marker);
            if !left.is_zero() {
                return Ok(busy(engine, left, known.stale));
            }
            Expect::Revision(*revision)
        }
        Remains::Pending | Remains::Unjudged => return Ok(busy(engine, POLL.0, known.stale)),
    };
    grant(engine, (lease, arrived), position, expect, known).await
}

/// A grant before the entry expires; else what there is by now.
async fn refresh(
    engine: &Engine,
    (lease, arrived): (&Lease, Moment),
    found: &Found,
) -> Result<Attempt, Error> {
    match early::granted(engine, lease, found).await {
        Some(granted) => Ok((granted, Degraded::default())),
        None => Box::pin(attempt(engine, (lease, arrived), false)).await,
    }
}

/// Time until this marker may be taken over; zero: now.
pub(crate) fn marker_left(engine: &Engine, key: &Key, marker: &Marker) -> Duration {
    let kept = kept(engine, marker.term, marker.stale.as_deref());
    let now = engine.now();
    engine.leases.time_left(key.hash(), marker, kept, now)
}

/// What is known of the entry that is to be loaded.
struct Known {
    /// It may be served meanwhile.
    stale: Option<Stale>,
    /// The origin was this far when it was stored.
    source_version: Option<u64>,
}

fn busy(engine: &Engine, left: Duration, stale: Option<Stale>) -> Attempt {
    let stale = stale.map(|stale| look::found_stale(engine, &stale));
    let outcome = LeaseOutcome::Busy(left.min(POLL.1), stale);
    (outcome, Degraded::default())
}

/// Busy when too many leases of the key were granted lately.
fn limited(
    engine: &Engine,
    lease: &Lease,
    stale: &Option<Stale>,
) -> Result<Option<Attempt>, Error> {
    if !engine.leases.has_room() {
        engine.meter.overloaded();
        let retry_after = Duration::from_millis(100);
        return Err(Error::Overloaded { retry_after });
    }
    let most = engine.policy(lease.key.namespace()).grants_per_second;
    let allowed = lock(&engine.leases.rate).allows(lease.key.hash(), most, engine.now());
    let Err(wait) = allowed else { return Ok(None) };
    engine.meter.grant_limited();
    Ok(Some(busy(engine, wait, stale.clone())))
}

async fn grant(
    engine: &Engine,
    (lease, arrived): (&Lease, Moment),
    position: Position,
    expect: Expect,
    Known {
        stale,
        source_version,
    }: Known,
) -> Result<Attempt, Error> {
    if let Some(busy) = limited(engine, lease, &stale)? {
        return Ok(busy);
    }
    let copy = stale.as_ref().map(|stale| Box::new(stale.entry.clone()));
    let known = (copy, source_version);
    match put(engine, (lease, position, lease.deadline), expect, known).await {
        Ok(Some(token)) => {
            let stale = stale.map(|stale| look::found_stale(engine, &stale));
            let granted = LeaseOutcome::Granted(token, lease.term, stale);
            Ok((granted, Degraded::default()))
        }
        Ok(None) => Ok(busy(engine, POLL.0, stale)),
        Err(_) => {
            let known = Known {
                stale,
                source_version,
            };
            local(engine, (lease, arrived), known, NO_TIER)
        }
    }
}

/// Puts a new marker, and remembers the grant. None: somebody was faster. With
/// an error it may have been put all the same, and is taken away again.
pub(crate) async fn put(
    engine: &Engine,
    (lease, position, deadline): (&Lease, Position, Moment),
    expect: Expect,
    (stale, source_version): (Option<Box<Entry>>, Option<u64>),
) -> Result<Option<LeaseToken>, RemoteError> {
    let token = new_token(engine, lease);
    let marker = NewMarker {
        key: &lease.key,
        position,
        token,
        renewal: 0,
        term: lease.term,
        source_version,
        stale: stale.clone(),
    };
    let putting = Putting::new(engine, &lease.key, token);
    let put = marker.put(engine, expect, deadline).await?;
    putting.ended();
    let PutOutcome::Stored(revision) = put else {
        return Ok(None);
    };
    count(engine, lease);
    let grant = Grant {
        key: lease.key.clone(),
        position,
        since: engine.now(),
        term: lease.term,
        until: engine.now().plus(lease.term),
        marker: Some((revision, 0)),
        stale,
        source_version,
    };
    engine.leases.give(token, grant);
    Ok(Some(token))
}

fn count(engine: &Engine, lease: &Lease) {
    engine.meter.lease_granted();
    lock(&engine.leases.rate).count(lease.key.hash(), engine.now());
}

/// 128 unpredictable bits for this grant of this key.
fn new_token(engine: &Engine, lease: &Lease) -> LeaseToken {
    if engine.options.bugs.has(Bug::OneTokenForABatch) {
        return LeaseToken(u128::from(lease.term.subsec_nanos()) + 1);
    }
    if engine.options.bugs.has(Bug::TokenReused) {
        let granted = engine.meter.read().leases_granted;
        let text = format!("{} {:?} {granted}", engine.options.pod, lease.key);
        let hash = blake3::hash(text.as_bytes());
        let first = hash.as_bytes().first_chunk().expect("a hash is longer");
        return LeaseToken(u128::from_be_bytes(*first));
    }
    LeaseToken(engine.ports.random.bits())
}

/// A marker to put.
pub(crate) struct NewMarker<'a> {
    pub(crate) key: &'a Key,
    pub(crate) position: Position,
    pub(crate) token: LeaseToken,
    pub(crate) renewal: u32,
    pub(crate) term: Duration,
    pub(crate) source_version: Option<u64>,
    pub(crate) stale: Option<Box<Entry>>,
}

/// How long the tier has to keep a marker: longer than its term, because
/// observers count from their own first sight, and as long as what it carries.
fn kept(engine: &Engine, term: Duration, stale: Option<&Entry>) -> Duration {
    let now = engine.ask(|machine, now| machine.log_time(now));
    let stale = stale.map(|stale| stale.facts.gone.since(now));
    (term * 2 + Duration::from_secs(1)).max(stale.unwrap_or_default())
}

impl NewMarker<'_> {
    pub(crate) async fn put(
        self,
        engine: &Engine,
        expect: Expect,
        deadline: Moment,
    ) -> Result<PutOutcome, RemoteError> {
        let ttl = kept(engine, self.term, self.stale.as_deref());
        let delimiters = &engine.options.delimiters;
        let record = envelope::encode(&Content::Marker(Marker {
            facts: entry::facts(self.key, &[], self.position, delimiters),
            token: self.token,
            renewal: self.renewal,
            term: self.term,
            source_version: self.source_version,
            stale: self.stale,
        }));
        let remote = tier::remote(engine);
        let put = remote.put(self.key.hash(), expect, record, ttl);
        tier::call(engine, deadline, put).await
    }
}

/// A lease that is exclusive in this pod only.
fn local(
    engine: &Engine,
    (lease, arrived): (&Lease, Moment),
    known: Known,
    degraded: Degraded,
) -> Result<Attempt, Error> {
    if engine.is_closing() {
        return Err(Error::ShuttingDown);
    }
    let hash = lease.key.hash();
    let seen = engine.leases.newest_token(hash);
    if let Some(left) = seen.and_then(|seen| still_held(engine, &lease.key, seen)) {
        return Ok((busy(engine, left, known.stale).0, degraded));
    }
    // Filled since this call looked: the fill came before the lease's end.
    if let Some(found) = look::fresh_in_l1(engine, &lease.key) {
        return Ok((LeaseOutcome::Hit(found), Degraded::default()));
    }
    if let Some(found) = read_since(engine, &lease.key, arrived) {
        return Ok((LeaseOutcome::Hit(found), degraded));
    }
    if let Some((outcome, _)) = limited(engine, lease, &known.stale)? {
        return Ok((outcome, degraded));
    }
    let token = LeaseToken(engine.ports.random.bits());
    let grant = local_grant(engine, lease, &known);
    if !engine.leases.give_after(seen, token, grant) {
        return Ok((busy(engine, POLL.0, known.stale).0, degraded));
    }
    count(engine, lease);
    let stale = known.stale.map(|stale| look::found_stale(engine, &stale));
    let granted = LeaseOutcome::Granted(token, lease.term, stale);
    Ok((granted, degraded))
}

/// A value that was read from its source after the call arrived: it answers that
/// call as its own reading would, also while the session is lost. Not if anything
/// covers it: beside it stands the position that this pod has reached, and what
/// is made of the value with that position must not stand over the cover.
fn read_since(engine: &Engine, key: &Key, arrived: Moment) -> Option<Found> {
    let held = engine.l1.get(key.hash())?;
    let Version::Fill(token) = held.version else {
        return None;
    };
    let (judged, vantage) = look::judge_at(engine, &held.facts, Source::L1);
    let uncovered = matches!(
        judged,
        Freshness::Fresh | Freshness::Stale(StaleReason::SessionNotFresh)
    );
    let is_since = uncovered && engine.leases.landed_since(token, arrived);
    is_since.then(|| look::found(&held, Tier::L1, &vantage))
}

fn local_grant(engine: &Engine, lease: &Lease, known: &Known) -> Grant {
    let stale = known.stale.as_ref();
    Grant {
        key: lease.key.clone(),
        position: engine.position(),
        since: engine.now(),
        term: lease.term,
        until: engine.now().plus(lease.term),
        marker: None,
        stale: stale.map(|stale| Box::new(stale.entry.clone())),
        source_version: known.source_version,
    }
}

/// Whether this pod granted a lease of the key that has not ended.
pub(crate) fn is_held_here(engine: &Engine, key: &Key) -> bool {
    let token = engine.leases.newest_token(key.hash());
    token.is_some_and(|token| still_held(engine, key, token).is_some())
}

/// The rest of a lease that this pod granted, with a marker or without, unless
/// its fill would be refused.
fn still_held(engine: &Engine, key: &Key, token: LeaseToken) -> Option<Duration> {
    let (left, position) = engine.leases.left(token, engine.now())?;
    let facts = entry::facts(key, &[], position, &engine.options.delimiters);
    let voided = engine.ask(|machine, _| machine.is_voided(&facts));
    // Before the log was opened nothing can be known to be void.
    (!voided || position == Position::default()).then_some(left)
}
