//! An explanation, as the protocol says it.

use crate::say::{joined, seconds};
use serde_json::{Value as Json, json};
use unstale::{
    Change, Explained, ExplainedFamily, ExplainedLease, ExplainedRemote, Explanation, Floor,
    InvalidateMode, Judged, SessionState,
};

pub(crate) fn explained(told: &Explanation) -> Json {
    let state = match told.session_state {
        SessionState::Joining => "JOINING",
        SessionState::Fresh => "FRESH",
        SessionState::Lapsed => "LAPSED",
        SessionState::Left => "LEFT",
        _ => "OTHER",
    };
    json!({
        "session_state": state,
        "position": told.position,
        "l1": told.l1.as_ref().map(entry),
        "remote": remote(&told.remote),
        "floors": told.floors.iter().map(floor).collect::<Vec<_>>(),
        "changes": told.changes.iter().map(change).collect::<Vec<_>>(),
        "family": told.family.as_ref().map(family),
    })
}

fn family(family: &ExplainedFamily) -> Json {
    json!({
        "template": family.template, "configured": family.configured, "ttl": seconds(family.ttl),
        "bound": family.bound.as_str(), "changes_per_second": family.changes_per_second,
        "reads_per_second": family.reads_per_second, "observations": family.observations,
        "stale_share": family.stale_share,
    })
}

fn remote(held: &ExplainedRemote) -> Json {
    match held {
        ExplainedRemote::Nothing => json!({"kind": "nothing"}),
        ExplainedRemote::Entry(held) => joined(json!({"kind": "entry"}), entry(held)),
        ExplainedRemote::Lease(held) => joined(json!({"kind": "lease"}), lease(held)),
        ExplainedRemote::Unreadable => json!({"kind": "unreadable"}),
        ExplainedRemote::Away(_) => json!({"kind": "away"}),
        _ => json!({"kind": "other"}),
    }
}

fn entry(held: &Explained) -> Json {
    let told = json!({
        "version": held.version, "etag": held.etag, "negative": held.negative,
        "value_bytes": held.value_bytes, "as_of": held.as_of, "tags": held.tags,
        "source_version": held.source_version, "age": seconds(held.age),
        "ttl": seconds(held.ttl), "given_ttl": held.given_ttl.map(seconds),
        "ttl_by": held.ttl_by.as_str(), "jitter": seconds(held.jitter),
        "stale_for": seconds(held.stale_for), "stale_for_by": held.stale_for_by.as_str(),
        "valid_for": held.valid_for.map(seconds), "ttl_left": seconds(held.ttl_left),
        "stale_left": seconds(held.stale_left), "depends_on": depends_on(held),
    });
    joined(told, judged(&held.judged))
}

fn depends_on(held: &Explained) -> Json {
    let each = held.depends_on.iter();
    each.map(|(key, level)| json!({"key": key, "level": level}))
        .collect()
}

fn lease(held: &ExplainedLease) -> Json {
    let told = json!({
        "own": held.own, "term": seconds(held.term), "left": seconds(held.left),
        "renewals": held.renewals, "as_of": held.as_of,
        "stale": held.stale.as_ref().map(entry),
    });
    joined(told, judged(&held.judged))
}

fn judged(judged: &Judged) -> Json {
    json!({
        "judgement": judged.judgement.as_str(), "decider": judged.decider.as_str(),
        "floor": judged.floor.as_ref().map(floor),
    })
}

fn floor(floor: &Floor) -> Json {
    json!({
        "kind": floor.kind.as_str(), "name": floor.name, "hard": floor.hard,
        "soft": floor.soft, "source_version": floor.source_version,
    })
}

fn change(change: &Change) -> Json {
    let touches = change.touches.iter();
    let touches = touches.map(|(kind, name)| json!({"kind": kind.as_str(), "name": name}));
    let mode = match change.mode {
        InvalidateMode::Hard => "HARD",
        InvalidateMode::Soft => "SOFT",
    };
    json!({
        "sequence": change.sequence, "age": seconds(change.age), "mode": mode,
        "write": change.write, "touches": touches.collect::<Vec<_>>(),
        "pod": change.origin.pod, "reason": change.reason, "trace_id": change.trace_id,
    })
}
