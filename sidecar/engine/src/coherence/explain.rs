//! Why the hit rule judges as it does: for people who ask.
//!
//! Guarantees: changes nothing, and decides nothing. The judgement is that of
//! `judge.rs`; here its reason is found beside it, at the same moment.

mod depends;

use super::floors::Floor;
use super::history::Asked;
use super::judge::{At, Facts, Freshness, Source};
use super::record::Invalidation;
use super::{History, Machine};
use crate::explain::{Change, Cover, Decider, Floor as Told, Judgement, Names};
use crate::key::Prefixes;
use crate::limits::EXPLAINED_CHANGES;
use crate::request::{Mode, Session, StaleReason};
use std::sync::Arc;

impl Machine {
    /// The judgement of an entry or marker with these names, and what decides it.
    pub(crate) fn explain(&self, facts: &Facts, names: &Names<'_>, at: &At) -> Judgement {
        let freshness = self.judge_at(facts, Source::Remote, at);
        let decider = match freshness {
            Freshness::Fresh => Decider::Nothing,
            Freshness::Stale(StaleReason::Expired) => Decider::Ttl,
            Freshness::Stale(StaleReason::SessionNotFresh) => Decider::Session,
            Freshness::Stale(StaleReason::SoftInvalidated) => self.softened_by(facts, names),
            Freshness::Dead => self.killed_by(facts, names),
            Freshness::Pending => Decider::UnderWay,
            Freshness::Future => Decider::Position,
            Freshness::Unjudged if self.is_replaying(facts) => Decider::Replay,
            Freshness::Unjudged => Decider::LogTime,
        };
        Judgement { freshness, decider }
    }

    fn softened_by(&self, facts: &Facts, names: &Names<'_>) -> Decider {
        let floors = self.floors_of(names).into_iter();
        let above = floors.filter(|floor| floor.cover.is_of_names());
        let highest = above.max_by_key(|floor| floor.soft);
        match highest.filter(|floor| facts.as_of < floor.soft) {
            Some(floor) => Decider::Floor(floor),
            None => Decider::UnderWay,
        }
    }

    /// In the order in which the hit rule looks.
    fn killed_by(&self, facts: &Facts, names: &Names<'_>) -> Decider {
        if self.epoch != Some(facts.epoch) {
            return Decider::Epoch;
        }
        let floors = self.floors_of(names);
        let covers = |floor: &&Told| floor.cover.is_of_names() && facts.as_of < floor.hard;
        let highest = floors.iter().filter(covers).max_by_key(|floor| floor.hard);
        let lagging = |floor: &&Told| floor.is_above(facts.source_version, facts.as_of);
        let horizon = |floor: &&Told| floor.cover == Cover::Horizon && facts.as_of < floor.hard;
        let found = highest
            .or_else(|| floors.iter().find(lagging))
            .or_else(|| floors.iter().find(horizon));
        found.cloned().map_or(Decider::End, Decider::Floor)
    }

    fn is_replaying(&self, facts: &Facts) -> bool {
        let below = facts.as_of < self.horizon();
        let version = facts.source_version.is_some() && self.backfill_to.is_some();
        self.epoch.is_none() || below || version
    }

    /// Every floor that touches one of the names and was raised.
    pub(crate) fn floors_of(&self, names: &Names<'_>) -> Vec<Told> {
        let key = names.key;
        let namespace = crate::key::NameHash::of_namespace(key.namespace());
        let told = |cover, Floor { hard, soft }| Told { cover, hard, soft };
        let mut all = vec![told(Cover::Key, self.floors.of_name(key.hash()))];
        all.extend(names.tags.iter().map(|tag| {
            let floor = self.floors.of_name(tag.hash(key.namespace()));
            told(Cover::Tag(tag.clone()), floor)
        }));
        let delimiters = &self.settings.delimiters;
        let texts = key.prefix_texts(delimiters);
        let hashes = Prefixes::new(delimiters).of(key);
        let hashed = texts.zip(hashes.iter().copied());
        all.extend(hashed.map(|(text, hash)| {
            let floor = self.floors.of_name(hash);
            told(Cover::Prefix(text.into()), floor)
        }));
        let exact = self.floors.exact_prefixes(namespace, key.name());
        all.extend(exact.map(|(text, floor)| told(Cover::Prefix(text.into()), floor)));
        all.extend(self.floors_of_depends(names));
        let [everything, own] = self.floors.of_namespace(namespace);
        all.extend([
            told(Cover::Namespace, own),
            told(Cover::Everything, everything),
        ]);
        all.extend(self.versions.told(key.hash()).map(|(version, at)| {
            let (hard, soft) = (at, 0);
            told(Cover::SourceVersion(version), Floor { hard, soft })
        }));
        let (hard, soft) = (self.horizon(), 0);
        all.push(told(Cover::Horizon, Floor { hard, soft }));
        all.retain(|floor| floor.hard.max(floor.soft) > 0);
        all.dedup();
        all
    }

    /// The newest changes that touch one of the names, newest first.
    pub(crate) fn changes_of(&self, names: &Names<'_>, at: &At) -> Vec<Change> {
        let history = &self.history;
        let of_names = history.invalidations().filter_map(|(sequence, change)| {
            let touches = touches(&change.what, names);
            let soft = change.what.soft;
            let mode = if soft { Mode::Soft } else { Mode::Hard };
            (!touches.is_empty()).then(|| Change {
                mode,
                touches,
                reason: change.reason.as_deref().map(str::to_owned),
                ..told(history, sequence, change.asked, at)
            })
        });
        let writes = history.writes().filter_map(|(sequence, key, asked)| {
            Some(Change {
                write: true,
                touches: vec![depends::written(key, names)?],
                ..told(history, sequence, asked, at)
            })
        });
        let mut all: Vec<_> = of_names.take(EXPLAINED_CHANGES).collect();
        all.extend(writes.take(EXPLAINED_CHANGES));
        all.sort_unstable_by_key(|change| std::cmp::Reverse(change.sequence));
        all.truncate(EXPLAINED_CHANGES);
        all
    }

    /// After which sequences all invalidations, and all writes, are known.
    pub(crate) fn changes_after(&self) -> [u64; 2] {
        let horizon = self.horizon();
        self.history.after().map(|after| after.max(horizon))
    }
}

fn told(history: &History, sequence: u64, asked: Asked, at: &At) -> Change {
    let pod = history.pod(asked.origin);
    let pod = pod.map_or_else(String::new, |pod| pod.as_ref().to_owned());
    Change {
        sequence,
        age: at.since(asked.time),
        mode: Mode::Hard,
        write: false,
        touches: Vec::new(),
        origin: Session {
            id: asked.origin,
            pod,
        },
        reason: None,
        trace_id: asked.trace_id,
    }
}

/// By what an invalidation covers one of the names.
fn touches(what: &Arc<Invalidation>, names: &Names<'_>) -> Vec<Cover> {
    let key = names.key;
    if what.namespace != key.namespace().as_str() {
        return Vec::new();
    }
    let named = what.keys.iter().any(|name| name == key.name());
    let mut all: Vec<_> = named.then_some(Cover::Key).into_iter().collect();
    let carried = names.tags.iter();
    let carried = carried.filter(|tag| what.tags.iter().any(|name| name == tag.as_str()));
    all.extend(carried.cloned().map(Cover::Tag));
    let begins = what.prefixes.iter().filter(|p| key.name().starts_with(*p));
    all.extend(begins.map(|prefix| Cover::Prefix(prefix.as_str().into())));
    all.extend(depends::touches(what, &names.depends));
    all.extend(what.all.then_some(Cover::Namespace));
    all
}
