//! Explain: why the entry under a key is served, or is not. For people: no
//! program should depend on what is told here staying the same.

use crate::answer::{Session, std_duration};
use crate::cache::alone;
use crate::explained::{Decider, FloorKind, Giver, Judgement, TtlBound};
use crate::invalidate::InvalidateMode;
use crate::{Cache, Error, SessionState};
use std::pin::pin;
use std::time::Duration;
use unstale_proto::v1;
use unstale_proto::v1::explained_remote::Holds;

/// What the answering pod knows of a key, without its value.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), unstale::Error> {
/// # let cache = unstale::Cache::builder().no_sidecar().connect().await?;
/// if let Ok(told) = cache.explain("user:7").await {
///     if let Some(held) = &told.l1 {
///         println!("{} by {}", held.judged.judgement, held.judged.decider);
///     }
///     for change in &told.changes {
///         println!("{} {} {}", change.sequence, change.origin.pod, change.reason);
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Explanation {
    /// The pod's position when it judged.
    pub position: String,
    /// Whether the pod may call anything fresh.
    pub session_state: SessionState,
    /// For how long without a further beat.
    pub fresh_for: Duration,
    /// What the pod's L1 holds.
    pub l1: Option<Explained>,
    /// What the remote tier holds.
    pub remote: ExplainedRemote,
    /// The rest of the term of a lease that only this pod knows of.
    pub local_lease_left: Option<Duration>,
    /// Every floor that touches the key, or a tag of what is held.
    pub floors: Vec<Floor>,
    /// The newest changes that touch them, newest first.
    pub changes: Vec<Change>,
    /// The pod remembers every invalidation after this sequence.
    pub invalidations_after: u64,
    /// The pod remembers every write after this sequence.
    pub writes_after: u64,
    /// Who refers to the key; none when nobody does.
    pub references: Option<ExplainedReferences>,
    /// What the pod has learned of keys like it; none: the namespace's ttls are
    /// not learned.
    pub family: Option<ExplainedFamily>,
}

/// Who refers to a key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExplainedReferences {
    /// Owners, in the whole fleet.
    pub count: u32,
    /// The first of them by name, at most 16.
    pub owners: Vec<ExplainedReference>,
    /// Whether the pod's L1 keeps the entry.
    pub pinned: bool,
}

/// One owner's reference.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExplainedReference {
    /// The owner.
    pub owner: String,
    /// The pod that was told.
    pub pod: String,
    /// The rest of its term, by the answering pod's clock.
    pub left: Duration,
    /// Whether the entry is dropped if this one is the last to go.
    pub drop_at_zero: bool,
}

/// What a pod has learned of the keys that one template stands for.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ExplainedFamily {
    /// The template; empty: the rest.
    pub template: String,
    /// Whether the configuration names it.
    pub configured: bool,
    /// The ttl of an entry that is stored now and whose writer gives none.
    pub ttl: Duration,
    /// What cut it.
    pub bound: TtlBound,
    /// Changes of one key per second.
    pub changes_per_second: f64,
    /// Reads of one key per second, in this pod; 0: not known.
    pub reads_per_second: f64,
    /// How often a key was stored again, and its contents were compared; the old
    /// counts less.
    pub observations: f64,
    /// The share of reads, from 0 to 1, that this ttl makes stale if nothing tells
    /// of the changes.
    pub stale_share: f64,
}

/// What the remote tier holds under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExplainedRemote {
    /// Nothing.
    Nothing,
    /// An entry.
    Entry(Box<Explained>),
    /// Somebody's right to load the key.
    Lease(Box<ExplainedLease>),
    /// What is not believed: a miss.
    Unreadable,
    /// What keeps the tier away.
    Away(String),
    /// What this client does not know yet.
    Other,
}

/// An entry, without its value.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Explained {
    /// Opaque version.
    pub version: String,
    /// Hash of the content.
    pub etag: String,
    /// Whether it says that the origin has nothing.
    pub negative: bool,
    /// Bytes of the value.
    pub value_bytes: u64,
    /// The position known before its source was read.
    pub as_of: String,
    /// The origin's version.
    pub source_version: Option<u64>,
    /// Its tags.
    pub tags: Vec<String>,
    /// The keys it depends on, and how far each is away: 1 is direct, more is
    /// through others. The nearest first.
    pub depends_on: Vec<(String, u32)>,
    /// Time since it was stored.
    pub age: Duration,
    /// How long it is fresh, as it was stored.
    pub ttl: Duration,
    /// The ttl before anything was taken off; none when that was not stored.
    pub given_ttl: Option<Duration>,
    /// Who gave the ttl.
    pub ttl_by: Giver,
    /// What was taken off at random.
    pub jitter: Duration,
    /// How long it may be served stale after its ttl.
    pub stale_for: Duration,
    /// Who gave that.
    pub stale_for_by: Giver,
    /// What ends both.
    pub valid_for: Option<Duration>,
    /// Until it expires.
    pub ttl_left: Duration,
    /// Until it is not served stale either.
    pub stale_left: Duration,
    /// How the pod judges it.
    pub judged: Judged,
}

/// Somebody's right to load a key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExplainedLease {
    /// Whether the pod granted it.
    pub own: bool,
    /// Its term.
    pub term: Duration,
    /// The rest of it, as the pod counts it.
    pub left: Duration,
    /// How often it was renewed.
    pub renewals: u32,
    /// The position known before the load began.
    pub as_of: String,
    /// How the pod judges it.
    pub judged: Judged,
    /// What may be served stale meanwhile.
    pub stale: Option<Explained>,
}

/// A judgement, and what decides it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Judged {
    /// The judgement.
    pub judgement: Judgement,
    /// What decides it.
    pub decider: Decider,
    /// The floor that does, if one does.
    pub floor: Option<Floor>,
}

/// What an entry must not be older than.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Floor {
    /// What it is a floor of.
    pub kind: FloorKind,
    /// The tag or the prefix.
    pub name: String,
    /// Below it an entry is gone; of a source version, where it was told.
    pub hard: u64,
    /// Below it an entry is stale.
    pub soft: u64,
    /// Of a source version: the least that is accepted.
    pub source_version: Option<u64>,
}

/// A change in the log that touches the key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// Its sequence in the log.
    pub sequence: u64,
    /// Time since it was appended.
    pub age: Duration,
    /// What it did to what was there.
    pub mode: InvalidateMode,
    /// Whether it was a write of the key.
    pub write: bool,
    /// By what it touches the key: a kind, and the tag or prefix.
    pub touches: Vec<(FloorKind, String)>,
    /// Who asked; without a pod's name when that is not known any more.
    pub origin: Session,
    /// Why, as the caller said.
    pub reason: String,
    /// The trace that caused it, 32 hex digits; empty when none was given.
    pub trace_id: String,
}

impl Cache {
    /// Why the entry under a key is served, or is not. Changes nothing.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), unstale::Error> {
    /// # let cache = unstale::Cache::builder().no_sidecar().connect().await?;
    /// let asked = cache.explain("user:7").await;
    /// assert!(asked.is_err(), "there is no sidecar");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn explain(&self, key: impl Into<String>) -> Result<Explanation, Error> {
        let request = self.request(v1::ExplainRequest {
            namespace: self.namespace.clone(),
            key: key.into(),
        });
        let told = self
            .answer(pin!(alone(self.admin().explain(request))))
            .await?;
        explanation(told)
    }
}

fn explanation(told: v1::ExplainResponse) -> Result<Explanation, Error> {
    Ok(Explanation {
        session_state: told.session_state().into(),
        fresh_for: std_duration(told.fresh_for),
        l1: told.l1.map(entry),
        remote: told.remote.map_or(ExplainedRemote::Other, remote),
        local_lease_left: told.local_lease_left.map(|left| std_duration(Some(left))),
        floors: told.floors.into_iter().map(floor).collect(),
        changes: told
            .changes
            .into_iter()
            .map(change)
            .collect::<Result<_, _>>()?,
        position: told.position,
        invalidations_after: told.invalidations_after,
        writes_after: told.writes_after,
        references: told.references.map(references),
        family: told.family.map(family),
    })
}

fn references(told: v1::ExplainedReferences) -> ExplainedReferences {
    let owners = told.owners.into_iter().map(|owner| ExplainedReference {
        owner: owner.owner,
        pod: owner.pod,
        left: std_duration(owner.left),
        drop_at_zero: owner.drop_at_zero,
    });
    ExplainedReferences {
        count: told.count,
        owners: owners.collect(),
        pinned: told.pinned,
    }
}

fn family(told: v1::ExplainedFamily) -> ExplainedFamily {
    ExplainedFamily {
        bound: told.bound().into(),
        ttl: std_duration(told.ttl),
        configured: told.configured,
        changes_per_second: told.changes_per_second,
        reads_per_second: told.reads_per_second,
        observations: told.observations,
        stale_share: told.stale_share,
        template: told.template,
    }
}

fn remote(told: v1::ExplainedRemote) -> ExplainedRemote {
    match told.holds {
        None => ExplainedRemote::Nothing,
        Some(Holds::Entry(held)) => ExplainedRemote::Entry(Box::new(entry(held))),
        Some(Holds::Lease(held)) => ExplainedRemote::Lease(Box::new(lease(held))),
        Some(Holds::Unreadable(v1::ExplainedUnreadable {})) => ExplainedRemote::Unreadable,
        Some(Holds::Away(why)) => ExplainedRemote::Away(why),
    }
}

fn entry(told: v1::ExplainedEntry) -> Explained {
    let life = told.life.unwrap_or_default();
    Explained {
        version: told.version,
        etag: told.etag,
        negative: told.negative,
        value_bytes: told.value_bytes,
        as_of: told.as_of,
        source_version: told.source_version,
        tags: told.tags,
        depends_on: told.depends_on.into_iter().map(depended).collect(),
        age: std_duration(told.age),
        ttl: std_duration(life.ttl),
        given_ttl: life.given_ttl.map(|ttl| std_duration(Some(ttl))),
        ttl_by: life.ttl_by().into(),
        jitter: std_duration(life.jitter),
        stale_for: std_duration(life.stale_for),
        stale_for_by: life.stale_for_by().into(),
        valid_for: life.valid_for.map(|ends| std_duration(Some(ends))),
        ttl_left: std_duration(life.ttl_left),
        stale_left: std_duration(life.stale_left),
        judged: judged(told.judgement),
    }
}

fn depended(told: v1::ExplainedDependency) -> (String, u32) {
    (told.key, told.level)
}

fn lease(told: v1::ExplainedLease) -> ExplainedLease {
    ExplainedLease {
        own: told.own,
        term: std_duration(told.term),
        left: std_duration(told.left),
        renewals: told.renewals,
        as_of: told.as_of,
        judged: judged(told.judgement),
        stale: told.stale.map(entry),
    }
}

fn judged(told: Option<v1::ExplainedJudgement>) -> Judged {
    let told = told.unwrap_or_default();
    Judged {
        judgement: told.judgement().into(),
        decider: told.decider().into(),
        floor: told.floor.map(floor),
    }
}

fn floor(told: v1::ExplainedFloor) -> Floor {
    Floor {
        kind: told.kind().into(),
        name: told.name,
        hard: told.hard,
        soft: told.soft,
        source_version: told.source_version,
    }
}

fn change(told: v1::ExplainedChange) -> Result<Change, Error> {
    let touches = told.touches.iter();
    let touches = touches.map(|touch| (touch.kind().into(), touch.name.clone()));
    let origin = told.origin.clone();
    Ok(Change {
        sequence: told.sequence,
        age: std_duration(told.age),
        mode: InvalidateMode::decode(told.mode()),
        write: told.write,
        touches: touches.collect(),
        origin: origin
            .ok_or(Error::Answer("a change has no origin"))?
            .into(),
        reason: told.reason,
        trace_id: told.trace_id,
    })
}
