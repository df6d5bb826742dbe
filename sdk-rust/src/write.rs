//! Writes: unconditional, and compare-and-set.

use crate::entry::{Answer, Entry, EntryOptions, Lookup, Value, proto_duration};
use crate::{Cache, Error};
use unstale_proto::v1;

/// How far a write or invalidation must have got before it is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ack {
    /// The pod obeys it; the log follows.
    Local,
    /// It is in the ordered log and the pod has processed it.
    #[default]
    Log,
    /// Every live pod has processed it, or its session has lapsed.
    Fleet,
}

impl From<Ack> for v1::Ack {
    fn from(ack: Ack) -> Self {
        match ack {
            Ack::Local => Self::Local,
            Ack::Log => Self::Log,
            Ack::Fleet => Self::Fleet,
        }
    }
}

/// How [`Cache::set`] writes.
#[derive(Clone, Debug, Default)]
pub struct SetOptions {
    /// How the entry is stored.
    pub entry: EntryOptions,
    /// The position held before the origin was read; when set, the write is
    /// refused if anything covered the key after it.
    pub position: Option<String>,
    /// How far the write must have got.
    pub ack: Ack,
}

/// What became of a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetOutcome {
    /// Stored.
    Stored {
        /// The version; none after ack LOCAL, when the log has not decided.
        version: Option<String>,
    },
    /// Not stored.
    NotStored {
        /// Why.
        reason: NotStoredReason,
        /// What the cache holds instead.
        current: Option<Entry>,
    },
}

/// Why a write was not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotStoredReason {
    /// An invalidation or another write came after the caller's position.
    Covered,
    /// The position is of another epoch, or too old to be judged.
    PositionTooOld,
    /// A reason this client does not know yet.
    Other,
}

/// What must be current for a compare-and-set to happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// The entry with this version.
    Version(String),
    /// Nothing.
    Absent,
}

/// What became of a compare-and-set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CasOutcome {
    /// Stored.
    Stored {
        /// The new version.
        version: String,
    },
    /// The expectation does not hold; this is what is cached.
    Conflict(Lookup),
}

impl Cache {
    /// Writes one key.
    ///
    /// # Errors
    /// See [`Error`]. After [`Error::Unreachable`] and
    /// [`Error::DeadlineExceeded`] the write may have happened.
    pub async fn set(
        &self,
        key: impl Into<String>,
        value: impl Into<Value>,
        options: SetOptions,
    ) -> Result<Answer<SetOutcome>, Error> {
        let request = self.request(v1::SetRequest {
            namespace: self.namespace.clone(),
            key: key.into(),
            value: Some(value.into().into()),
            content_type: options.entry.content_type,
            ttl: options.entry.ttl.map(proto_duration),
            tags: options.entry.tags,
            position: options.position.unwrap_or_default(),
            ack: v1::Ack::from(options.ack).into(),
        });
        let mut client = self.client.clone();
        let answer = self.answer_acked(options.ack, client.set(request)).await?;
        let result = match answer.result {
            Some(v1::set_response::Result::Stored(stored)) => SetOutcome::Stored {
                version: Some(stored.version).filter(|v| !v.is_empty()),
            },
            Some(v1::set_response::Result::NotStored(not)) => not_stored(not)?,
            None => return Err(Error::Answer("Set has no result")),
        };
        Ok(Answer::new(result, answer.position, answer.degraded))
    }

    /// Writes one key if what is cached is what the caller expects. The ack is
    /// LOG or FLEET; LOCAL is refused.
    ///
    /// # Errors
    /// See [`Error`]. A conflict is a value.
    pub async fn compare_and_set(
        &self,
        key: impl Into<String>,
        expected: Expected,
        value: impl Into<Value>,
        entry: EntryOptions,
        ack: Ack,
    ) -> Result<Answer<CasOutcome>, Error> {
        let expected = match expected {
            Expected::Version(version) => v1::compare_and_set_request::Expected::Version(version),
            Expected::Absent => v1::compare_and_set_request::Expected::Absent(v1::Absent {}),
        };
        let request = self.request(v1::CompareAndSetRequest {
            namespace: self.namespace.clone(),
            key: key.into(),
            expected: Some(expected),
            value: Some(value.into().into()),
            content_type: entry.content_type,
            ttl: entry.ttl.map(proto_duration),
            tags: entry.tags,
            ack: v1::Ack::from(ack).into(),
        });
        let mut client = self.client.clone();
        let call = client.compare_and_set(request);
        let answer = self.answer_acked(ack, call).await?;
        let result = match answer.result {
            Some(v1::compare_and_set_response::Result::Stored(v1::Stored { version })) => {
                CasOutcome::Stored { version }
            }
            Some(v1::compare_and_set_response::Result::Conflict(conflict)) => {
                CasOutcome::Conflict(current(conflict)?)
            }
            None => return Err(Error::Answer("CompareAndSet has no result")),
        };
        Ok(Answer::new(result, answer.position, answer.degraded))
    }
}

fn not_stored(not: v1::NotStored) -> Result<SetOutcome, Error> {
    let reason = match not.reason() {
        v1::NotStoredReason::Covered => NotStoredReason::Covered,
        v1::NotStoredReason::PositionTooOld => NotStoredReason::PositionTooOld,
        v1::NotStoredReason::Unspecified => NotStoredReason::Other,
    };
    let current = not.current.map(Entry::decode).transpose()?;
    Ok(SetOutcome::NotStored { reason, current })
}

fn current(conflict: v1::Conflict) -> Result<Lookup, Error> {
    match conflict.current {
        Some(v1::conflict::Current::Found(entry)) => Ok(Lookup::Hit(Entry::decode(entry)?)),
        Some(v1::conflict::Current::Missing(v1::Missing {})) => Ok(Lookup::Miss),
        None => Err(Error::Answer("a conflict names nothing current")),
    }
}
