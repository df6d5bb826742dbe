//! Values, and what may stand in the place of one: the origin has nothing.

use bytes::Bytes;
use unstale_proto::v1;

/// A value: bytes, or text that people may read with any tool.
///
/// ```
/// use unstale::Value;
///
/// assert_eq!(Value::from("Ada").as_bytes(), b"Ada");
/// assert_ne!(Value::from("Ada"), Value::from(b"Ada".to_vec()));
/// assert_eq!(Value::from(vec![1, 2]).into_bytes(), [1, 2][..]);
/// ```
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

/// What the origin has under a key.
///
/// Every call that stores takes one, or what can be made into one: bytes, text
/// and `Option`s of them, none meaning [`Content::NotFound`].
///
/// ```
/// use unstale::{Content, Value};
///
/// let row: Option<&str> = None;
/// assert_eq!(Content::from(row), Content::NotFound);
/// assert_eq!(Content::from("Ada").into_value(), Some(Value::from("Ada")));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// This value.
    Value(Value),
    /// Nothing. Stored as a negative entry, whose ttl is the namespace's
    /// `negative_ttl` unless one is given.
    NotFound,
}

impl Content {
    /// The value, if there is one.
    #[must_use]
    pub fn value(&self) -> Option<&Value> {
        match self {
            Self::Value(value) => Some(value),
            Self::NotFound => None,
        }
    }

    /// The value, if there is one.
    #[must_use]
    pub fn into_value(self) -> Option<Value> {
        match self {
            Self::Value(value) => Some(value),
            Self::NotFound => None,
        }
    }
}

impl<V: Into<Value>> From<Option<V>> for Content {
    fn from(value: Option<V>) -> Self {
        value.map_or(Self::NotFound, |value| Self::Value(value.into()))
    }
}

impl From<Value> for Content {
    fn from(value: Value) -> Self {
        Self::Value(value)
    }
}

/// What is a value is content, too.
macro_rules! from_value {
    ($($source:ty => |$name:ident| $value:expr;)+) => {$(
        impl From<$source> for Value {
            fn from($name: $source) -> Self {
                $value
            }
        }

        impl From<$source> for Content {
            fn from(source: $source) -> Self {
                Self::Value(source.into())
            }
        }
    )+};
}
from_value! {
    Bytes => |data| Self::Data(data);
    Vec<u8> => |data| Self::Data(data.into());
    &[u8] => |data| Self::Data(Bytes::copy_from_slice(data));
    String => |text| Self::Text(text);
    &str => |text| Self::Text(text.to_owned());
}

/// Every storing request has a value oneof of its own.
macro_rules! into_oneof {
    ($($oneof:ty),+) => {$(
        impl From<Content> for $oneof {
            fn from(content: Content) -> Self {
                match content {
                    Content::Value(Value::Data(data)) => Self::Data(data),
                    Content::Value(Value::Text(text)) => Self::Text(text),
                    Content::NotFound => Self::NotFound(v1::NotFound {}),
                }
            }
        }
    )+};
}
into_oneof!(
    v1::set_request::Value,
    v1::batch_set_item::Value,
    v1::compare_and_set_request::Value,
    v1::fill_request::Value
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_is_not_an_empty_value() {
        assert_eq!(Content::from(None::<&str>), Content::NotFound);
        assert_eq!(Content::from(Some("")), Content::from(""));
        assert_ne!(Content::from(""), Content::NotFound);
    }
}
