//! Explain: why the entry under a key is served, or is not.

use super::deadline::{Call, Deadline};
use super::encode;
use super::violations::Violations;
use tonic::Status;
use unstale_engine::coherence::Freshness;
use unstale_engine::explain::*;
use unstale_engine::{Engine, limits};
use unstale_proto::v1;
use unstale_proto::v1::explained_remote::Holds;

pub(super) async fn explain(
    engine: &Engine,
    call: Call<v1::ExplainRequest>,
) -> Result<v1::ExplainResponse, Status> {
    let Call { timeout, request } = call;
    let deadline = Deadline::of(timeout, engine, limits::DEADLINE_DEFAULT)?;
    let mut wrong = Violations::default();
    let namespace = wrong.namespace(&request.namespace);
    let key = wrong.key(namespace.as_ref(), &request.key);
    let explain = Explain {
        key: wrong.finish(key)?,
        deadline: deadline.at,
    };
    let told = deadline.bound(engine.explain(explain)).await?;
    Ok(response(told))
}

fn response(told: Explanation) -> v1::ExplainResponse {
    v1::ExplainResponse {
        position: told.position.to_string(),
        session_state: encode::session_state(told.state).into(),
        fresh_for: Some(encode::duration(told.fresh_for)),
        l1: told.l1.map(held),
        remote: Some(remote(told.remote)),
        local_lease_left: told.local_lease.map(encode::duration),
        floors: told.floors.into_iter().map(floor).collect(),
        changes: told.changes.into_iter().map(change).collect(),
        invalidations_after: told.invalidations_after,
        writes_after: told.writes_after,
        references: references(told.references),
        family: told.family.map(family),
    }
}

fn references(referred: Referred) -> Option<v1::ExplainedReferences> {
    let owners = referred.owners.into_iter();
    let owners = owners.map(|referring| v1::ExplainedReference {
        owner: referring.reference.owner.as_str().to_owned(),
        pod: referring.reference.pod.as_ref().to_owned(),
        left: Some(encode::duration(referring.left)),
        drop_at_zero: referring.reference.drop_at_zero,
    });
    let owners = owners.collect();
    (referred.count > 0).then(|| v1::ExplainedReferences {
        count: encode::count(referred.count),
        owners,
        pinned: referred.pinned,
    })
}

fn remote(told: Result<InTier, String>) -> v1::ExplainedRemote {
    let holds = match told {
        Ok(InTier::Nothing) => None,
        Ok(InTier::Entry(entry)) => Some(Holds::Entry(held(*entry))),
        Ok(InTier::Lease(lease)) => Some(Holds::Lease(leased(*lease))),
        Ok(InTier::Unreadable) => Some(Holds::Unreadable(v1::ExplainedUnreadable {})),
        Err(away) => Some(Holds::Away(away)),
    };
    v1::ExplainedRemote { holds }
}

fn held(held: Held) -> v1::ExplainedEntry {
    v1::ExplainedEntry {
        version: held.version,
        etag: encode::etag(held.etag),
        negative: held.negative,
        value_bytes: held.value_bytes,
        as_of: held.as_of.to_string(),
        source_version: held.source_version,
        tags: held.tags.iter().map(|tag| tag.as_str().into()).collect(),
        age: Some(encode::duration(held.age)),
        life: Some(life(held.life)),
        judgement: Some(judgement(held.judgement)),
        depends_on: held.depends.into_iter().map(depended).collect(),
    }
}

fn depended(on: Depended) -> v1::ExplainedDependency {
    v1::ExplainedDependency {
        key: on.key.as_ref().to_owned(),
        level: on.level.into(),
    }
}

fn life(life: Life) -> v1::ExplainedLife {
    v1::ExplainedLife {
        ttl: Some(encode::duration(life.ttl)),
        given_ttl: life.given.map(encode::duration),
        ttl_by: giver(life.ttl_by).into(),
        jitter: Some(encode::duration(life.jitter)),
        stale_for: Some(encode::duration(life.stale_for)),
        stale_for_by: giver(life.stale_for_by).into(),
        valid_for: life.valid_for.map(encode::duration),
        ttl_left: Some(encode::duration(life.ttl_left)),
        stale_left: Some(encode::duration(life.stale_left)),
    }
}

fn giver(giver: Giver) -> v1::Giver {
    match giver {
        Giver::Unknown => v1::Giver::Unspecified,
        Giver::Writer => v1::Giver::Writer,
        Giver::Namespace => v1::Giver::Namespace,
        Giver::NegativeTtl => v1::Giver::NegativeTtl,
        Giver::FailSafe => v1::Giver::FailSafe,
        Giver::Adaptive => v1::Giver::Adaptive,
    }
}

fn family(family: Family) -> v1::ExplainedFamily {
    let bound = match family.bound {
        Bound::Nothing => v1::TtlBound::Unspecified,
        Bound::Min => v1::TtlBound::Min,
        Bound::Max => v1::TtlBound::Max,
        Bound::FamilyShare => v1::TtlBound::FamilyShare,
    };
    v1::ExplainedFamily {
        template: family.template.as_ref().into(),
        configured: family.configured,
        ttl: Some(encode::duration(family.ttl)),
        bound: bound.into(),
        changes_per_second: family.changes_per_second,
        reads_per_second: family.reads_per_second,
        observations: family.observations,
        stale_share: family.stale_share,
    }
}

fn leased(lease: Leased) -> v1::ExplainedLease {
    v1::ExplainedLease {
        own: lease.own,
        term: Some(encode::duration(lease.term)),
        left: Some(encode::duration(lease.left)),
        renewals: lease.renewals,
        as_of: lease.as_of.to_string(),
        judgement: Some(judgement(lease.judgement)),
        stale: lease.stale.map(held),
    }
}

fn judgement(judged: Judgement) -> v1::ExplainedJudgement {
    let judgement = match judged.freshness {
        Freshness::Fresh => v1::Judgement::Fresh,
        Freshness::Stale(_) => v1::Judgement::Stale,
        Freshness::Dead => v1::Judgement::Dead,
        Freshness::Pending => v1::Judgement::Pending,
        Freshness::Future => v1::Judgement::Ahead,
        Freshness::Unjudged => v1::Judgement::Unjudged,
    };
    let (decider, by) = match judged.decider {
        Decider::Nothing => (v1::Decider::Unspecified, None),
        Decider::Floor(by) => (v1::Decider::Floor, Some(floor(by))),
        Decider::Epoch => (v1::Decider::Epoch, None),
        Decider::Ttl => (v1::Decider::Ttl, None),
        Decider::End => (v1::Decider::End, None),
        Decider::Session => (v1::Decider::Session, None),
        Decider::UnderWay => (v1::Decider::UnderWay, None),
        Decider::Position => (v1::Decider::Position, None),
        Decider::Replay => (v1::Decider::Replay, None),
        Decider::LogTime => (v1::Decider::LogTime, None),
    };
    v1::ExplainedJudgement {
        judgement: judgement.into(),
        decider: decider.into(),
        floor: by,
    }
}

fn floor(floor: Floor) -> v1::ExplainedFloor {
    let source_version = match floor.cover {
        Cover::SourceVersion(version) => Some(version),
        _ => None,
    };
    let (kind, name) = cover(floor.cover);
    v1::ExplainedFloor {
        kind: kind.into(),
        name,
        hard: floor.hard,
        soft: floor.soft,
        source_version,
    }
}

fn cover(cover: Cover) -> (v1::FloorKind, String) {
    let kind = match cover {
        Cover::Tag(tag) => return (v1::FloorKind::Tag, tag.as_str().to_owned()),
        Cover::Prefix(prefix) => return (v1::FloorKind::Prefix, prefix.as_ref().to_owned()),
        Cover::DependencyKey(key) => {
            return (v1::FloorKind::DependencyKey, key.as_ref().to_owned());
        }
        Cover::DependencyTag(tag) => {
            return (v1::FloorKind::DependencyTag, tag.as_str().to_owned());
        }
        Cover::DependencyPrefix(prefix) => {
            return (v1::FloorKind::DependencyPrefix, prefix.as_ref().to_owned());
        }
        Cover::Key => v1::FloorKind::Key,
        Cover::Namespace => v1::FloorKind::Namespace,
        Cover::Everything => v1::FloorKind::Everything,
        Cover::Horizon => v1::FloorKind::Horizon,
        Cover::SourceVersion(_) => v1::FloorKind::SourceVersion,
    };
    (kind, String::new())
}

fn change(change: Change) -> v1::ExplainedChange {
    let touches = change.touches.into_iter().map(cover);
    let touches = touches.map(|(kind, name)| v1::ExplainedTouch {
        kind: kind.into(),
        name,
    });
    let trace_id = change.trace_id.map(|id| format!("{id:032x}"));
    v1::ExplainedChange {
        sequence: change.sequence,
        age: Some(encode::duration(change.age)),
        mode: encode::mode(change.mode).into(),
        write: change.write,
        touches: touches.collect(),
        origin: Some(encode::session(change.origin)),
        reason: change.reason.unwrap_or_default(),
        trace_id: trace_id.unwrap_or_default(),
    }
}
