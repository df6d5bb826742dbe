//! Which invalidations a watcher is spared: only those that its filter proves
//! to cover nothing it holds.
//!
//! The filter names what is held. A list that is empty says nothing, so it
//! proves nothing: without tags any tag may be carried, without keys and
//! prefixes any key may be held.

use crate::coherence::record::Invalidation;
use crate::coherence::{Bug, Bugs};
use crate::request::WatchFilter;

/// Whether the invalidation may cover something that is held.
pub(super) fn is_relevant(filter: &WatchFilter, what: &Invalidation, bugs: Bugs) -> bool {
    let any_key = filter.keys.is_empty() && filter.prefixes.is_empty();
    let any_tag = filter.tags.is_empty();
    if bugs.has(Bug::FilterDropsKeys) && !any_tag {
        return what.tags.iter().any(|tag| has_tag(filter, tag));
    }
    what.all
        || what.keys.iter().any(|key| any_key || may_hold(filter, key))
        || what
            .prefixes
            .iter()
            .any(|prefix| any_key || overlaps(filter, prefix))
        || what.tags.iter().any(|tag| any_tag || has_tag(filter, tag))
}

fn may_hold(filter: &WatchFilter, key: &str) -> bool {
    let prefixed = |prefix: &crate::key::Prefix| key.starts_with(prefix.as_str());
    filter.keys.iter().any(|held| held.name() == key) || filter.prefixes.iter().any(prefixed)
}

/// Whether a held key, or one that begins with a held prefix, may begin so.
fn overlaps(filter: &WatchFilter, prefix: &str) -> bool {
    let meet = |held: &str| held.starts_with(prefix) || prefix.starts_with(held);
    filter
        .keys
        .iter()
        .any(|held| held.name().starts_with(prefix))
        || filter.prefixes.iter().any(|held| meet(held.as_str()))
}

fn has_tag(filter: &WatchFilter, tag: &str) -> bool {
    filter.tags.iter().any(|held| held.as_str() == tag)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{Key, Namespace, Prefix, Tag};

    fn filter(keys: &[&str], prefixes: &[&str], tags: &[&str]) -> WatchFilter {
        let shop = Namespace::new("shop").expect("a namespace");
        let key = |name: &&str| Key::new(shop.clone(), name).expect("a key");
        WatchFilter {
            keys: keys.iter().map(key).collect(),
            prefixes: prefixes
                .iter()
                .map(|p| Prefix::new(p).expect("a prefix"))
                .collect(),
            tags: tags.iter().map(|t| Tag::new(t).expect("a tag")).collect(),
        }
    }

    fn of(keys: &[&str], prefixes: &[&str], tags: &[&str]) -> Invalidation {
        let texts = |all: &[&str]| all.iter().map(|text| (*text).to_owned()).collect();
        Invalidation {
            keys: texts(keys),
            prefixes: texts(prefixes),
            tags: texts(tags),
            ..Invalidation::default()
        }
    }

    #[test]
    fn only_what_the_filter_proves_irrelevant_is_left_out() {
        let table = [
            (filter(&[], &[], &[]), of(&["a"], &[], &[]), true),
            (filter(&["a"], &[], &[]), of(&["b"], &[], &[]), false),
            (filter(&["a"], &[], &[]), of(&[], &[], &["t"]), true),
            (filter(&["a"], &[], &["u"]), of(&[], &[], &["t"]), false),
            (filter(&[], &[], &["u"]), of(&["a"], &[], &[]), true),
            (filter(&["a:b"], &[], &["u"]), of(&[], &["a:"], &[]), true),
            (
                filter(&["b"], &["a:b"], &["u"]),
                of(&[], &["a:"], &[]),
                true,
            ),
            (
                filter(&["b"], &["a:"], &["u"]),
                of(&[], &["a:b"], &[]),
                true,
            ),
            (filter(&["b"], &["a:"], &["u"]), of(&[], &["c"], &[]), false),
        ];
        for (filter, what, relevant) in table {
            let judged = is_relevant(&filter, &what, Bugs::NONE);
            assert_eq!(judged, relevant, "{filter:?} {what:?}");
        }
        let all = Invalidation {
            all: true,
            ..Invalidation::default()
        };
        assert!(is_relevant(&filter(&["a"], &[], &["t"]), &all, Bugs::NONE));
    }
}
