//! Entries, values, and what every answer says beside its result.

use crate::Error;
use bytes::Bytes;
use std::time::Duration;
use unstale_proto::v1;

/// A value: bytes, or text that people may read with any tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Bytes.
    Data(Bytes),
    /// Text.
    Text(String),
}

impl Value {
    /// The value's bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Data(data) => data,
            Self::Text(text) => text.as_bytes(),
        }
    }

    /// The value's bytes, without a copy.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        match self {
            Self::Data(data) => data,
            Self::Text(text) => text.into(),
        }
    }
}

impl From<Bytes> for Value {
    fn from(data: Bytes) -> Self {
        Self::Data(data)
    }
}

impl From<Vec<u8>> for Value {
    fn from(data: Vec<u8>) -> Self {
        Self::Data(data.into())
    }
}

impl From<&[u8]> for Value {
    fn from(data: &[u8]) -> Self {
        Self::Data(Bytes::copy_from_slice(data))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

/// Every storing request has a value oneof of its own.
macro_rules! into_oneof {
    ($($oneof:ty),+) => {$(
        impl From<Value> for $oneof {
            fn from(value: Value) -> Self {
                match value {
                    Value::Data(data) => Self::Data(data),
                    Value::Text(text) => Self::Text(text),
                }
            }
        }
    )+};
}
into_oneof!(
    v1::set_request::Value,
    v1::compare_and_set_request::Value,
    v1::fill_request::Value
);

/// An entry as the cache returned it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// The value, in the form in which it was stored.
    pub value: Value,
    /// What the value is; empty when the writer gave nothing.
    pub content_type: String,
    /// Opaque version, for [`crate::Cache::compare_and_set`].
    pub version: String,
    /// The tags it was stored with.
    pub tags: Vec<String>,
    /// Which tier answered.
    pub tier: Tier,
    /// Whether it may be treated as current.
    pub freshness: Freshness,
    /// Time since it was stored.
    pub age: Duration,
    /// Time until it expires.
    pub ttl_left: Duration,
}

impl Entry {
    pub(crate) fn decode(entry: v1::Entry) -> Result<Self, Error> {
        let tier = Tier::decode(entry.tier())?;
        let freshness = Freshness::decode(entry.freshness())?;
        let value = match entry.value.ok_or(Error::Answer("an entry has no value"))? {
            v1::entry::Value::Data(data) => Value::Data(data),
            v1::entry::Value::Text(text) => Value::Text(text),
        };
        Ok(Self {
            value,
            tier,
            freshness,
            content_type: entry.content_type,
            version: entry.version,
            tags: entry.tags,
            age: std_duration(entry.age),
            ttl_left: std_duration(entry.ttl_left),
        })
    }
}

/// Which tier an entry was read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// The memory of the sidecar.
    L1,
    /// The shared remote tier.
    Remote,
}

impl Tier {
    fn decode(tier: v1::Tier) -> Result<Self, Error> {
        match tier {
            v1::Tier::L1 => Ok(Self::L1),
            v1::Tier::Remote => Ok(Self::Remote),
            v1::Tier::Unspecified => Err(Error::Answer("an entry has no known tier")),
        }
    }
}

/// Whether an entry may be treated as current.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// Coherent.
    Fresh,
    /// Not current.
    Stale,
}

impl Freshness {
    fn decode(freshness: v1::Freshness) -> Result<Self, Error> {
        match freshness {
            v1::Freshness::Fresh => Ok(Self::Fresh),
            v1::Freshness::Stale => Ok(Self::Stale),
            v1::Freshness::Unspecified => Err(Error::Answer("an entry has no known freshness")),
        }
    }
}

/// What a read found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// The entry.
    Hit(Entry),
    /// Nothing that may be served.
    Miss,
}

/// A result, and what every answer says beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Answer<T> {
    /// The result.
    pub result: T,
    /// The pod's position when it answered; opaque. Take one before reading
    /// the origin and give it to [`crate::SetOptions::position`].
    pub position: String,
    /// What was not available; empty on a healthy sidecar.
    pub degraded: Vec<Degraded>,
}

impl<T> Answer<T> {
    pub(crate) fn new(result: T, position: String, degraded: Option<v1::Degraded>) -> Self {
        let reasons = degraded.into_iter().flat_map(|d| d.reasons);
        let degraded = reasons.map(Degraded::decode).collect();
        Self {
            result,
            position,
            degraded,
        }
    }
}

/// Why an answer is degraded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Degraded {
    /// The remote tier did not answer.
    RemoteUnavailable,
    /// The pod may call nothing fresh at the moment.
    SessionNotFresh,
    /// A reason this client does not know yet.
    Other,
}

impl Degraded {
    fn decode(reason: i32) -> Self {
        match v1::DegradedReason::try_from(reason) {
            Ok(v1::DegradedReason::RemoteUnavailable) => Self::RemoteUnavailable,
            Ok(v1::DegradedReason::SessionNotFresh) => Self::SessionNotFresh,
            Ok(v1::DegradedReason::Unspecified) | Err(_) => Self::Other,
        }
    }
}

/// How an entry is stored.
#[derive(Clone, Debug, Default)]
pub struct EntryOptions {
    /// Time to live; the sidecar's default when none.
    pub ttl: Option<Duration>,
    /// Tags by which it can be invalidated.
    pub tags: Vec<String>,
    /// What the value is; at most 128 bytes.
    pub content_type: String,
}

impl EntryOptions {
    /// Sets the time to live.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// Adds a tag.
    #[must_use]
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.tags.push(tag.into());
        self
    }
}

/// One pod's session in the fleet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its random id.
    pub id: String,
    /// The pod's name.
    pub pod: String,
}

impl From<v1::Session> for Session {
    fn from(session: v1::Session) -> Self {
        Self {
            id: session.id,
            pod: session.pod,
        }
    }
}

/// A duration of the contract; nothing, or a negative one, is zero.
pub(crate) fn std_duration(duration: Option<prost_types::Duration>) -> Duration {
    let duration = duration.and_then(|d| Duration::try_from(d).ok());
    duration.unwrap_or_default()
}

/// A duration for the contract; one that does not fit is sent as the longest,
/// which the sidecar refuses with its words.
pub(crate) fn proto_duration(duration: Duration) -> prost_types::Duration {
    prost_types::Duration::try_from(duration).unwrap_or(prost_types::Duration {
        seconds: i64::MAX,
        nanos: 0,
    })
}
