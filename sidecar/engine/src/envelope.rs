//! The envelope: what the remote tier keeps.
//!
//! A mark, a checksum, a header (CBOR with numbered fields, so that older pods
//! skip what they do not know) and the value's bytes. Its header names the
//! exact key it was stored for; a record that fails any check is a miss and a
//! count, never an error. A marker's value is the envelope of the entry that
//! may be served stale meanwhile.

mod depends;
mod header;
mod why;

use crate::clock::LogTime;
use crate::coherence::Depends;
use crate::entry::{self, Content, Entry, Marker, Version};
use crate::key::{Delimiters, Key, Prefixes, Tag};
use crate::limits;
use crate::policy::ttl::Why;
use crate::position::Epoch;
use crate::request::{Etag, LeaseToken, Payload, Value};
use bytes::{BufMut, Bytes, BytesMut};
use header::{Header, MarkerHeader};
use std::sync::Arc;
use std::time::Duration;

/// First bytes of every record: the format and its version.
const MARK: [u8; 4] = *b"UNS3";
/// Of one that depends on others: a version that does not look at them must not
/// believe it.
const MARK_DEPENDS: [u8; 4] = *b"UNS4";
/// The version before, which is read still: its checksum is BLAKE3.
const MARK_2: [u8; 4] = *b"UNS2";
/// Mark, checksum, header length.
const FIXED: usize = 4 + 8 + 4;

/// Why a record is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadRecord {
    /// It is not one of ours, or was changed.
    Damaged,
    /// It is whole, and was stored for another key.
    OtherKey,
}

/// Packs what is to be stored under its key.
pub(crate) fn encode(content: &Content) -> Bytes {
    let facts = content.facts();
    let mut header = Header {
        namespace: facts.key.namespace().as_str(),
        key: facts.key.name(),
        epoch: facts.epoch.0,
        as_of: facts.as_of,
        ..Header::default()
    };
    match content {
        Content::Entry(entry) => {
            fill_header(&mut header, entry);
            pack(&header, entry.payload.data())
        }
        Content::Marker(marker) => {
            header.token = Some(marker.token.0.to_be_bytes());
            header.source_version = marker.source_version;
            let term_ms = u64::try_from(marker.term.as_millis()).unwrap_or(u64::MAX);
            header.marker = Some(MarkerHeader {
                renewal: marker.renewal,
                term_ms,
            });
            let stale = marker.stale.as_deref();
            let stale = stale.map(|entry| encode(&Content::Entry(entry.clone())));
            pack(&header, &stale.unwrap_or_default())
        }
    }
}

fn fill_header<'a>(header: &mut Header<'a>, entry: &'a Entry) {
    header.stored = entry.stored.0;
    header.expires = entry.facts.expires.0;
    header.gone = entry.facts.gone.0;
    header.valid_until = entry.valid_until.0;
    header.source_version = entry.facts.source_version;
    header.load_ms = entry.load_time.map(whole_millis);
    header.etag = Some(entry.etag.0.to_be_bytes());
    header.why = Some(entry.why.into());
    header.depends = entry.facts.depends.as_deref().map(Into::into);
    match &entry.payload {
        Payload::Value(value) => {
            header.text = value.text;
            header.content_type = &value.content_type;
        }
        Payload::NotFound => header.not_found = true,
    }
    header.tags = entry.tags.iter().map(Tag::as_str).collect();
    if let Version::Fill(token) = entry.version {
        header.token = Some(token.0.to_be_bytes());
    }
}

/// At least one: what took a time took some.
fn whole_millis(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX).max(1)
}

fn pack(header: &Header<'_>, value: &[u8]) -> Bytes {
    let mark = match header.depends {
        None => MARK,
        Some(_) => MARK_DEPENDS,
    };
    let header = minicbor::to_vec(header).expect("encoding into memory does not fail");
    let mut record = BytesMut::with_capacity(FIXED + header.len() + value.len());
    record.put_slice(&mark);
    record.put_u64(0);
    record.put_u32(u32::try_from(header.len()).expect("headers are bounded by the limits"));
    record.put_slice(&header);
    record.put_slice(value);
    let sum = checksum(&record[12..]);
    record[4..12].copy_from_slice(&sum);
    record.freeze()
}

/// Unpacks a record read from under `key`; the value shares its memory.
pub(crate) fn decode<'a>(
    key: &'a Key,
    record: &Bytes,
    prefixes: &mut Prefixes<'a>,
) -> Result<Content, BadRecord> {
    let (header, data) = unpack(record)?;
    if header.key != key.name() || header.namespace != key.namespace().as_str() {
        return Err(BadRecord::OtherKey);
    }
    content(key, (header, data), prefixes)
}

/// Planted bugs only: the same, whatever key the record was stored for.
pub(crate) fn decode_unnamed<'a>(
    key: &'a Key,
    record: &Bytes,
    prefixes: &mut Prefixes<'a>,
) -> Result<Content, BadRecord> {
    content(key, unpack(record)?, prefixes)
}

fn content<'a>(
    key: &'a Key,
    (header, data): (Header<'_>, Bytes),
    prefixes: &mut Prefixes<'a>,
) -> Result<Content, BadRecord> {
    let tags = header.tags.iter().map(|tag| Tag::new(tag));
    let tags = tags.collect::<Result<Vec<_>, _>>();
    let tags = tags.map_err(|_| BadRecord::Damaged)?;
    let at = entry::position(Epoch(header.epoch), header.as_of);
    let mut facts = entry::facts_under(key, prefixes.of(key), &tags, at);
    let token = header.token.map(u128::from_be_bytes).map(LeaseToken);
    if let Some(marker) = &header.marker {
        return Ok(Content::Marker(Marker {
            facts,
            token: token.ok_or(BadRecord::Damaged)?,
            renewal: marker.renewal,
            // The tier is not trusted: nothing is held up for ever.
            term: Duration::from_millis(marker.term_ms).min(limits::TERM_MAX),
            source_version: header.source_version,
            stale: stale(key, &data, prefixes)?,
        }));
    }
    facts.source_version = header.source_version;
    facts.depends = depends(key, &header, prefixes.delimiters())?;
    (facts.expires, facts.gone) = (LogTime(header.expires), LogTime(header.gone));
    let version = match token {
        Some(token) => Version::Fill(token),
        None => Version::Write(at),
    };
    Ok(Content::Entry(Entry {
        facts,
        version,
        etag: Etag(u128::from_be_bytes(header.etag.ok_or(BadRecord::Damaged)?)),
        stored: LogTime(header.stored),
        valid_until: LogTime(header.valid_until),
        load_time: header.load_ms.map(u64::from).map(Duration::from_millis),
        why: header.why.as_ref().map(Why::from).unwrap_or_default(),
        payload: payload(&header, data)?,
        tags: entry::shared(tags),
    }))
}

fn depends(
    key: &Key,
    header: &Header<'_>,
    delimiters: &Delimiters,
) -> Result<Option<Arc<Depends>>, BadRecord> {
    let Some(depends) = &header.depends else {
        return Ok(None);
    };
    let read = depends.read(key.namespace(), delimiters);
    read.map(|read| Some(Arc::new(read)))
        .ok_or(BadRecord::Damaged)
}

/// Checks what does not depend on the key, and splits header from value.
fn unpack(record: &Bytes) -> Result<(Header<'_>, Bytes), BadRecord> {
    if record.len() < FIXED || !is_whole(record) {
        return Err(BadRecord::Damaged);
    }
    let length = record[12..16].try_into().map_err(|_| BadRecord::Damaged)?;
    let end = FIXED.checked_add(u32::from_be_bytes(length) as usize);
    let end = end.filter(|end| *end <= record.len());
    let end = end.ok_or(BadRecord::Damaged)?;
    let header = Header::read(&record[FIXED..end]).ok_or(BadRecord::Damaged)?;
    // The mark is outside of the checksum.
    if (record[..4] == MARK_DEPENDS) != header.depends.is_some() {
        return Err(BadRecord::Damaged);
    }
    Ok((header, record.slice(end..)))
}

/// The entry inside a marker; markers do not nest.
fn stale<'a>(
    key: &'a Key,
    data: &Bytes,
    prefixes: &mut Prefixes<'a>,
) -> Result<Option<Box<Entry>>, BadRecord> {
    if data.is_empty() {
        return Ok(None);
    }
    if unpack(data)?.0.marker.is_some() {
        return Err(BadRecord::Damaged);
    }
    match decode(key, data, prefixes) {
        Ok(Content::Entry(entry)) => Ok(Some(Box::new(entry))),
        // The tier gave what it was asked for: this is no mix-up of its.
        Ok(Content::Marker(_)) | Err(_) => Err(BadRecord::Damaged),
    }
}

fn payload(header: &Header<'_>, data: Bytes) -> Result<Payload, BadRecord> {
    if header.not_found {
        return Ok(Payload::NotFound);
    }
    if header.text && std::str::from_utf8(&data).is_err() {
        return Err(BadRecord::Damaged);
    }
    Ok(Payload::Value(Value {
        data,
        text: header.text,
        content_type: header.content_type.to_owned(),
    }))
}

fn is_whole(record: &[u8]) -> bool {
    let (mark, sum, rest) = (&record[..4], &record[4..12], &record[12..]);
    match mark {
        _ if mark == MARK || mark == MARK_DEPENDS => sum == checksum(rest),
        _ if mark == MARK_2 => sum == &blake3::hash(rest).as_bytes()[..8],
        _ => false,
    }
}

/// XXH3: it guards against damage, not against whoever can write to the tier,
/// and costs a twentieth of BLAKE3, which was a fifth of a BatchGet.
fn checksum(bytes: &[u8]) -> [u8; 8] {
    xxhash_rust::xxh3::xxh3_64(bytes).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Namespace;
    use crate::policy::ttl::Giver;
    use proptest::prelude::*;

    fn key(name: &str) -> Key {
        Key::new(Namespace::new("shop").expect("a namespace"), name).expect("a key")
    }

    fn read(name: &str, record: &Bytes) -> Result<Content, BadRecord> {
        let (key, delimiters) = (key(name), Delimiters::default());
        decode(&key, record, &mut Prefixes::new(&delimiters))
    }

    fn facts(name: &str, tags: &[Tag]) -> crate::coherence::Facts {
        let at = entry::position(Epoch(7), 42);
        entry::facts(&key(name), tags, at, &Delimiters::default())
    }

    fn entry(name: &str, data: Vec<u8>) -> Entry {
        let tags = vec![Tag::new("red").expect("a tag")];
        let payload = Payload::Value(Value {
            data: data.into(),
            text: false,
            content_type: "x".into(),
        });
        let mut facts = facts(name, &tags);
        facts.source_version = Some(3);
        (facts.expires, facts.gone) = (LogTime(2), LogTime(5));
        Entry {
            facts,
            version: Version::Fill(LeaseToken(9)),
            etag: entry::etag(&payload),
            payload,
            tags: entry::shared(tags),
            stored: LogTime(1),
            valid_until: LogTime(6),
            load_time: Some(Duration::from_millis(7)),
            why: Why {
                given_us: 3,
                jitter_us: 1,
                ttl_by: Giver::Writer,
                stale_for_by: Giver::FailSafe,
            },
        }
    }

    fn stored(name: &str, data: Vec<u8>) -> Content {
        Content::Entry(entry(name, data))
    }

    #[test]
    fn a_record_is_believed_only_for_its_own_key() {
        let record = encode(&stored("a:b", vec![1, 2]));
        assert_eq!(read("a:b", &record), Ok(stored("a:b", vec![1, 2])));
        assert_eq!(read("b", &record), Err(BadRecord::OtherKey));
    }

    #[test]
    fn a_record_of_the_version_before_is_read() {
        let mut record = encode(&stored("a", vec![1, 2])).to_vec();
        record[..4].copy_from_slice(&MARK_2);
        assert_eq!(read("a", &record.clone().into()), Err(BadRecord::Damaged));
        let sum = blake3::hash(&record[12..]);
        record[4..12].copy_from_slice(&sum.as_bytes()[..8]);
        assert_eq!(read("a", &record.into()), Ok(stored("a", vec![1, 2])));
    }

    /// As a version before wrote it: a header without its newest fields.
    #[test]
    fn a_record_that_does_not_say_why_is_read() {
        let Content::Entry(entry) = stored("a", vec![1]) else {
            unreachable!("it is an entry")
        };
        let mut header = Header {
            namespace: "shop",
            key: "a",
            epoch: 7,
            as_of: 42,
            ..Header::default()
        };
        fill_header(&mut header, &entry);
        header.why = None;
        let record = pack(&header, entry.payload.data());
        let why = Why::default();
        let expected = Content::Entry(Entry { why, ..entry });
        assert_eq!(read("a", &record), Ok(expected));
    }

    fn derived(name: &str, keys: &[(&str, u8)]) -> Entry {
        let mut entry = entry(name, vec![1]);
        let keys = keys.iter().map(|(name, level)| (key(name), *level));
        let tags = vec![Tag::new("blue").expect("a tag")];
        let depends = Depends::new(keys.collect(), tags, &Delimiters::default());
        entry.facts.depends = depends.map(Arc::new);
        entry
    }

    #[test]
    fn what_depends_on_others_is_read_and_nothing_before_knows_its_mark() {
        let entry = derived("a", &[("b:1", 1), ("c", 2)]);
        assert!(entry.facts.depends.is_some());
        let record = encode(&Content::Entry(entry.clone()));
        assert_eq!(record[..4], MARK_DEPENDS);
        assert_eq!(read("a", &record), Ok(Content::Entry(entry)));
        assert_eq!(encode(&stored("a", vec![1]))[..4], MARK);
    }

    #[test]
    fn more_than_an_entry_may_depend_on_is_not_believed() {
        let whole = derived("a", &[("b", 1)]);
        let mut header = Header::default();
        fill_header(&mut header, &whole);
        (header.namespace, header.key) = ("shop", "a");
        let depends = header.depends.as_mut().expect("it depends on one");
        let keys = vec!["b"; limits::DEPENDENCY_KEYS + 1];
        let levels = vec![1; keys.len()];
        (depends.keys, depends.levels) = (keys, levels);
        let record = pack(&header, &[1]);
        assert_eq!(read("a", &record), Err(BadRecord::Damaged));
    }

    #[test]
    fn a_marker_survives_its_envelope_with_what_is_stale_and_does_not_nest() {
        let (token, term) = (LeaseToken(5), Duration::from_secs(10));
        let marker = |stale| Marker {
            facts: facts("a", &[]),
            token,
            renewal: 3,
            term,
            source_version: Some(8),
            stale,
        };
        let derived = derived("a", &[("b", 1)]);
        for stale in [None, Some(entry("a", vec![1])), Some(derived)] {
            let stale = stale.map(Box::new);
            let content = Content::Marker(marker(stale));
            assert_eq!(read("a", &encode(&content)), Ok(content));
        }
        let other = Content::Marker(marker(Some(Box::new(entry("b", vec![1])))));
        assert_eq!(read("a", &encode(&other)), Err(BadRecord::Damaged));
    }

    #[test]
    fn a_changed_mark_is_noticed() {
        let derived = Content::Entry(derived("a", &[("b", 1)]));
        for record in [encode(&stored("a", vec![0])), encode(&derived)] {
            for (at, flip) in (0..4).flat_map(|at| (1..=255).map(move |flip| (at, flip))) {
                let mut changed = record.to_vec();
                changed[at] ^= flip;
                assert_eq!(
                    read("a", &changed.into()),
                    Err(BadRecord::Damaged),
                    "{at} {flip}"
                );
            }
        }
    }

    proptest! {
        #[test]
        fn any_changed_byte_is_noticed(data in proptest::collection::vec(any::<u8>(), 0..64), at in 0usize..200, flip in 1u8..) {
            let mut record = encode(&stored("a", data)).to_vec();
            let at = at % record.len();
            record[at] ^= flip;
            prop_assert_eq!(read("a", &record.into()), Err(BadRecord::Damaged));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
            let mut record = MARK.to_vec();
            record.extend(checksum(&bytes));
            record.extend(&bytes);
            let _ = read("a", &record.into());
        }
    }
}
