//! Stored entries, the right to load them, and what both are judged by.

use crate::clock::LogTime;
use crate::coherence::Facts;
use crate::key::{Delimiters, Key, NameHash, Prefixes, Tag};
use crate::policy::ttl::Why;
use crate::position::{Epoch, Position};
pub(crate) use crate::request::Version;
use crate::request::{Etag, LeaseToken, NewEntry, Payload};
use std::sync::Arc;
use std::time::Duration;

/// A stored entry.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) facts: Facts,
    pub(crate) version: Version,
    pub(crate) etag: Etag,
    pub(crate) payload: Payload,
    /// Shared: every answer carries them.
    pub(crate) tags: Arc<[Tag]>,
    pub(crate) stored: LogTime,
    /// Fail-safe may not serve it beyond this.
    pub(crate) valid_until: LogTime,
    /// From the grant of its lease to its fill; none: it was not loaded so.
    pub(crate) load_time: Option<Duration>,
    pub(crate) why: Why,
}

impl Entry {
    /// Whether its source was read after that of the other, as the log counts.
    pub(crate) fn is_newer(&self, other: &Self) -> bool {
        self.facts.epoch == other.facts.epoch && self.facts.as_of > other.facts.as_of
    }

    /// Whether a Set of this would change nothing.
    pub(crate) fn equals(&self, new: &NewEntry) -> bool {
        let tags = &new.tags;
        let same_tags =
            self.tags.len() == tags.len() && tags.iter().all(|tag| self.tags.contains(tag));
        same_tags
            && self.etag == etag(&new.payload)
            && self.facts.source_version == new.source_version
            && self.facts.depends.as_ref() == new.depends_on.found()
    }
}

/// The right to load, as stored in the entry's place.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Marker {
    pub(crate) facts: Facts,
    pub(crate) token: LeaseToken,
    /// Rises with every renewal, so that observers see it change.
    pub(crate) renewal: u32,
    pub(crate) term: Duration,
    /// The origin's version of what was there before.
    pub(crate) source_version: Option<u64>,
    /// What was there before and may still be served stale; judged by its own
    /// facts, never by the marker's.
    pub(crate) stale: Option<Box<Entry>>,
}

/// What a record holds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Content {
    Entry(Entry),
    Marker(Marker),
}

impl Content {
    pub(crate) fn facts(&self) -> &Facts {
        match self {
            Self::Entry(entry) => &entry.facts,
            Self::Marker(marker) => &marker.facts,
        }
    }
}

/// The facts of something under `key`; it never ends by itself.
pub(crate) fn facts(key: &Key, tags: &[Tag], at: Position, delimiters: &Delimiters) -> Facts {
    facts_under(key, Prefixes::new(delimiters).of(key), tags, at)
}

/// The same when its prefixes are known.
pub(crate) fn facts_under(
    key: &Key,
    prefixes: Arc<[NameHash]>,
    tags: &[Tag],
    at: Position,
) -> Facts {
    let Position { epoch, sequence } = at;
    let tags = tags.iter().map(|tag| tag.hash(key.namespace())).collect();
    Facts {
        epoch,
        as_of: sequence,
        key: key.clone(),
        namespace: NameHash::of_namespace(key.namespace()),
        prefixes,
        tags,
        depends: None,
        source_version: None,
        expires: LogTime(u64::MAX),
        gone: LogTime(u64::MAX),
    }
}

/// Tags as entries share them: none take no memory of their own.
pub(crate) fn shared(tags: Vec<Tag>) -> Arc<[Tag]> {
    match tags.is_empty() {
        true => Arc::default(),
        false => tags.into(),
    }
}

/// The etag of a payload: BLAKE3 over its form, its content type and its bytes.
pub(crate) fn etag(payload: &Payload) -> Etag {
    let mut hasher = blake3::Hasher::new();
    match payload {
        Payload::NotFound => drop(hasher.update(&[2])),
        Payload::Value(value) => {
            let content_type = value.content_type.as_bytes();
            hasher.update(&[u8::from(value.text), content_type.len() as u8]);
            hasher.update(content_type).update(&value.data);
        }
    }
    let mut first = [0; 16];
    first.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    Etag(u128::from_be_bytes(first))
}

/// A position from its parts.
pub(crate) fn position(epoch: Epoch, sequence: u64) -> Position {
    Position { epoch, sequence }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::Value;

    #[test]
    fn equal_content_has_equal_etags_and_other_content_has_not() {
        let value = |data: &'static str, text, content_type: &str| {
            etag(&Payload::Value(Value {
                data: data.into(),
                text,
                content_type: content_type.into(),
            }))
        };
        assert_eq!(value("a", true, ""), value("a", true, ""));
        assert_ne!(value("a", true, ""), value("a", false, ""));
        assert_ne!(value("a", true, "x"), value("xa", true, ""));
        assert_ne!(value("", false, ""), etag(&Payload::NotFound));
    }
}
