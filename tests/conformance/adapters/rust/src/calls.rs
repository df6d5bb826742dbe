//! The calls that are one call of the client each.

use crate::say::{self, answer, joined, refused};
use crate::{Answered, Refused, args, explain};
use serde_json::{Value as Json, json};
use unstale::{
    AbandonOptions, Cache, CasOutcome, Codec, Decoded, Error, Expected, Filled, Leased, Lookup,
    NotStoredReason, Pinning, Released, Renewal, RetainOptions, SessionState, SetItem, SetOptions,
    SetOutcome,
};

/// Makes the call.
pub(crate) async fn call(cache: &Cache, call: &str, args: &Json) -> Answered {
    match call {
        "get" => get(cache, args).await,
        "get_many" => get_many(cache, args).await,
        "set" => set(cache, args).await,
        "set_many" => set_many(cache, args).await,
        "compare_and_set" => compare_and_set(cache, args).await,
        "lease" => {
            let leased = cache
                .lease_with(args::text(args, "key"), args::lease(args))
                .await;
            told(leased.map(|leased| answer(leased, |leased| lease(&leased))))
        }
        "lease_many" => lease_many(cache, args).await,
        "renew" => told(
            cache
                .renew(args::text(args, "lease_token"))
                .await
                .map(renewal),
        ),
        "fill" => fill(cache, args).await,
        "abandon" => abandon(cache, args).await,
        "invalidate" => invalidate(cache, args).await,
        "status" => status(cache).await,
        "peers" => peers(cache).await,
        "explain" => {
            let told = cache.explain(args::text(args, "key")).await;
            told.map(|told| explain::explained(&told))
                .map_err(|error| refused(&error))
        }
        "retain" => retain(cache, args).await,
        "let_go" => let_go(cache, args).await,
        other => Err(Refused::Unsupported(format!("the call {other}"))),
    }
}

fn told(answer: Result<Json, Error>) -> Answered {
    answer.map_err(|error| refused(&error))
}

/// An entry whose value was decoded.
fn decoded(found: &Decoded<Json>) -> Json {
    joined(json!({"json": found.value}), say::about(&found.entry))
}

async fn get(cache: &Cache, args: &Json) -> Answered {
    let (key, options) = (args::text(args, "key"), args::read(args));
    if args["as"] == "json" {
        let found = cache
            .typed::<Json>(Codec::Json)
            .get_with(key, options)
            .await;
        return told(found.map(|found| answer(found, |found| say::lookup(&found, decoded))));
    }
    let found = cache.get_with(key, options).await;
    told(found.map(|found| answer(found, |found| say::lookup(&found, say::entry))))
}

async fn get_many(cache: &Cache, args: &Json) -> Answered {
    let keys = args::texts(args, "keys");
    if args["as"] == "json" {
        let found = cache
            .typed::<Json>(Codec::Json)
            .get_many(keys.clone())
            .await;
        return told(found.map(|found| answer(found, |found| looked_up(&keys, &found, decoded))));
    }
    let found = cache.get_many_with(keys.clone(), args::read(args)).await;
    told(found.map(|found| answer(found, |found| looked_up(&keys, &found, say::entry))))
}

fn looked_up<E>(keys: &[String], found: &[Lookup<E>], say: impl Fn(&E) -> Json) -> Json {
    let each = keys.iter().zip(found);
    let each = each.map(|(key, found)| joined(json!({"key": key}), say::lookup(found, &say)));
    json!({"results": each.collect::<Vec<_>>()})
}

async fn set(cache: &Cache, args: &Json) -> Answered {
    let (content, content_type) = args::content(args)?;
    let mut options = SetOptions::from(args::entry(args, content_type)).ack(args::ack(args));
    options.position = args::given(args, "position");
    options.if_absent = args["if_absent"] == true;
    let outcome = cache
        .set_with(args::text(args, "key"), content, options)
        .await;
    told(outcome.map(|outcome| answer(outcome, |outcome| stored(&outcome))))
}

async fn set_many(cache: &Cache, args: &Json) -> Answered {
    let given = args["items"].as_array().cloned().unwrap_or_default();
    let items = given.iter().map(|item| {
        let (content, content_type) = args::content(item)?;
        let mut one = SetItem::new(args::text(item, "key"), content);
        one = one.entry(args::entry(item, content_type));
        one.position = args::given(item, "position");
        one.if_absent = item["if_absent"] == true;
        Ok(one)
    });
    let items = items.collect::<Result<Vec<_>, Refused>>()?;
    let outcomes = cache.set_many(items, args::ack(args)).await;
    told(outcomes.map(|outcomes| {
        answer(outcomes, |outcomes| {
            let each = given.iter().zip(&outcomes).map(|(item, outcome)| {
                let said = match outcome {
                    Ok(outcome) => stored(outcome),
                    Err(error) => joined(say::error(error), json!({"kind": "error"})),
                };
                joined(json!({"key": item["key"]}), said)
            });
            json!({"results": each.collect::<Vec<_>>()})
        })
    }))
}

fn stored(outcome: &SetOutcome) -> Json {
    let (reason, current) = match outcome {
        SetOutcome::Stored { version } => return json!({"kind": "stored", "version": version}),
        SetOutcome::NotStored { reason, current } => (reason, current),
    };
    let (reason, least) = why(reason);
    let current = current.as_deref().map(say::entry);
    json!({"kind": "not_stored", "reason": reason, "current": current, "min_source_version": least})
}

fn why(reason: &NotStoredReason) -> (&str, Option<u64>) {
    match reason {
        NotStoredReason::Covered => ("COVERED", None),
        NotStoredReason::PositionTooOld => ("POSITION_TOO_OLD", None),
        NotStoredReason::PositionUnknown => ("POSITION_UNKNOWN", None),
        NotStoredReason::Present => ("PRESENT", None),
        NotStoredReason::DependencyChanged => ("DEPENDENCY_CHANGED", None),
        NotStoredReason::TooManyDependencies => ("TOO_MANY_DEPENDENCIES", None),
        NotStoredReason::SidecarUnavailable => ("SIDECAR_UNAVAILABLE", None),
        NotStoredReason::Failed { reason } => (reason.as_str(), None),
        NotStoredReason::OlderSourceVersion { min_source_version } => {
            ("OLDER_SOURCE_VERSION", Some(*min_source_version))
        }
        _ => ("OTHER", None),
    }
}

async fn compare_and_set(cache: &Cache, args: &Json) -> Answered {
    let expected = match (args::given(args, "version"), args::given(args, "etag")) {
        (Some(version), _) => Expected::Version(version),
        (_, Some(etag)) => Expected::Etag(etag),
        _ => Expected::Absent,
    };
    let (content, content_type) = args::content(args)?;
    let entry = args::entry(args, content_type);
    let key = args::text(args, "key");
    let outcome = cache
        .compare_and_set(key, expected, content, entry, args::ack(args))
        .await;
    told(outcome.map(|outcome| answer(outcome, |outcome| swapped(&outcome))))
}

fn swapped(outcome: &CasOutcome) -> Json {
    let (reason, current) = match outcome {
        CasOutcome::Stored { version } => return json!({"kind": "stored", "version": version}),
        CasOutcome::Conflict { reason, current } => (reason, current),
    };
    let (reason, least) = reason.as_ref().map(why).unzip();
    let current = say::lookup(current, say::entry);
    let least = least.flatten();
    json!({"kind": "conflict", "reason": reason, "current": current, "min_source_version": least})
}

fn lease(leased: &Leased) -> Json {
    match leased {
        Leased::Hit(entry) => joined(json!({"kind": "hit"}), say::entry(entry)),
        Leased::Negative(negative) => say::lookup(&Lookup::Negative(negative.clone()), say::entry),
        Leased::Granted(grant) => json!({
            "kind": "granted", "lease_token": grant.token, "term": say::seconds(grant.term),
            "stale": grant.stale.as_ref().map(say::entry),
        }),
        Leased::Busy { retry_after, stale } => json!({
            "kind": "busy", "retry_after": say::seconds(*retry_after),
            "stale": stale.as_ref().map(say::entry),
        }),
    }
}

async fn lease_many(cache: &Cache, args: &Json) -> Answered {
    let keys = args::texts(args, "keys");
    let leased = cache.lease_many(keys.clone(), args::lease(args)).await;
    told(leased.map(|leased| {
        answer(leased, |leased| {
            let each = keys.iter().zip(&leased);
            let each = each.map(|(key, leased)| joined(json!({"key": key}), lease(leased)));
            json!({"results": each.collect::<Vec<_>>()})
        })
    }))
}

fn renewal(renewal: Renewal) -> Json {
    match renewal {
        Renewal::Renewed { term } => json!({"kind": "renewed", "term": say::seconds(term)}),
        Renewal::Voided(voided) => say::voided(voided),
    }
}

async fn fill(cache: &Cache, args: &Json) -> Answered {
    let (content, content_type) = args::content(args)?;
    let entry = args::entry(args, content_type);
    let filled = cache
        .fill(args::text(args, "lease_token"), content, entry)
        .await;
    told(filled.map(|filled| {
        answer(filled, |filled| match filled {
            Filled::Stored { version } => json!({"kind": "stored", "version": version}),
            Filled::Voided(voided) => say::voided(voided),
        })
    }))
}

async fn abandon(cache: &Cache, args: &Json) -> Answered {
    let options = AbandonOptions {
        serve_stale_for: args::seconds(args, "serve_stale_for"),
        retry_after: args::seconds(args, "retry_after"),
    };
    let given_back = cache
        .abandon_with(args::text(args, "lease_token"), options)
        .await;
    told(given_back.map(|()| json!({})))
}

async fn invalidate(cache: &Cache, args: &Json) -> Answered {
    let done = cache.invalidate(args::invalidate(args)).await;
    told(done.map(|done| {
        let pods = |sessions: &[unstale::Session]| {
            sessions
                .iter()
                .map(|session| session.pod.clone())
                .collect::<Vec<_>>()
        };
        let (acked, lapsed) = (pods(&done.acked), pods(&done.lapsed));
        json!({"position": done.position, "acked": acked, "lapsed": lapsed})
    }))
}

async fn retain(cache: &Cache, args: &Json) -> Answered {
    let options = RetainOptions {
        owner: None,
        term: args::seconds(args, "term"),
        drop_at_zero: args["drop_at_zero"] == true,
    };
    let (key, owner) = (args::text(args, "key"), args::text(args, "owner"));
    told(cache.retain_as(key, owner, options).await.map(|told| {
        let said = match told.here {
            Pinning::Pinned => json!({"kind": "pinned"}),
            not => json!({"kind": "not_pinned", "reason": not.as_str()}),
        };
        let (references, term) = (told.references, say::seconds(told.term));
        joined(json!({"references": references, "term": term}), said)
    }))
}

async fn let_go(cache: &Cache, args: &Json) -> Answered {
    let (key, owner) = (args::text(args, "key"), args::text(args, "owner"));
    told(cache.release(key, owner).await.map(|told| match told {
        Released::NotRetained => json!({"kind": "not_retained"}),
        Released::Done {
            references,
            dropped,
        } => json!({
            "kind": "released", "references": references, "dropped_position": dropped,
        }),
    }))
}

async fn status(cache: &Cache) -> Answered {
    told(cache.status().await.map(|status| {
        let state = match status.session_state {
            SessionState::Joining => "JOINING",
            SessionState::Fresh => "FRESH",
            SessionState::Lapsed => "LAPSED",
            SessionState::Left => "LEFT",
            _ => "OTHER",
        };
        json!({
            "version": status.version, "fleet": status.fleet, "session_state": state,
            "position": status.position, "log": status.log, "remote": status.remote,
            "pod": status.session.map(|session| session.pod),
        })
    }))
}

async fn peers(cache: &Cache) -> Answered {
    told(cache.peers().await.map(|peers| {
        let each = peers.iter().map(
            |peer| json!({"pod": peer.session.pod, "own": peer.own, "expelled": peer.expelled}),
        );
        json!({"peers": each.collect::<Vec<_>>()})
    }))
}
