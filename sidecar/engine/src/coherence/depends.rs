//! What an entry depends on: keys of its namespace, and what those depend on.
//!
//! Guarantees: names, no more of them than the limits allow, in an order of its
//! own. An entry is judged by their floors as by those of its tags, so whatever
//! covers one of them covers the entry, by the same record. Nobody keeps a list
//! of who depends on whom, so there is none to walk, and a cycle is a set.

use crate::key::{Delimiters, Key, NameHash, Prefixes, Tag};
use crate::limits;

/// All that an entry depends on, directly or through others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Depends {
    /// With how far they are away: 1 is direct. The nearest first.
    keys: Box<[(Key, u8)]>,
    /// Of the entries under the keys.
    tags: Box<[Tag]>,
    /// All of these, and the keys' prefixes that end at a delimiter.
    names: Box<[NameHash]>,
}

impl Depends {
    /// None: more than the limits allow. Each key and each tag is given once.
    pub(crate) fn new(
        mut keys: Vec<(Key, u8)>,
        mut tags: Vec<Tag>,
        delimiters: &Delimiters,
    ) -> Option<Self> {
        if !is_within_limits(&keys, &tags) {
            return None;
        }
        keys.sort_unstable_by(|(one, near), (other, far)| {
            (near, one.name()).cmp(&(far, other.name()))
        });
        tags.sort_unstable();
        let names = names(&keys, &tags, delimiters);
        (names.len() <= limits::DEPENDENCY_NAMES).then(|| Self {
            names,
            keys: keys.into(),
            tags: tags.into(),
        })
    }

    /// The keys, and how far each is away: 1 is direct. The nearest first.
    pub(crate) fn keys(&self) -> impl ExactSizeIterator<Item = (&Key, u8)> {
        self.keys.iter().map(|(key, level)| (key, *level))
    }

    /// The tags of the entries under the keys.
    pub(crate) fn tags(&self) -> &[Tag] {
        &self.tags
    }

    /// Every hashed name, each once.
    pub(crate) fn names(&self) -> &[NameHash] {
        &self.names
    }

    /// Bytes of memory that it takes.
    pub(crate) fn size(&self) -> usize {
        let texts = texts(&self.keys, &self.tags);
        let places = self.keys.len() * size_of::<(Key, u8)>() + self.tags.len() * size_of::<Tag>();
        texts + places + self.names.len() * size_of::<NameHash>() + size_of::<Self>()
    }
}

fn is_within_limits(keys: &[(Key, u8)], tags: &[Tag]) -> bool {
    let depth = keys.iter().map(|(_, level)| usize::from(*level)).max();
    keys.len() <= limits::DEPENDENCY_KEYS
        && tags.len() <= limits::DEPENDENCY_TAGS
        && depth.unwrap_or(0) <= limits::DEPENDENCY_DEPTH
        && texts(keys, tags) <= limits::DEPENDENCY_BYTES
}

fn texts(keys: &[(Key, u8)], tags: &[Tag]) -> usize {
    let keys = keys.iter().map(|(key, _)| key.name().len());
    keys.chain(tags.iter().map(|tag| tag.as_str().len())).sum()
}

fn names(keys: &[(Key, u8)], tags: &[Tag], delimiters: &Delimiters) -> Box<[NameHash]> {
    let mut prefixes = Prefixes::new(delimiters);
    let mut all = Vec::new();
    for (key, _) in keys {
        all.push(key.hash());
        all.extend(prefixes.of(key).iter());
    }
    if let Some((key, _)) = keys.first() {
        all.extend(tags.iter().map(|tag| tag.hash(key.namespace())));
    }
    all.sort_unstable();
    all.dedup();
    all.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Namespace;

    fn key(name: &str) -> Key {
        Key::new(Namespace::new("shop").expect("a namespace"), name).expect("a key")
    }

    fn depends(keys: &[(String, u8)], tags: &[String]) -> Option<Depends> {
        let keys = keys.iter().map(|(name, level)| (key(name), *level));
        let tags = tags.iter().map(|tag| Tag::new(tag).expect("a tag"));
        Depends::new(keys.collect(), tags.collect(), &Delimiters::default())
    }

    fn numbered(count: usize) -> Vec<(String, u8)> {
        (0..count).map(|n| (format!("k{n}"), 1)).collect()
    }

    #[test]
    fn order_makes_no_difference() {
        let [mut keys, tags] = [numbered(3), Vec::new()];
        let one = depends(
            &keys,
            &tags.iter().map(|(tag, _)| tag.clone()).collect::<Vec<_>>(),
        );
        keys.reverse();
        assert_eq!(one, depends(&keys, &[]));
    }

    #[test]
    fn keys_their_prefixes_and_tags_are_names_each_once() {
        let keys = [("a:1".into(), 1), ("a:2".into(), 2)];
        let all = depends(&keys, &["red".into()]).expect("it is small");
        // Two keys, the prefix that they share, the tag.
        assert_eq!(all.names().len(), 4);
        let levels: Vec<_> = all.keys().map(|(key, level)| (key.name(), level)).collect();
        assert_eq!(levels, [("a:1", 1), ("a:2", 2)]);
    }

    #[test]
    fn each_limit_is_one() {
        let most = numbered(limits::DEPENDENCY_KEYS);
        assert!(depends(&most, &[]).is_some());
        assert_eq!(depends(&numbered(limits::DEPENDENCY_KEYS + 1), &[]), None);
        let tags: Vec<_> = (0..=limits::DEPENDENCY_TAGS)
            .map(|n| n.to_string())
            .collect();
        assert_eq!(depends(&numbered(1), &tags), None);
        assert!(depends(&numbered(1), &tags[1..]).is_some());
        let deep = limits::DEPENDENCY_DEPTH as u8;
        assert!(depends(&[("a".into(), deep)], &[]).is_some());
        assert_eq!(depends(&[("a".into(), deep + 1)], &[]), None);
        let long = |n: usize| ("k".repeat(limits::KEY_BYTES - n), 1);
        let full: Vec<_> = (0..limits::DEPENDENCY_BYTES / limits::KEY_BYTES)
            .map(long)
            .collect();
        assert!(depends(&full, &[]).is_some());
        assert_eq!(depends(&[full, numbered(9)].concat(), &[]), None);
        // Each has four prefixes of its own beside its name.
        let many: Vec<_> = (0..limits::DEPENDENCY_KEYS)
            .map(|n| (format!("{n}a:b:c:d:e"), 1))
            .collect();
        assert_eq!(depends(&many, &[]), None, "64 keys with 5 names each");
    }
}
