//! Stored entries and their envelope.
//!
//! The envelope is what the remote tier keeps: a mark, a checksum, a header
//! (CBOR with numbered fields, so that older pods skip what they do not know)
//! and the value's bytes. Its header names the exact key it was stored for; a
//! record that fails any check is a miss and a count, never an error.

use crate::clock::LogTime;
use crate::coherence::Facts;
use crate::key::{Key, NameHash, Tag};
use crate::position::{Epoch, Position};
use crate::request::{LeaseToken, Value};
use bytes::{BufMut, Bytes, BytesMut};
use minicbor::{Decode, Encode};
use std::time::Duration;

/// First bytes of every record: the format and its version.
const MARK: [u8; 4] = *b"UNS1";
/// Mark, checksum, header length.
const FIXED: usize = 4 + 8 + 4;

/// What names a value: the position of its write or the token of its fill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    Write(Position),
    Fill(LeaseToken),
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Write(position) => write!(f, "w{position}"),
            Self::Fill(token) => write!(f, "f{:032x}", token.0),
        }
    }
}

/// A stored entry.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) facts: Facts,
    pub(crate) version: Version,
    pub(crate) value: Value,
    pub(crate) tags: Vec<Tag>,
    pub(crate) stored: LogTime,
    pub(crate) expires: LogTime,
}

/// The right to load, as stored in the entry's place.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Marker {
    pub(crate) facts: Facts,
    pub(crate) token: LeaseToken,
    /// Rises with every renewal, so that observers see it change.
    pub(crate) renewal: u32,
    pub(crate) term: Duration,
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

/// The record is not one that was stored for this key, or was damaged.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BadRecord;

#[derive(Encode, Decode)]
struct Header {
    #[n(0)]
    namespace: String,
    #[n(1)]
    key: String,
    #[n(2)]
    epoch: u64,
    #[n(3)]
    as_of: u64,
    #[n(4)]
    stored: u64,
    #[n(5)]
    expires: u64,
    #[n(6)]
    text: bool,
    #[n(7)]
    content_type: String,
    #[n(8)]
    tags: Vec<String>,
    /// Of the fill or of the marker; none for a write.
    #[cbor(n(9), with = "minicbor::bytes")]
    token: Option<[u8; 16]>,
    #[n(10)]
    marker: Option<MarkerHeader>,
}

#[derive(Encode, Decode)]
struct MarkerHeader {
    #[n(0)]
    renewal: u32,
    #[n(1)]
    term_ms: u64,
}

/// The facts of an entry of `key` with `tags`.
pub(crate) fn facts(key: &Key, tags: &[Tag], epoch: Epoch, as_of: u64) -> Facts {
    let namespace = NameHash::of_namespace(key.namespace());
    let tags = tags.iter().map(|tag| tag.hash(key.namespace())).collect();
    Facts {
        epoch,
        as_of,
        key: key.hash(),
        namespace,
        tags,
    }
}

/// Packs what is to be stored under `key`.
pub(crate) fn encode(key: &Key, content: &Content) -> Bytes {
    let facts = content.facts();
    let mut header = Header {
        namespace: key.namespace().as_str().into(),
        key: key.name().into(),
        epoch: facts.epoch.0,
        as_of: facts.as_of,
        stored: 0,
        expires: 0,
        text: false,
        content_type: String::new(),
        tags: Vec::new(),
        token: None,
        marker: None,
    };
    let mut value: &[u8] = &[];
    match content {
        Content::Entry(entry) => {
            fill_header(&mut header, entry);
            value = &entry.value.data;
        }
        Content::Marker(marker) => {
            header.token = Some(marker.token.0.to_be_bytes());
            let term_ms = u64::try_from(marker.term.as_millis()).unwrap_or(u64::MAX);
            header.marker = Some(MarkerHeader {
                renewal: marker.renewal,
                term_ms,
            });
        }
    }
    pack(
        &minicbor::to_vec(&header).expect("encoding into memory does not fail"),
        value,
    )
}

fn fill_header(header: &mut Header, entry: &Entry) {
    header.stored = entry.stored.0;
    header.expires = entry.expires.0;
    header.text = entry.value.text;
    header.content_type.clone_from(&entry.value.content_type);
    header.tags = entry.tags.iter().map(|tag| tag.as_str().into()).collect();
    header.token = match entry.version {
        Version::Write(_) => None,
        Version::Fill(token) => Some(token.0.to_be_bytes()),
    };
}

fn pack(header: &[u8], value: &[u8]) -> Bytes {
    let mut record = BytesMut::with_capacity(FIXED + header.len() + value.len());
    record.put_slice(&MARK);
    record.put_u64(0);
    record.put_u32(u32::try_from(header.len()).expect("headers are bounded by the limits"));
    record.put_slice(header);
    record.put_slice(value);
    let sum = checksum(&record[12..]);
    record[4..12].copy_from_slice(&sum);
    record.freeze()
}

/// Unpacks a record read from under `key`; the value shares its memory.
pub(crate) fn decode(key: &Key, record: &Bytes) -> Result<Content, BadRecord> {
    if record.len() < FIXED || record[..4] != MARK || record[4..12] != checksum(&record[12..]) {
        return Err(BadRecord);
    }
    let length = u32::from_be_bytes(record[12..16].try_into().map_err(|_| BadRecord)?) as usize;
    let end = FIXED
        .checked_add(length)
        .filter(|end| *end <= record.len())
        .ok_or(BadRecord)?;
    let header: Header = minicbor::decode(&record[FIXED..end]).map_err(|_| BadRecord)?;
    if header.key != key.name() || header.namespace != key.namespace().as_str() {
        return Err(BadRecord);
    }
    let tags = header
        .tags
        .iter()
        .map(|tag| Tag::new(tag))
        .collect::<Result<Vec<_>, _>>();
    let tags = tags.map_err(|_| BadRecord)?;
    let facts = facts(key, &tags, Epoch(header.epoch), header.as_of);
    content(header, facts, tags, record.slice(end..))
}

fn content(
    header: Header,
    facts: Facts,
    tags: Vec<Tag>,
    data: Bytes,
) -> Result<Content, BadRecord> {
    let token = header
        .token
        .map(|bytes| LeaseToken(u128::from_be_bytes(bytes)));
    if let Some(marker) = header.marker {
        let token = token.ok_or(BadRecord)?;
        let term = Duration::from_millis(marker.term_ms);
        return Ok(Content::Marker(Marker {
            facts,
            token,
            renewal: marker.renewal,
            term,
        }));
    }
    if header.text && std::str::from_utf8(&data).is_err() {
        return Err(BadRecord);
    }
    let version = match token {
        Some(token) => Version::Fill(token),
        None => Version::Write(Position {
            epoch: facts.epoch,
            sequence: facts.as_of,
        }),
    };
    let value = Value {
        data,
        text: header.text,
        content_type: header.content_type,
    };
    let (stored, expires) = (LogTime(header.stored), LogTime(header.expires));
    Ok(Content::Entry(Entry {
        facts,
        version,
        value,
        tags,
        stored,
        expires,
    }))
}

fn checksum(bytes: &[u8]) -> [u8; 8] {
    let mut sum = [0; 8];
    sum.copy_from_slice(&blake3::hash(bytes).as_bytes()[..8]);
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Namespace;
    use proptest::prelude::*;

    fn key(name: &str) -> Key {
        Key::new(Namespace::new("shop").expect("a namespace"), name).expect("a key")
    }

    fn entry(name: &str, data: Vec<u8>) -> Content {
        let tags = vec![Tag::new("red").expect("a tag")];
        Content::Entry(Entry {
            facts: facts(&key(name), &tags, Epoch(7), 42),
            version: Version::Fill(LeaseToken(9)),
            value: Value {
                data: data.into(),
                text: false,
                content_type: "x".into(),
            },
            tags,
            stored: LogTime(1),
            expires: LogTime(2),
        })
    }

    #[test]
    fn a_record_is_believed_only_for_its_own_key() {
        let record = encode(&key("a"), &entry("a", vec![1, 2]));
        assert_eq!(decode(&key("a"), &record), Ok(entry("a", vec![1, 2])));
        assert_eq!(decode(&key("b"), &record), Err(BadRecord));
    }

    #[test]
    fn a_marker_survives_its_envelope() {
        let facts = facts(&key("a"), &[], Epoch(7), 42);
        let (token, term) = (LeaseToken(5), Duration::from_secs(10));
        let marker = Content::Marker(Marker {
            facts,
            token,
            renewal: 3,
            term,
        });
        assert_eq!(decode(&key("a"), &encode(&key("a"), &marker)), Ok(marker));
    }

    proptest! {
        #[test]
        fn any_changed_byte_is_noticed(data in proptest::collection::vec(any::<u8>(), 0..64), at in 0usize..200, flip in 1u8..) {
            let mut record = encode(&key("a"), &entry("a", data)).to_vec();
            let at = at % record.len();
            record[at] ^= flip;
            prop_assert_eq!(decode(&key("a"), &record.into()), Err(BadRecord));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
            let mut record = MARK.to_vec();
            record.extend(checksum(&bytes));
            record.extend(&bytes);
            let _ = decode(&key("a"), &record.into());
        }
    }
}
