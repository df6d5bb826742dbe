//! An explanation in words. Names and reasons are quoted: they may hold a line's
//! end.

use super::super::output;
use super::json::mode;
use std::fmt::Write as _;
use std::time::Duration;
use unstale::{
    Change, Decider, Explained, ExplainedFamily, ExplainedLease, ExplainedReference,
    ExplainedReferences, ExplainedRemote, Explanation, Floor, FloorKind, Giver, Judged, TtlBound,
};

pub(super) fn of(told: &Explanation) -> String {
    let mut lines = Lines::default();
    let state = output::session_state(told.session_state).to_lowercase();
    lines.row("position", &told.position);
    let session = match told.fresh_for {
        Duration::ZERO => state,
        left => format!("{state} for {}", time(left)),
    };
    lines.row("session", &session);
    match &told.l1 {
        None => lines.row("l1", "nothing"),
        Some(held) => lines.entry("l1", held),
    }
    remote(&mut lines, &told.remote);
    if let Some(left) = told.local_lease_left {
        let lease = format!("of this pod only, {} left", time(left));
        lines.row("lease", &lease);
    }
    if let Some(told) = &told.references {
        references(&mut lines, told);
    }
    if let Some(family) = &told.family {
        lines.family(family);
    }
    lines.rows("floors", told.floors.iter().map(raised));
    lines.rows("changes", told.changes.iter().map(change));
    let known = format!(
        "invalidations after {}, writes after {}",
        told.invalidations_after, told.writes_after
    );
    lines.row("remembered", &known);
    lines.0
}

#[derive(Default)]
struct Lines(String);

impl Lines {
    fn row(&mut self, name: &str, value: &str) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.0, "{name:<18}{value}");
    }

    fn rows(&mut self, name: &str, values: impl Iterator<Item = String>) {
        let mut name = name;
        for value in values {
            self.row(std::mem::take(&mut name), &value);
        }
    }

    fn entry(&mut self, place: &str, held: &Explained) {
        self.row(place, &verdict(&held.judged, &held.as_of));
        self.row("  version", &held.version);
        self.row("  as of", &held.as_of);
        if let Some(version) = held.source_version {
            self.row("  source version", &version.to_string());
        }
        let tags: Vec<_> = held.tags.iter().map(|tag| format!("{tag:?}")).collect();
        if !tags.is_empty() {
            self.row("  tags", &tags.join(" "));
        }
        let on = held.depends_on.iter();
        let on: Vec<_> = on.map(|(key, level)| depended(key, *level)).collect();
        if !on.is_empty() {
            self.row("  depends on", &on.join(" "));
        }
        let value = match held.negative {
            true => "none: the origin has nothing".to_owned(),
            false => format!("{} bytes", held.value_bytes),
        };
        self.row("  value", &value);
        self.row("  age", &time(held.age));
        self.row("  ttl", &ttl(held));
        self.row("  stale for", &stale_for(held));
        if let Some(ends) = held.valid_for {
            self.row("  valid for", &time(ends));
        }
    }

    fn family(&mut self, family: &ExplainedFamily) {
        let name = match family.template.as_str() {
            "" => "the rest: there are too many".to_owned(),
            template => format!("{template:?}"),
        };
        self.row("family", &name);
        let cut = match family.bound {
            TtlBound::Nothing => "",
            TtlBound::Min => ", the shortest allowed",
            TtlBound::Max => ", the longest allowed",
            TtlBound::FamilyShare => ", or more than twice stale_budget would be stale",
            _ => ", cut by what this client does not know",
        };
        self.row("  ttl", &format!("{}{cut}", time(family.ttl)));
        let (changes, seen) = (family.changes_per_second, family.observations);
        self.row(
            "  changes",
            &format!("{}, of {seen:.0} seen", every(changes)),
        );
        self.row("  reads", &every(family.reads_per_second));
        let stale = format!(
            "{:.2} % of reads, if no change is told",
            100.0 * family.stale_share
        );
        self.row("  stale", &stale);
    }

    fn lease(&mut self, held: &ExplainedLease) {
        let whose = if held.own { "this pod" } else { "another pod" };
        let (left, term) = (time(held.left), time(held.term));
        let lease = format!("a lease that {whose} granted, {left} of {term} left");
        self.row("remote", &lease);
        self.row("  fill", &verdict(&held.judged, &held.as_of));
        self.row("  renewals", &held.renewals.to_string());
        if let Some(stale) = &held.stale {
            self.entry("  stale", stale);
        }
    }
}

fn references(lines: &mut Lines, told: &ExplainedReferences) {
    let kept = match told.pinned {
        true => "this pod keeps the entry",
        false => "this pod does not keep the entry",
    };
    lines.row("references", &format!("{}, {kept}", told.count));
    lines.rows("  owners", told.owners.iter().map(referring));
}

fn referring(owner: &ExplainedReference) -> String {
    let drops = match owner.drop_at_zero {
        true => ", drops the entry if it is the last",
        false => "",
    };
    let (name, pod, left) = (&owner.owner, &owner.pod, time(owner.left));
    format!("{name:?} of {pod:?}, {left} left{drops}")
}

fn remote(lines: &mut Lines, held: &ExplainedRemote) {
    match held {
        ExplainedRemote::Nothing => lines.row("remote", "nothing"),
        ExplainedRemote::Entry(held) => lines.entry("remote", held),
        ExplainedRemote::Lease(held) => lines.lease(held),
        ExplainedRemote::Unreadable => lines.row("remote", "a record that is not believed"),
        ExplainedRemote::Away(why) => lines.row("remote", &format!("away: {why}")),
        _ => lines.row("remote", "what this client does not know"),
    }
}

/// Direct ones plain.
fn depended(key: &str, level: u32) -> String {
    match level {
        1 => format!("{key:?}"),
        level => format!("{key:?} ({level} away)"),
    }
}

/// The judgement and its reason.
fn verdict(judged: &Judged, as_of: &str) -> String {
    let word = judged.judgement.as_str().to_lowercase();
    let why = match (judged.decider, &judged.floor) {
        (Decider::Nothing, _) => return word,
        (_, Some(floor)) => above(floor, as_of),
        (Decider::Epoch, _) => "it is of another epoch of the log".into(),
        (Decider::Ttl, _) => "its ttl has passed".into(),
        (Decider::End, _) => "all that it may be served for has passed".into(),
        (Decider::Session, _) => "the sidecar's session is not fresh".into(),
        (Decider::UnderWay, _) => "a change that this pod has begun is under way".into(),
        (Decider::Position, _) => "it is newer than what this pod has processed".into(),
        (Decider::Replay, _) => "this pod still reads the log".into(),
        (Decider::LogTime, _) => "this pod does not know the log's time yet".into(),
        _ => "for a reason that this client does not know".into(),
    };
    format!("{word}: {why}")
}

fn above(floor: &Floor, as_of: &str) -> String {
    let read = as_of
        .rsplit_once('-')
        .map_or(as_of, |(_, sequence)| sequence);
    match (floor.kind, floor.source_version) {
        (_, Some(least)) => format!("the log told of source version {least} before it was read"),
        (FloorKind::Horizon, _) => format!("it is from {read}, below the horizon {}", floor.hard),
        _ => format!("it is from {read}, below the floor of {}", raised(floor)),
    }
}

fn raised(floor: &Floor) -> String {
    let mut text = cover(floor.kind, &floor.name);
    if floor.kind == FloorKind::Horizon {
        return match floor.hard {
            u64::MAX => format!("{text}, nothing was read yet"),
            read => format!("{text} {read}"),
        };
    }
    if let Some(least) = floor.source_version {
        let _ = write!(text, " {least}, told at {}", floor.hard);
        return text;
    }
    for (word, sequence) in [("hard", floor.hard), ("soft", floor.soft)] {
        if sequence > 0 {
            let _ = write!(text, ", {word} {sequence}");
        }
    }
    text
}

fn cover(kind: FloorKind, name: &str) -> String {
    let kind = kind.as_str().to_lowercase().replace('_', " ");
    match name {
        "" => kind,
        name => format!("{kind} {name:?}"),
    }
}

fn ttl(held: &Explained) -> String {
    let mut text = format!("{}, {}", time(held.ttl), by(held.ttl_by));
    if !held.jitter.is_zero() {
        let _ = write!(text, ", less {} of jitter", time(held.jitter));
    }
    let cut = held
        .given_ttl
        .map(|given| given.saturating_sub(held.jitter));
    if cut.is_some_and(|whole| whole > held.ttl) {
        text += ", cut by valid_for";
    }
    format!("{text}; {} left", time(held.ttl_left))
}

fn stale_for(held: &Explained) -> String {
    let left = time(held.stale_left.saturating_sub(held.ttl_left));
    let by = by(held.stale_for_by);
    format!("{}, {by}; {left} left", time(held.stale_for))
}

fn by(giver: Giver) -> &'static str {
    match giver {
        Giver::Writer => "as its writer gave it",
        Giver::Namespace => "the namespace's default",
        Giver::NegativeTtl => "the namespace's negative_ttl",
        Giver::FailSafe => "since its load failed",
        Giver::Adaptive => "learned of its family",
        _ => "it is not known why",
    }
}

fn change(change: &Change) -> String {
    let touches = change.touches.iter();
    let touches: Vec<_> = touches.map(|(kind, name)| cover(*kind, name)).collect();
    let what = match change.write {
        true => "write".to_owned(),
        false => format!(
            "{} {}",
            mode(change.mode).to_lowercase(),
            touches.join(" and ")
        ),
    };
    let pod = match change.origin.pod.as_str() {
        "" => &change.origin.id,
        pod => pod,
    };
    let mut text = format!(
        "{} {} ago: {what}, by {}",
        change.sequence,
        time(change.age),
        pod.escape_debug()
    );
    if !change.reason.is_empty() {
        let _ = write!(text, ", {:?}", change.reason);
    }
    if !change.trace_id.is_empty() {
        let _ = write!(text, ", trace {}", change.trace_id);
    }
    text
}

/// How often, of one key.
fn every(per_second: f64) -> String {
    match per_second {
        0.0 => "not known".to_owned(),
        often if often >= 1.0 => format!("{often:.1} a second, one key"),
        seldom => match Duration::try_from_secs_f64(1.0 / seldom) {
            Ok(between) => format!("every {}, one key", time(between)),
            Err(_) => "never".to_owned(),
        },
    }
}

/// A time as people read it.
fn time(time: Duration) -> String {
    match time.as_millis() {
        0 => "0s".to_owned(),
        ms if ms < 1000 => format!("{ms}ms"),
        _ => format!("{:.1}s", time.as_secs_f64()),
    }
}
