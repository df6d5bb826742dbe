//! An envelope's header: CBOR with numbered fields.
//!
//! Guarantees: is read as the CBOR library reads it. One that has the fields of
//! this version and no marker is read without the library, which takes twice
//! as long: it was a ninth of a BatchGet from Redis.

use super::depends::DependsHeader;
use super::why::WhyHeader;
use minicbor::{Decode, Encode};
use std::ops::RangeInclusive;

#[derive(Debug, Default, PartialEq, Encode, Decode)]
pub(super) struct Header<'a> {
    #[b(0)]
    pub(super) namespace: &'a str,
    #[b(1)]
    pub(super) key: &'a str,
    #[n(2)]
    pub(super) epoch: u64,
    #[n(3)]
    pub(super) as_of: u64,
    #[n(4)]
    pub(super) stored: u64,
    #[n(5)]
    pub(super) expires: u64,
    #[n(6)]
    pub(super) text: bool,
    #[b(7)]
    pub(super) content_type: &'a str,
    #[b(8)]
    pub(super) tags: Vec<&'a str>,
    /// Of the fill or of the marker; none for a write.
    #[cbor(n(9), with = "minicbor::bytes")]
    pub(super) token: Option<[u8; 16]>,
    #[n(10)]
    pub(super) marker: Option<MarkerHeader>,
    #[n(11)]
    pub(super) gone: u64,
    #[n(12)]
    pub(super) valid_until: u64,
    #[n(13)]
    pub(super) source_version: Option<u64>,
    #[cbor(n(14), with = "minicbor::bytes")]
    pub(super) etag: Option<[u8; 16]>,
    #[n(15)]
    pub(super) not_found: bool,
    #[n(16)]
    pub(super) why: Option<WhyHeader>,
    #[n(17)]
    pub(super) load_ms: Option<u32>,
    #[b(18)]
    pub(super) depends: Option<DependsHeader<'a>>,
}

#[derive(Debug, PartialEq, Encode, Decode)]
pub(super) struct MarkerHeader {
    #[n(0)]
    pub(super) renewal: u32,
    #[n(1)]
    pub(super) term_ms: u64,
}

/// Fields of a [`Header`]; the last ones are left out where they are none.
const FIELDS: RangeInclusive<u64> = 16..=19;
/// Kinds of items, and the items that are one byte.
const NUMBER: u8 = 0;
const BYTES: u8 = 2;
const TEXT: u8 = 3;
const ARRAY: u8 = 4;
const FALSE: u8 = 0xf4;
const TRUE: u8 = 0xf5;
const NULL: u8 = 0xf6;

impl<'a> Header<'a> {
    /// None: it is none.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        Self::plain(bytes).or_else(|| minicbor::decode(bytes).ok())
    }

    /// None: the library has to say.
    fn plain(bytes: &'a [u8]) -> Option<Self> {
        let mut items = Items(bytes);
        let fields = items.head(ARRAY)?;
        if !FIELDS.contains(&fields) {
            return None;
        }
        Some(Self {
            namespace: items.text()?,
            key: items.text()?,
            epoch: items.number()?,
            as_of: items.number()?,
            stored: items.number()?,
            expires: items.number()?,
            text: items.flag()?,
            content_type: items.text()?,
            tags: items.texts()?,
            token: items.if_any(Items::id)?,
            marker: items.if_any(|_| None)?,
            gone: items.number()?,
            valid_until: items.number()?,
            source_version: items.if_any(Items::number)?,
            etag: items.if_any(Items::id)?,
            not_found: items.flag()?,
            why: match fields {
                17.. => items.if_any(Items::why)?,
                _ => None,
            },
            load_ms: match fields {
                18.. => items.if_any(Items::small)?,
                _ => None,
            },
            depends: match fields {
                19.. => items.if_any(Items::depends)?,
                _ => None,
            },
        })
    }
}

/// The items that were not read yet. None: the next one is another.
struct Items<'a>(&'a [u8]);

impl<'a> Items<'a> {
    /// An item's first bytes: its number, or how long it is.
    fn head(&mut self, kind: u8) -> Option<u64> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        if first >> 5 != kind {
            return None;
        }
        match first & 31 {
            small @ 0..=23 => Some(small.into()),
            24 => self.array().map(u8::from_be_bytes).map(u64::from),
            25 => self.array().map(u16::from_be_bytes).map(u64::from),
            26 => self.array().map(u32::from_be_bytes).map(u64::from),
            27 => self.array().map(u64::from_be_bytes),
            _ => None,
        }
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*bytes)
    }

    fn bytes(&mut self, kind: u8) -> Option<&'a [u8]> {
        let length = usize::try_from(self.head(kind)?).ok()?;
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    fn number(&mut self) -> Option<u64> {
        self.head(NUMBER)
    }

    fn why(&mut self) -> Option<WhyHeader> {
        if self.head(ARRAY)? != 4 {
            return None;
        }
        Some(WhyHeader {
            given_us: self.number()?,
            jitter_us: self.number()?,
            ttl_by: u8::try_from(self.number()?).ok()?,
            stale_for_by: u8::try_from(self.number()?).ok()?,
        })
    }

    fn depends(&mut self) -> Option<DependsHeader<'a>> {
        if self.head(ARRAY)? != 3 {
            return None;
        }
        Some(DependsHeader {
            keys: self.texts()?,
            levels: self.bytes(BYTES)?.to_vec(),
            tags: self.texts()?,
        })
    }

    fn small(&mut self) -> Option<u32> {
        u32::try_from(self.number()?).ok()
    }

    fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes(TEXT)?).ok()
    }

    fn texts(&mut self) -> Option<Vec<&'a str>> {
        (0..self.head(ARRAY)?).map(|_| self.text()).collect()
    }

    fn id(&mut self) -> Option<[u8; 16]> {
        self.bytes(BYTES)?.try_into().ok()
    }

    fn flag(&mut self) -> Option<bool> {
        match self.array()? {
            [FALSE] => Some(false),
            [TRUE] => Some(true),
            _ => None,
        }
    }

    fn if_any<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<Option<T>> {
        match self.0.split_first()? {
            (&NULL, rest) => {
                self.0 = rest;
                Some(None)
            }
            _ => read(self).map(Some),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::option;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        #[test]
        fn a_header_is_read_without_the_library_unless_it_has_a_marker(
            texts in proptest::collection::vec("[a-zé:]{0,40}", 3..40),
            numbers in proptest::collection::vec(any::<u64>(), 6),
            bits in 0..64_u32,
            flags: [bool; 2],
            ids in (option::of(any::<[u8; 16]>()), option::of(any::<[u8; 16]>())),
            source_version: Option<u64>,
            marker: bool,
            why: Option<[u8; 4]>,
            load_ms: Option<u32>,
            levels in option::of(proptest::collection::vec(any::<u8>(), 0..9)),
        ) {
            // Short numbers are written shorter.
            let number = |at: usize| numbers[at] >> bits;
            let header = Header {
                namespace: &texts[0],
                key: &texts[1],
                epoch: number(0),
                as_of: number(1),
                stored: number(2),
                expires: number(3),
                text: flags[0],
                content_type: &texts[2],
                tags: texts[3..].iter().map(String::as_str).collect(),
                token: ids.0,
                marker: marker.then_some(MarkerHeader { renewal: 1, term_ms: 2 }),
                gone: number(4),
                valid_until: number(5),
                source_version,
                etag: ids.1,
                not_found: flags[1],
                why: why.map(|[given, jitter, ttl_by, stale_for_by]| WhyHeader {
                    given_us: u64::from(given) << bits,
                    jitter_us: jitter.into(),
                    ttl_by,
                    stale_for_by,
                }),
                load_ms,
                depends: levels.map(|levels| DependsHeader {
                    keys: texts.iter().map(String::as_str).collect(),
                    levels,
                    tags: texts[1..].iter().map(String::as_str).collect(),
                }),
            };
            let bytes = minicbor::to_vec(&header).expect("encoding into memory does not fail");
            prop_assert_eq!(Header::plain(&bytes).is_some(), !marker);
            prop_assert_eq!(Header::read(&bytes), Some(header));
        }

        #[test]
        fn what_is_read_without_the_library_is_what_it_reads(
            tags in proptest::collection::vec("[a-z]{0,3}", 0..3),
            at: usize,
            to: u8,
            cut: usize,
            depends: bool,
        ) {
            let tags = tags.iter().map(String::as_str).collect();
            let depends = depends.then(|| DependsHeader {
                keys: vec!["a", "b"],
                levels: vec![1, 2],
                tags: vec!["t"],
            });
            let header = Header { tags, etag: Some([7; 16]), depends, ..Header::default() };
            let mut bytes = minicbor::to_vec(&header).expect("encoding into memory does not fail");
            let length = bytes.len();
            bytes[at % length] = to;
            bytes.truncate(length - cut % 3);
            if let Some(plain) = Header::plain(&bytes) {
                prop_assert_eq!(minicbor::decode(&bytes).ok(), Some(plain));
            }
        }
    }
}
