//! Answers of reads as bytes, straight from the engine's types: what
//! [`encode`] makes messages of, without the messages. A generated message
//! measures each part of itself once for every message around it, and allocates
//! its texts; for a batch that cost twice what reading it does.
//!
//! Guarantees: decodes to exactly the message that [`get`](super::get) makes of
//! the same. What is seldom answered is encoded by way of that message.

use super::short::{BEGIN, Short, field_length};
use crate::grpc::encode::{self, Cached};
use crate::grpc::get::{Many, One};
use bytes::BufMut;
use prost::Message;
use unstale_engine::request::{Found, GetOutcome, Payload, Value};
use unstale_engine::text::Text;

/// Room for an entry's fields of a bounded length: a version, an etag, three
/// durations of 19, a number of 11 and three of 2.
const SMALL: usize = 160;
/// Room for what is not long, for each key and for the answer.
pub(in crate::grpc) const BESIDE: usize = 256;

/// The fields of `unstale.v1.Entry`.
mod entry {
    pub(super) const DATA: u8 = 1;
    pub(super) const TEXT: u8 = 2;
    pub(super) const CONTENT_TYPE: u8 = 3;
    pub(super) const VERSION: u8 = 4;
    pub(super) const TAGS: u8 = 5;
    pub(super) const TIER: u8 = 6;
    pub(super) const FRESHNESS: u8 = 7;
    pub(super) const AGE: u8 = 8;
    pub(super) const TTL_LEFT: u8 = 9;
    pub(super) const ETAG: u8 = 10;
    pub(super) const SOURCE_VERSION: u8 = 11;
    pub(super) const STALE_REASON: u8 = 12;
    pub(super) const STALE_LEFT: u8 = 13;
}

/// The fields of `unstale.v1.GetResponse`.
mod get {
    pub(super) const FOUND: u8 = 1;
    pub(super) const POSITION: u8 = 3;
    pub(super) const DEGRADED: u8 = 4;
}

/// The fields of `unstale.v1.BatchGetResponse`.
mod batch {
    pub(super) const RESULTS: u8 = 1;
    pub(super) const POSITION: u8 = 2;
    pub(super) const DEGRADED: u8 = 3;
}

/// The fields of `unstale.v1.BatchGetResult`.
mod result {
    pub(super) const KEY: u8 = 1;
    pub(super) const FOUND: u8 = 2;
    pub(super) const MISSING: u8 = 3;
    pub(super) const NEGATIVE: u8 = 4;
}

/// The answer to a Get.
pub(super) fn put_one(to: &mut impl BufMut, one: One) {
    if let Some(hit) = Hit::of(&one) {
        return hit.put(to);
    }
    // A message in memory has no end.
    let encoded = one.message().encode(to);
    encoded.expect("there is room for a message of bounded length");
}

/// Whether there is a [`Hit`] of it.
pub(in crate::grpc) fn is_hit(one: &One) -> bool {
    match &one.answer.result {
        GetOutcome::Found(found) => matches!(found.payload, Payload::Value(_)),
        GetOutcome::NotModified(_) | GetOutcome::Missing => false,
    }
}

/// The answer to a Get that found an entry, measured.
pub(in crate::grpc) struct Hit<'a> {
    entry: Entry<'a>,
    position: Text,
    degraded: Option<Vec<u8>>,
}

impl<'a> Hit<'a> {
    /// None when it found none.
    pub(in crate::grpc) fn of(one: &'a One) -> Option<Self> {
        let entry = match &one.answer.result {
            GetOutcome::Found(found) => Entry::of(found)?,
            GetOutcome::NotModified(_) | GetOutcome::Missing => return None,
        };
        let degraded = encode::degraded(one.answer.degraded);
        Some(Self {
            entry,
            position: one.answer.position.text(),
            degraded: degraded.map(|degraded| degraded.encode_to_vec()),
        })
    }

    /// Its length as a message.
    pub(in crate::grpc) fn length(&self) -> usize {
        let degraded = self
            .degraded
            .as_ref()
            .map(|bytes| field_length(bytes.len()));
        field_length(self.entry.length)
            + field_length(self.position.as_bytes().len())
            + degraded.unwrap_or(0)
    }

    pub(in crate::grpc) fn put(&self, to: &mut impl BufMut) {
        self.entry.put(to, get::FOUND);
        put_field(to, get::POSITION, self.position.as_bytes());
        if let Some(degraded) = &self.degraded {
            put_field(to, get::DEGRADED, degraded);
        }
    }
}

/// The answer to a BatchGet.
pub(super) fn put_many(to: &mut impl BufMut, many: &Many) {
    for (key, outcome) in many.keys.iter().zip(&many.outcomes) {
        put_result(to, key, outcome);
    }
    put_text(to, batch::POSITION, many.position.as_bytes());
    if let Some(degraded) = &many.degraded {
        put_message(to, batch::DEGRADED, degraded);
    }
}

/// An entry of the contract, measured.
struct Entry<'a> {
    found: &'a Found,
    value: &'a Value,
    small: Short<SMALL>,
    length: usize,
}

impl<'a> Entry<'a> {
    /// None when it is a negative one.
    fn of(found: &'a Found) -> Option<Self> {
        let Payload::Value(value) = &found.payload else {
            return None;
        };
        let small = small(found);
        let texts = [&value.content_type];
        let texts = texts.into_iter().filter(|text| !text.is_empty());
        let texts = texts.map(|text| field_length(text.len()));
        let tags = found.tags.iter().map(|tag| tag.as_str().len());
        let length = field_length(value.data.len())
            + small.as_bytes().len()
            + texts.sum::<usize>()
            + tags.map(field_length).sum::<usize>();
        Some(Self {
            found,
            value,
            small,
            length,
        })
    }

    /// As a field of the message around it.
    fn put(&self, to: &mut impl BufMut, field: u8) {
        let mut begin = Short::<{ 2 * BEGIN }>::new();
        begin.begin(field, self.length);
        begin.begin(form(self.value), self.value.data.len());
        to.put_slice(begin.as_bytes());
        to.put_slice(&self.value.data);
        put_text(to, entry::CONTENT_TYPE, self.value.content_type.as_bytes());
        for tag in self.found.tags.iter() {
            put_text(to, entry::TAGS, tag.as_str().as_bytes());
        }
        to.put_slice(self.small.as_bytes());
    }
}

/// Text that is none is data: a client would refuse the whole answer.
fn form(value: &Value) -> u8 {
    match value.text && std::str::from_utf8(&value.data).is_ok() {
        true => entry::TEXT,
        false => entry::DATA,
    }
}

/// The fields that are never long.
fn small(found: &Found) -> Short<SMALL> {
    let mut small = Short::new();
    let (freshness, stale_reason) = encode::freshness(found.stale);
    small.text(entry::VERSION, found.version.text().as_bytes());
    small.choice(entry::TIER, encode::tier(found.tier).into());
    small.choice(entry::FRESHNESS, freshness);
    small.duration(entry::AGE, found.age);
    small.duration(entry::TTL_LEFT, found.ttl_left);
    small.text(entry::ETAG, found.etag.text().as_bytes());
    if let Some(version) = found.source_version {
        small.number(entry::SOURCE_VERSION, version);
    }
    small.choice(entry::STALE_REASON, stale_reason);
    small.duration(entry::STALE_LEFT, found.stale_left);
    small
}

/// One key's result.
fn put_result(to: &mut impl BufMut, key: &str, outcome: &GetOutcome) {
    let Some(found) = outcome.found() else {
        begin_result(to, key, field_length(0));
        return put_field(to, result::MISSING, &[]);
    };
    if let Some(entry) = Entry::of(found) {
        begin_result(to, key, field_length(entry.length));
        return entry.put(to, result::FOUND);
    }
    if let Cached::Negative(negative) = encode::cached(found.clone()) {
        begin_result(to, key, field_length(negative.encoded_len()));
        put_message(to, result::NEGATIVE, &negative);
    }
}

/// The result's beginning: its key, which so many bytes follow.
fn begin_result(to: &mut impl BufMut, key: &str, length: usize) {
    let mut begin = Short::<{ 2 * BEGIN }>::new();
    begin.begin(batch::RESULTS, field_length(key.len()) + length);
    begin.begin(result::KEY, key.len());
    to.put_slice(begin.as_bytes());
    to.put_slice(key.as_bytes());
}

/// Room for the answer to a Get that found this, rather more than less.
pub(in crate::grpc) fn room_of_one(found: &Found) -> usize {
    let tags = found.tags.iter().map(|tag| tag.as_str().len() + BEGIN);
    let content_type = match &found.payload {
        Payload::Value(value) => value.content_type.len(),
        Payload::NotFound => 0,
    };
    found.payload.data().len() + content_type + tags.sum::<usize>() + BESIDE
}

/// Room for the answer to a BatchGet, rather more than less.
pub(super) fn room(many: &Many) -> usize {
    let value = |outcome: &GetOutcome| outcome.found().map_or(0, |f| f.payload.data().len());
    let each = many.keys.iter().zip(&many.outcomes);
    let each = each.map(|(key, outcome)| key.len() + value(outcome) + BESIDE);
    each.sum::<usize>() + BESIDE
}

fn put_text(to: &mut impl BufMut, field: u8, text: &[u8]) {
    if !text.is_empty() {
        put_field(to, field, text);
    }
}

fn put_field(to: &mut impl BufMut, field: u8, bytes: &[u8]) {
    let mut begin = Short::<BEGIN>::new();
    begin.begin(field, bytes.len());
    to.put_slice(begin.as_bytes());
    to.put_slice(bytes);
}

fn put_message(to: &mut impl BufMut, field: u8, message: &impl Message) {
    put_field(to, field, &message.encode_to_vec());
}
