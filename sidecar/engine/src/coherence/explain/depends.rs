//! The floors and the changes of what an entry depends on.

use crate::coherence::floors::Floor;
use crate::coherence::record::Invalidation;
use crate::coherence::{Depends, Machine};
use crate::explain::{Cover, Floor as Told, Names};
use crate::key::{Key, NameHash, Prefix};
use std::sync::Arc;

impl Machine {
    /// Every floor of what the names' entries depend on that was raised, once.
    pub(super) fn floors_of_depends(&self, names: &Names<'_>) -> Vec<Told> {
        let mut all = Vec::new();
        for depends in &names.depends {
            for (key, _) in depends.keys() {
                self.push_floors(&mut all, key);
            }
            all.extend(depends.tags().iter().map(|tag| {
                let floor = self.floors.of_name(tag.hash(names.key.namespace()));
                told(Cover::DependencyTag(tag.clone()), floor)
            }));
        }
        let mut once: Vec<Told> = Vec::new();
        for floor in all {
            let raised = floor.hard.max(floor.soft) > 0;
            if raised && !once.contains(&floor) {
                once.push(floor);
            }
        }
        once
    }

    fn push_floors(&self, all: &mut Vec<Told>, key: &Key) {
        let cover = Cover::DependencyKey(key.name().into());
        all.push(told(cover, self.floors.of_name(key.hash())));
        let delimiters = &self.settings.delimiters;
        let hashed = key.prefix_texts(delimiters).filter_map(|text| {
            let prefix = Prefix::new(text).ok()?;
            let hash = prefix.hash(key.namespace(), delimiters)?;
            Some((text, self.floors.of_name(hash)))
        });
        let namespace = NameHash::of_namespace(key.namespace());
        let exact = self.floors.exact_prefixes(namespace, key.name());
        let prefixes = hashed.chain(exact);
        all.extend(prefixes.map(|(text, floor)| told(Cover::DependencyPrefix(text.into()), floor)));
    }
}

fn told(cover: Cover, Floor { hard, soft }: Floor) -> Told {
    Told { cover, hard, soft }
}

/// By what an invalidation of their namespace covers what is depended on.
pub(super) fn touches(what: &Invalidation, all: &[Arc<Depends>]) -> Vec<Cover> {
    let keys = || all.iter().flat_map(|depends| depends.keys());
    let tags = all.iter().flat_map(|depends| depends.tags());
    let named = keys().filter(|(key, _)| what.keys.iter().any(|name| name == key.name()));
    let named = named.map(|(key, _)| Cover::DependencyKey(key.name().into()));
    let carried = tags.filter(|tag| what.tags.iter().any(|name| name == tag.as_str()));
    let carried = carried.cloned().map(Cover::DependencyTag);
    let begins = |prefix: &&String| keys().any(|(key, _)| key.name().starts_with(*prefix));
    let begun = what.prefixes.iter().filter(begins);
    let begun = begun.map(|prefix| Cover::DependencyPrefix(prefix.as_str().into()));
    named.chain(carried).chain(begun).collect()
}

/// What a write of this key touches.
pub(super) fn written(key: NameHash, names: &Names<'_>) -> Option<Cover> {
    if key == names.key.hash() {
        return Some(Cover::Key);
    }
    let mut keys = names.depends.iter().flat_map(|depends| depends.keys());
    let found = keys.find(|(depended, _)| depended.hash() == key)?;
    Some(Cover::DependencyKey(found.0.name().into()))
}
