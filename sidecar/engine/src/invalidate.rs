//! Invalidate: covered here at once, then in the log, then in the fleet.

use crate::append::{self, Logged, Outgoing};
use crate::coherence::record::{Body, Invalidation, RecordId};
use crate::coherence::{Decision, Own};
use crate::engine::Engine;
use crate::entry;
use crate::error::Error;
use crate::key::{Key, NameHash};
use crate::log::Subject;
use crate::position::Position;
use crate::read;
use crate::request::{Ack, Invalidate, Invalidated};

pub(crate) async fn invalidate(engine: &Engine, request: Invalidate) -> Result<Invalidated, Error> {
    let permit = match request.ack {
        Ack::Log | Ack::Fleet => append::permit(engine)?,
        Ack::Local => tokio::select! {
            permit = engine.background.permit_wait() => permit,
            () = engine.ports.clock.sleep_until(request.deadline) => return Err(Error::DeadlineExceeded),
        },
    };
    let under_way = append::begin(engine, outgoing(engine, &request), permit)?;
    if request.ack == Ack::Local {
        drop(under_way.detach());
        return Ok(Invalidated::default());
    }
    let at = match under_way.finish(request.deadline).await? {
        Logged::Decided(Decision::Accepted(at)) => at,
        Logged::Decided(Decision::Unknown) => return Err(Error::FleetUnknown),
        Logged::Decided(Decision::Refused(_)) | Logged::Conflict => {
            return Err(Error::LogUnavailable(
                "an unconditional append was refused".into(),
            ));
        }
    };
    clean_later(engine, request.keys, at);
    let (acked, lapsed) = match request.ack {
        Ack::Fleet => append::fleet(engine, at.sequence, request.deadline).await?,
        Ack::Local | Ack::Log => Default::default(),
    };
    Ok(Invalidated {
        position: Some(at),
        acked,
        lapsed,
    })
}

fn outgoing(engine: &Engine, request: &Invalidate) -> Outgoing {
    let namespace = &request.namespace;
    let keys = request.keys.iter().map(Key::hash);
    let tags = request.tags.iter().map(|tag| tag.hash(namespace));
    let own = Own {
        names: keys.chain(tags).collect(),
        namespace: request.all.then(|| NameHash::of_namespace(namespace)),
        check: None,
    };
    let body = Invalidation {
        namespace: namespace.as_str().into(),
        keys: request.keys.iter().map(|key| key.name().into()).collect(),
        tags: request.tags.iter().map(|tag| tag.as_str().into()).collect(),
        all: request.all,
        ack_wanted: request.ack == Ack::Fleet,
        ..Invalidation::default()
    };
    let (reason, subject) = (request.reason.clone(), Subject::Records);
    Outgoing {
        id: id(engine, request),
        body: Body::Invalidate(body),
        reason,
        subject,
        expect_last: None,
        own,
    }
}

/// Equal idempotency ids of equal requests are one record. A repeat while the
/// first is still under way here gets a record of its own, which is harmless.
fn id(engine: &Engine, request: &Invalidate) -> RecordId {
    let fresh = RecordId(engine.ports.random.bits());
    let Some(given) = &request.id else {
        return fresh;
    };
    let mut hasher = blake3::Hasher::new();
    let keys = request.keys.iter().map(|key| key.name());
    let tags = request.tags.iter().map(|tag| tag.as_str());
    for part in [given.as_str(), request.namespace.as_str()]
        .into_iter()
        .chain(keys)
        .chain(["\0"])
        .chain(tags)
    {
        hasher
            .update(&part.len().to_be_bytes())
            .update(part.as_bytes());
    }
    hasher.update(&[u8::from(request.all), u8::from(request.ack == Ack::Fleet)]);
    let mut bits = [0; 16];
    bits.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    let id = RecordId(u128::from_be_bytes(bits));
    if engine.ask(|machine, _| machine.is_open(id)) {
        fresh
    } else {
        id
    }
}

/// Removes older remote records of the keys. Hygiene: correctness does not
/// need it.
fn clean_later(engine: &Engine, keys: Vec<Key>, at: Position) {
    if keys.is_empty() {
        return;
    }
    let owner = crate::write::owner(engine);
    engine.background.hand(Box::pin(async move {
        for key in keys {
            let deadline = owner.now().plus(owner.options.remote_timeout);
            let remote = read::remote(&owner);
            let Ok(Some(there)) = read::call(&owner, deadline, remote.get(key.hash())).await else {
                continue;
            };
            let Ok(content) = entry::decode(&key, &there.record) else {
                continue;
            };
            if content.facts().epoch == at.epoch && content.facts().as_of < at.sequence {
                let delete = remote.delete(key.hash(), there.revision);
                // A record that stays is judged dead by everybody.
                let _ = read::call(&owner, deadline, delete).await;
            }
        }
    }));
}
