//! The names and values that clients use. The stored bytes say which key they
//! were loaded for and what the origin's counter was: "key:counter".

use crate::lives::Terms;
use crate::world::{LAGGING, SWAPPED};
use std::sync::LazyLock;
use std::time::Duration;
use unstale_engine::coherence::record::{Body, Invalidation};
use unstale_engine::key::{Key, Namespace, Prefix, Tag};
use unstale_engine::request::{DependsOn, NewEntry, Payload, Value};

pub(crate) fn namespace() -> Namespace {
    Namespace::new("shop").expect("a good name")
}

/// A key by its number; hashed once.
pub(crate) fn key(number: usize) -> Key {
    static KEYS: LazyLock<Vec<Key>> = LazyLock::new(|| (0..=SWAPPED).map(new_key).collect());
    KEYS[number].clone()
}

/// The key that is swapped lives apart: invalidating all of "shop" is no write.
fn new_key(number: usize) -> Key {
    let (namespace, name) = match number {
        SWAPPED => (Namespace::new("swap").expect("a good name"), "it".into()),
        number => (namespace(), format!("key-{number}:a")),
    };
    Key::new(namespace, &name).expect("a good name")
}

/// The number of the key of this name.
pub(crate) fn number_of(name: &str) -> usize {
    let number = name.strip_prefix("key-").and_then(|n| n.strip_suffix(":a"));
    number.map_or(SWAPPED, |n| n.parse().expect("a number"))
}

pub(crate) fn tag(number: usize) -> Tag {
    Tag::new(&format!("tag-{number}")).expect("a good name")
}

/// One that ends at a delimiter is hashed, another one compared as text.
pub(crate) fn prefix(number: usize, hashed: bool) -> Prefix {
    let text = match hashed {
        true => format!("key-{number}:"),
        false => format!("key-{number}"),
    };
    Prefix::new(&text).expect("a good name")
}

/// What was loaded for a key, to be stored on these terms.
pub(crate) fn entry(number: usize, value: u64, terms: Terms) -> NewEntry {
    let millis = |given: Option<u64>| given.map(Duration::from_micros);
    NewEntry {
        payload: match terms.negative {
            true => Payload::NotFound,
            false => payload(number, value),
        },
        ttl: (!terms.learned).then_some(Duration::from_micros(terms.ttl)),
        stale_for: millis(terms.stale_for),
        valid_for: millis(terms.valid_for),
        jitter: millis(terms.jitter),
        tags: match number {
            SWAPPED => Vec::new(),
            number => vec![tag(number)],
        },
        source_version: (number == LAGGING).then_some(value),
        depends_on: DependsOn::Nothing,
    }
}

fn payload(number: usize, value: u64) -> Payload {
    Payload::Value(Value {
        data: format!("{number}:{value}").into_bytes().into(),
        text: true,
        content_type: String::new(),
    })
}

/// Key and counter in the stored bytes.
pub(crate) fn parse(text: &str) -> Option<(usize, u64)> {
    let mut words = text.split(':');
    let key = words.next()?.parse().ok()?;
    Some((key, words.next()?.parse().ok()?))
}

/// Whether an invalidation may cover keys that its reason does not name: a
/// prefix compared as text may push another one into the namespace's floor.
pub(crate) fn may_cover_all(what: &Invalidation) -> bool {
    what.all || what.prefixes.iter().any(|prefix| !prefix.ends_with(':'))
}

/// Whether an invalidation with this reason is soft.
pub(crate) fn is_soft(reason: &str) -> bool {
    reason.ends_with(":soft")
}

/// Whether a Watch that holds this key (none: any) has to be told of a record.
pub(crate) fn may_concern(body: &Body, holds: Option<usize>) -> bool {
    let here = |name: &str| name == namespace().as_str();
    match (body, holds) {
        (Body::Invalidate(what), None) => here(&what.namespace),
        (Body::Invalidate(what), Some(number)) => {
            let (key, tag) = (key(number), tag(number));
            let named = |all: &[String], name: &str| all.iter().any(|each| each == name);
            let begins = |prefix: &String| key.name().starts_with(prefix.as_str());
            let covers = what.all
                || named(&what.keys, key.name())
                || named(&what.tags, tag.as_str())
                || what.prefixes.iter().any(begins);
            here(&what.namespace) && covers
        }
        (Body::Write(write), None) => here(&write.namespace),
        (Body::Write(write), Some(number)) => {
            here(&write.namespace) && write.key == key(number).name()
        }
        _ => false,
    }
}
