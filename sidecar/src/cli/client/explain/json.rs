//! An explanation as one JSON object.

use super::super::output;
use serde_json::{Map, Value as Json, json};
use std::time::Duration;
use unstale::{
    Change, Explained, ExplainedFamily, ExplainedLease, ExplainedReference, ExplainedReferences,
    ExplainedRemote, Explanation, Floor, FloorKind, InvalidateMode, Judged,
};

pub(super) fn of(told: &Explanation) -> Json {
    json!({
        "position": told.position,
        "session_state": output::session_state(told.session_state),
        "fresh_for_seconds": told.fresh_for.as_secs_f64(),
        "l1": told.l1.as_ref().map(entry),
        "remote": remote(&told.remote),
        "local_lease_left_seconds": told.local_lease_left.map(seconds),
        "floors": told.floors.iter().map(floor).collect::<Vec<_>>(),
        "changes": told.changes.iter().map(change).collect::<Vec<_>>(),
        "invalidations_after": told.invalidations_after,
        "writes_after": told.writes_after,
        "references": told.references.as_ref().map(references),
        "family": told.family.as_ref().map(family),
    })
}

fn references(told: &ExplainedReferences) -> Json {
    let owner = |owner: &ExplainedReference| {
        json!({
            "owner": owner.owner,
            "pod": owner.pod,
            "left_seconds": seconds(owner.left),
            "drop_at_zero": owner.drop_at_zero,
        })
    };
    json!({
        "count": told.count,
        "owners": told.owners.iter().map(owner).collect::<Vec<_>>(),
        "pinned": told.pinned,
    })
}

fn family(family: &ExplainedFamily) -> Json {
    json!({
        "template": family.template,
        "configured": family.configured,
        "ttl_seconds": seconds(family.ttl),
        "bound": family.bound.as_str(),
        "changes_per_second": family.changes_per_second,
        "reads_per_second": family.reads_per_second,
        "observations": family.observations,
        "stale_share": family.stale_share,
    })
}

fn seconds(time: Duration) -> f64 {
    time.as_secs_f64()
}

fn remote(held: &ExplainedRemote) -> Json {
    match held {
        ExplainedRemote::Nothing => Json::Null,
        ExplainedRemote::Entry(held) => json!({ "entry": entry(held) }),
        ExplainedRemote::Lease(held) => json!({ "lease": lease(held) }),
        ExplainedRemote::Unreadable => json!({ "unreadable": {} }),
        ExplainedRemote::Away(why) => json!({ "away": why }),
        _ => json!({ "other": {} }),
    }
}

fn entry(held: &Explained) -> Json {
    let mut fields = judged(&held.judged);
    let more = [
        ("version", json!(held.version)),
        ("etag", json!(held.etag)),
        ("negative", json!(held.negative)),
        ("value_bytes", json!(held.value_bytes)),
        ("as_of", json!(held.as_of)),
        ("source_version", json!(held.source_version)),
        ("tags", json!(held.tags)),
        ("depends_on", depends_on(held)),
        ("age_seconds", json!(seconds(held.age))),
        ("ttl_seconds", json!(seconds(held.ttl))),
        ("given_ttl_seconds", json!(held.given_ttl.map(seconds))),
        ("ttl_by", json!(held.ttl_by.as_str())),
        ("jitter_seconds", json!(seconds(held.jitter))),
        ("stale_for_seconds", json!(seconds(held.stale_for))),
        ("stale_for_by", json!(held.stale_for_by.as_str())),
        ("valid_for_seconds", json!(held.valid_for.map(seconds))),
        ("ttl_left_seconds", json!(seconds(held.ttl_left))),
        ("stale_left_seconds", json!(seconds(held.stale_left))),
    ];
    fields.extend(more.map(|(name, value)| (name.to_owned(), value)));
    Json::Object(fields)
}

fn depends_on(held: &Explained) -> Json {
    let each = held.depends_on.iter();
    each.map(|(key, level)| json!({ "key": key, "level": level }))
        .collect()
}

fn lease(held: &ExplainedLease) -> Json {
    let mut fields = judged(&held.judged);
    let more = [
        ("own", json!(held.own)),
        ("term_seconds", json!(seconds(held.term))),
        ("left_seconds", json!(seconds(held.left))),
        ("renewals", json!(held.renewals)),
        ("as_of", json!(held.as_of)),
        ("stale", json!(held.stale.as_ref().map(entry))),
    ];
    fields.extend(more.map(|(name, value)| (name.to_owned(), value)));
    Json::Object(fields)
}

fn judged(judged: &Judged) -> Map<String, Json> {
    let by = judged.floor.as_ref().map(floor);
    let fields = [
        ("judgement", json!(judged.judgement.as_str())),
        ("decider", json!(judged.decider.as_str())),
        ("floor", json!(by)),
    ];
    Map::from_iter(fields.map(|(name, value)| (name.to_owned(), value)))
}

fn floor(floor: &Floor) -> Json {
    json!({
        "kind": floor.kind.as_str(),
        "name": floor.name,
        "hard": floor.hard,
        "soft": floor.soft,
        "source_version": floor.source_version,
    })
}

fn change(change: &Change) -> Json {
    let touch = |(kind, name): &(FloorKind, String)| json!({"kind": kind.as_str(), "name": name});
    json!({
        "sequence": change.sequence,
        "age_seconds": seconds(change.age),
        "mode": mode(change.mode),
        "write": change.write,
        "touches": change.touches.iter().map(touch).collect::<Vec<_>>(),
        "origin": output::session(&change.origin),
        "reason": change.reason,
        "trace_id": change.trace_id,
    })
}

/// What a change did, in one word.
pub(super) fn mode(mode: InvalidateMode) -> &'static str {
    match mode {
        InvalidateMode::Hard => "HARD",
        InvalidateMode::Soft => "SOFT",
    }
}
