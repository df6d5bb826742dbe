//! The hashes of a key's prefixes that end at a delimiter: names by which it can
//! be covered. Keys that are read together often begin alike, so what the key
//! before had is not hashed again.
//!
//! Guarantees: what a key gets does not depend on the keys before it. Remembers
//! one key.

use super::{Delimiters, Key, NameHash};
use crate::limits;
use std::sync::Arc;

/// Hashes the prefixes of one key after the other.
pub(crate) struct Prefixes<'a> {
    delimiters: &'a Delimiters,
    last: Option<&'a Key>,
    /// Where the last key's prefixes have their delimiters.
    ends: Vec<usize>,
    hashes: Arc<[NameHash]>,
}

impl<'a> Prefixes<'a> {
    /// No key came before.
    pub(crate) fn new(delimiters: &'a Delimiters) -> Self {
        Self {
            delimiters,
            last: None,
            ends: Vec::new(),
            hashes: Arc::default(),
        }
    }

    /// What ends a prefix.
    pub(crate) fn delimiters(&self) -> &'a Delimiters {
        self.delimiters
    }

    /// Those of the key, the first [`limits::PREFIX_DEPTH`] of them.
    pub(crate) fn of(&mut self, key: &'a Key) -> Arc<[NameHash]> {
        let alike = self.last.map_or(0, |last| alike(last, key));
        let before = self.ends.len();
        let kept = self.ends.iter().take_while(|end| **end < alike).count();
        self.ends.truncate(kept);
        self.find(key.name());
        self.last = Some(key);
        if (before, kept) != (kept, self.ends.len()) {
            self.hash(key, kept);
        }
        self.hashes.clone()
    }

    /// Where else a prefix ends.
    fn find(&mut self, name: &str) {
        let from = self.ends.last().map_or(0, |end| end + 1);
        let bytes = name.bytes().enumerate().skip(from);
        let ends = bytes.filter(|(_, byte)| self.delimiters.has(*byte));
        let room = limits::PREFIX_DEPTH - self.ends.len();
        self.ends.extend(ends.map(|(at, _)| at).take(room));
    }

    /// All but the first ones, which are those of the last key.
    fn hash(&mut self, key: &Key, kept: usize) {
        let hash = |end: &usize| NameHash::of("prefix", key.namespace(), &key.name()[..=*end]);
        let others = self.ends[kept..].iter().map(hash);
        self.hashes = self.hashes[..kept].iter().copied().chain(others).collect();
    }
}

/// How many bytes two keys have in common at their beginning.
fn alike(one: &Key, other: &Key) -> usize {
    if one.namespace() != other.namespace() {
        return 0;
    }
    let bytes = one.name().bytes().zip(other.name().bytes());
    bytes.take_while(|(one, other)| one == other).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Namespace;
    use proptest::prelude::*;

    fn key(namespace: &str, name: &str) -> Key {
        let namespace = Namespace::new(namespace).expect("a good namespace");
        Key::new(namespace, name).expect("a good key")
    }

    /// Each prefix by itself.
    fn alone(key: &Key, delimiters: &Delimiters) -> Vec<NameHash> {
        let ends = key.name().match_indices(|c| ":/.".contains(c));
        let prefixes = ends.map(|(at, _)| &key.name()[..=at]);
        let hash = |text| NameHash::of("prefix", key.namespace(), text);
        let all = prefixes.take(limits::PREFIX_DEPTH).map(hash).collect();
        assert_eq!(*delimiters, Delimiters::default());
        all
    }

    #[test]
    fn keys_that_begin_alike_share_their_hashes() {
        let delimiters = Delimiters::default();
        let (one, two) = (key("shop", "user:1/a"), key("shop", "user:1/b"));
        let mut prefixes = Prefixes::new(&delimiters);
        let (one, two) = (prefixes.of(&one), prefixes.of(&two));
        assert!(Arc::ptr_eq(&one, &two));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn a_key_gets_its_own_whatever_came_before(
            names in proptest::collection::vec(("[ab]", "[ab:/é]{1,40}"), 1..8),
        ) {
            let delimiters = Delimiters::default();
            let keys: Vec<_> = names.iter().map(|(space, name)| key(space, name)).collect();
            let mut prefixes = Prefixes::new(&delimiters);
            for key in &keys {
                let shared = prefixes.of(key);
                prop_assert_eq!(&shared[..], &alone(key, &delimiters)[..]);
            }
        }
    }
}
