//! Codecs: how values of Rust types become values of the cache and back.
//!
//! The codec's id travels as the entry's content type, so that whoever reads
//! the entry, in whatever language, decodes it as it was written. Bytes and
//! text need none: [`crate::Cache::set`] and [`crate::Cache::get`] take them as
//! they are.

use crate::{Entry, Value};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// How values are written. Entries are read by the codec that wrote them.
///
/// ```
/// use unstale::Codec;
///
/// let value = Codec::Json.encode(&("Ada", 36))?;
/// assert_eq!(value.as_bytes(), br#"["Ada",36]"#);
/// let (name, age): (String, u8) = Codec::Json.decode(&value)?;
/// assert_eq!((name.as_str(), age), ("Ada", 36));
/// assert_eq!(Codec::of("application/json; charset=utf-8"), Some(Codec::Json));
/// assert_eq!(Codec::of("application/x-protobuf"), None);
/// # Ok::<_, unstale::CodecError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Codec {
    /// `application/json`, stored as text: people can read it with any tool.
    #[default]
    Json,
    /// `application/msgpack`, structs as maps with named fields: smaller, and
    /// holds bytes. With the feature `msgpack`.
    #[cfg(feature = "msgpack")]
    MessagePack,
}

/// Why a value was not encoded or decoded.
///
/// ```
/// use unstale::{Codec, CodecError};
///
/// let text = Codec::Json.encode("seven")?;
/// let number: Result<u8, _> = Codec::Json.decode(&text);
/// assert!(matches!(number, Err(CodecError::Decode(_))));
/// # Ok::<_, unstale::CodecError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// The value has no form in this codec: mend the type.
    #[error("the value cannot be encoded: {0}")]
    Encode(String),
    /// What is cached is not of this type: another version of the program wrote
    /// it, or another program.
    #[error("the cached value cannot be decoded: {0}")]
    Decode(String),
    /// What is cached was written by a codec that this client does not know:
    /// its content type.
    #[error("the cached value has the content type {0:?}, which this client cannot decode")]
    Unknown(String),
}

impl Codec {
    /// The codec's id.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            #[cfg(feature = "msgpack")]
            Self::MessagePack => "application/msgpack",
        }
    }

    /// The codec of this content type, whose parameters do not matter.
    #[must_use]
    pub fn of(content_type: &str) -> Option<Self> {
        let id = content_type.split(';').next().unwrap_or_default().trim();
        match id.to_ascii_lowercase().as_str() {
            "application/json" => Some(Self::Json),
            #[cfg(feature = "msgpack")]
            "application/msgpack" | "application/x-msgpack" | "application/vnd.msgpack" => {
                Some(Self::MessagePack)
            }
            _ => None,
        }
    }

    /// A value for the cache.
    ///
    /// # Errors
    /// [`CodecError::Encode`]: a map with keys that are no text, for JSON. A
    /// float that is no number has no form there, either, but is written as
    /// null: read it as an `Option`.
    pub fn encode<T: Serialize + ?Sized>(self, value: &T) -> Result<Value, CodecError> {
        match self {
            Self::Json => {
                let text = serde_json::to_string(value);
                text.map(Value::Text)
                    .map_err(|e| CodecError::Encode(e.to_string()))
            }
            #[cfg(feature = "msgpack")]
            Self::MessagePack => {
                let data = rmp_serde::to_vec_named(value);
                data.map(|data| Value::Data(data.into()))
                    .map_err(|e| CodecError::Encode(e.to_string()))
            }
        }
    }

    /// A value from the cache that this codec wrote.
    ///
    /// # Errors
    /// [`CodecError::Decode`].
    pub fn decode<T: DeserializeOwned>(self, value: &Value) -> Result<T, CodecError> {
        let bytes = value.as_bytes();
        match self {
            Self::Json => {
                serde_json::from_slice(bytes).map_err(|e| CodecError::Decode(e.to_string()))
            }
            #[cfg(feature = "msgpack")]
            Self::MessagePack => {
                rmp_serde::from_slice(bytes).map_err(|e| CodecError::Decode(e.to_string()))
            }
        }
    }

    /// The entry's value, decoded by the codec that wrote it; by this one when
    /// the writer did not say.
    ///
    /// # Errors
    /// [`CodecError::Unknown`] and [`CodecError::Decode`].
    pub fn decode_entry<T: DeserializeOwned>(self, entry: &Entry) -> Result<T, CodecError> {
        let written = match entry.content_type.as_str() {
            "" => Some(self),
            content_type => Self::of(content_type),
        };
        let unknown = || CodecError::Unknown(entry.content_type.clone());
        written.ok_or_else(unknown)?.decode(&entry.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn what_cannot_be_encoded_says_so() {
        let by_pair = BTreeMap::from([((1, 2), "no text")]);
        let encoded = Codec::Json.encode(&by_pair);
        assert!(matches!(encoded, Err(CodecError::Encode(_))), "{encoded:?}");
    }

    #[cfg(feature = "msgpack")]
    #[test]
    fn message_pack_names_the_fields_as_other_languages_expect() {
        #[derive(Serialize)]
        struct User {
            name: &'static str,
        }
        let value = Codec::MessagePack.encode(&User { name: "Ada" }).unwrap();
        assert_eq!(value.as_bytes(), b"\x81\xa4name\xa3Ada");
        let id = Codec::MessagePack.content_type();
        assert_eq!(Codec::of(id), Some(Codec::MessagePack));
        let map: BTreeMap<String, String> = Codec::MessagePack.decode(&value).unwrap();
        assert_eq!(map["name"], "Ada");
        let cut = Value::Data(value.into_bytes().slice(..3));
        let cut: Result<BTreeMap<String, String>, _> = Codec::MessagePack.decode(&cut);
        assert!(matches!(cut, Err(CodecError::Decode(_))), "{cut:?}");
    }
}
