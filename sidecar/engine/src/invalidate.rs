//! Invalidate: covered here at once, then in the log, then in the fleet.

use crate::append::{self, Logged, Outgoing};
use crate::coherence::record::{Body, Invalidation, RecordId};
use crate::coherence::{Decision, Own};
use crate::engine::Engine;
use crate::error::Error;
use crate::key::{Key, NameHash, Prefix};
use crate::log::Subject;
use crate::position::Position;
use crate::request::{Ack, Invalidate, Invalidated, Mode};
use crate::tier;

pub(crate) async fn invalidate(engine: &Engine, request: Invalidate) -> Result<Invalidated, Error> {
    let permit = match request.ack {
        Ack::Log | Ack::Fleet => append::permit(engine)?,
        Ack::Local => tokio::select! {
            biased;
            permit = engine.background.permit_wait() => permit,
            () = engine.ports.clock.sleep_until(request.deadline) => return Err(Error::DeadlineExceeded),
        },
    };
    let mut under_way = append::begin(engine, outgoing(engine, &request), permit)?;
    if request.ack == Ack::Local {
        under_way.detach_then(|_| async {});
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
    if request.mode == Mode::Hard {
        clean_later(engine, request.keys, at);
    }
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
    let body = Invalidation {
        namespace: request.namespace.as_str().into(),
        keys: request.keys.iter().map(|key| key.name().into()).collect(),
        tags: request.tags.iter().map(|tag| tag.as_str().into()).collect(),
        prefixes: texts(&request.prefixes),
        all: request.all,
        soft: request.mode == Mode::Soft,
        min_source_version: request.min_source_version,
        ack_wanted: request.ack == Ack::Fleet,
    };
    Outgoing {
        id: id(engine, request),
        body: Body::Invalidate(body),
        reason: request.reason.clone(),
        trace_id: request.trace_id,
        subject: Subject::Records,
        expect_last: None,
        own: own(engine, request),
    }
}

/// What is covered here until the record is processed.
fn own(engine: &Engine, request: &Invalidate) -> Own {
    let namespace = &request.namespace;
    let hash = |prefix: &Prefix| prefix.hash(namespace, &engine.options.delimiters);
    let keys = request.keys.iter().map(Key::hash);
    let tags = request.tags.iter().map(|tag| tag.hash(namespace));
    let names: Vec<NameHash> = keys
        .chain(tags)
        .chain(request.prefixes.iter().filter_map(hash))
        .collect();
    let others = request.prefixes.iter().filter(|p| hash(p).is_none());
    Own {
        namespace: namespace.clone(),
        names,
        prefixes: others.map(|prefix| prefix.as_str().into()).collect(),
        all: request.all,
        mode: request.mode,
        answered: request.ack == Ack::Local,
        check: None,
    }
}

fn texts(prefixes: &[Prefix]) -> Vec<String> {
    let texts = prefixes.iter().map(|prefix| prefix.as_str().into());
    texts.collect()
}

/// Equal idempotency ids of equal requests are one record, unless the log lost one
/// that it calls under way: then there may be more, which say the same.
fn id(engine: &Engine, request: &Invalidate) -> RecordId {
    let Some(given) = &request.id else {
        return RecordId(engine.ports.random.bits());
    };
    let mut hasher = blake3::Hasher::new();
    let keys = request.keys.iter().map(|key| key.name());
    let tags = request.tags.iter().map(|tag| tag.as_str());
    let prefixes = request.prefixes.iter().map(Prefix::as_str);
    for part in [given.as_str(), request.namespace.as_str()]
        .into_iter()
        .chain(keys)
        .chain(["\0"])
        .chain(tags)
        .chain(["\0"])
        .chain(prefixes)
    {
        hasher
            .update(&part.len().to_be_bytes())
            .update(part.as_bytes());
    }
    let flags = [
        request.all,
        request.ack == Ack::Fleet,
        request.mode == Mode::Soft,
        request.min_source_version.is_some(),
    ];
    hasher.update(&flags.map(u8::from));
    let version = request.min_source_version.unwrap_or_default();
    hasher.update(&version.to_be_bytes());
    let mut bits = [0; 16];
    bits.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    RecordId(u128::from_be_bytes(bits))
}

/// Removes older remote records of the keys. Hygiene: correctness does not
/// need it.
fn clean_later(engine: &Engine, keys: Vec<Key>, at: Position) {
    if keys.is_empty() {
        return;
    }
    let owner = crate::write::owner(engine);
    engine.background.clean(Box::pin(async move {
        for key in keys {
            let deadline = owner.now().plus(owner.options.remote_timeout);
            let remote = tier::remote(&owner);
            let Ok(Some(there)) = tier::call(&owner, deadline, remote.get(key.hash())).await else {
                continue;
            };
            let Ok(content) = tier::decode(&owner, &key, &there) else {
                continue;
            };
            if content.facts().epoch == at.epoch && content.facts().as_of < at.sequence {
                let delete = remote.delete(key.hash(), there.revision);
                // A record that stays is judged dead by everybody.
                let _ = tier::call(&owner, deadline, delete).await;
            }
        }
    }));
}
