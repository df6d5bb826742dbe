//! What is stored: a value or the knowledge that there is none, what names it,
//! and how long it lives.

use super::LeaseToken;
use crate::coherence::Depends;
use crate::key::{Key, Tag};
use crate::position::Position;
use crate::text::Text;
use bytes::Bytes;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A value in the form in which it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// The bytes.
    pub data: Bytes,
    /// Whether they were given as text (they are UTF-8 then).
    pub text: bool,
    /// What the value is, for SDK codecs.
    pub content_type: String,
}

/// What an entry says about its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// The origin has this value.
    Value(Value),
    /// The origin has nothing.
    NotFound,
}

impl Payload {
    /// The value's bytes; none of a negative entry.
    pub fn data(&self) -> &[u8] {
        match self {
            Self::Value(value) => &value.data,
            Self::NotFound => &[],
        }
    }
}

/// Hash of a payload: equal content has equal etags.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Etag(pub u128);

impl Etag {
    /// 32 hex digits.
    pub fn text(self) -> Text {
        Text::new().hex(self.0.to_be_bytes())
    }
}

/// What names a value: the position of its write or the token of its fill. Its
/// text form is opaque to clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// Of a Set or a CompareAndSet.
    Write(Position),
    /// Of a load.
    Fill(LeaseToken),
}

impl Version {
    /// The text form.
    pub fn text(self) -> Text {
        match self {
            Self::Write(position) => position.text_after(Text::new().mark(b'w')),
            Self::Fill(token) => Text::new().mark(b'f').hex(token.0.to_be_bytes()),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text().as_str())
    }
}

/// An entry to store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEntry {
    /// The value, or that there is none.
    pub payload: Payload,
    /// Time to live; none means the policy's default.
    pub ttl: Option<Duration>,
    /// How long it may be served stale after that; none means the policy's
    /// default.
    pub stale_for: Option<Duration>,
    /// Gone after this whatever else holds; none: no such end.
    pub valid_for: Option<Duration>,
    /// Up to this much is taken off the ttl at random; none means the policy's
    /// default.
    pub jitter: Option<Duration>,
    /// Tags, without duplicates.
    pub tags: Vec<Tag>,
    /// The origin's version.
    pub source_version: Option<u64>,
    /// What it falls with.
    pub depends_on: DependsOn,
}

/// A key that a new entry depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependency {
    /// Of the entry's namespace.
    pub key: Key,
    /// The version that the entry was made of; none: whatever is cached.
    pub version: Option<String>,
}

/// What a new entry depends on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum DependsOn {
    /// Nothing.
    #[default]
    Nothing,
    /// These, as the caller named them; each once, and not the entry itself.
    Named(Vec<Dependency>),
    /// What they came to when they were looked up, and where that was judged.
    Found(Arc<Depends>, Position),
}

impl DependsOn {
    pub(crate) fn found(&self) -> Option<&Arc<Depends>> {
        match self {
            Self::Found(depends, _) => Some(depends),
            Self::Nothing | Self::Named(_) => None,
        }
    }

    /// Where it was judged.
    pub(crate) fn at(&self) -> Option<Position> {
        match self {
            Self::Found(_, at) => Some(*at),
            Self::Nothing | Self::Named(_) => None,
        }
    }
}
