//! Names: namespaces, keys, tags, and the hashes that stand for them.
//!
//! A value of these types has been checked against the limits; constructing
//! one is the only check there is. Hashes are BLAKE3, domain separated, and
//! equal on every pod.

mod prefixes;

use crate::limits;
use crate::text::Text;
pub(crate) use prefixes::Prefixes;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, LazyLock, OnceLock};

/// Why a name was refused; the text tells the caller what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadName(pub String);

/// A checked namespace.
#[derive(Clone)]
pub struct Namespace(Arc<Named>);

/// The text, and the hash that stands for it, once somebody asked for it.
struct Named {
    text: Box<str>,
    hash: OnceLock<NameHash>,
}

/// Most calls are about this one, so it is made once.
static DEFAULT: LazyLock<Namespace> = LazyLock::new(|| Namespace::named("default"));

impl Namespace {
    /// Checks a namespace; empty means "default".
    pub fn new(text: &str) -> Result<Self, BadName> {
        if text.is_empty() {
            return Ok(DEFAULT.clone());
        }
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if text.len() > limits::NAMESPACE_CHARS || !text.bytes().all(allowed) {
            let max = limits::NAMESPACE_CHARS;
            return Err(BadName(format!("must be 1 to {max} of [a-z0-9-]")));
        }
        Ok(Self::named(text))
    }

    fn named(text: &str) -> Self {
        Self(Arc::new(Named {
            text: text.into(),
            hash: OnceLock::new(),
        }))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0.text
    }
}

impl PartialEq for Namespace {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.as_str() == other.as_str()
    }
}

impl Eq for Namespace {}

impl PartialOrd for Namespace {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Namespace {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl Hash for Namespace {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.as_str().hash(hasher);
    }
}

impl fmt::Debug for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Namespace").field(&self.as_str()).finish()
    }
}

/// A checked key in its namespace: what an entry is stored under.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Key {
    namespace: Namespace,
    name: Arc<str>,
    hash: NameHash,
}

impl Key {
    /// Checks a key: 1 to 512 bytes of UTF-8.
    pub fn new(namespace: Namespace, name: &str) -> Result<Self, BadName> {
        check_length(name, limits::KEY_BYTES)?;
        let hash = NameHash::of("key", &namespace, name);
        Ok(Self {
            namespace,
            name: name.into(),
            hash,
        })
    }

    /// The namespace.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// The name within the namespace.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The hash that stands for it in floors, subjects and envelopes.
    pub fn hash(&self) -> NameHash {
        self.hash
    }

    /// The texts of its prefixes that end at a delimiter, in the order of
    /// [`Prefixes::of`].
    pub(crate) fn prefix_texts<'a>(
        &'a self,
        delimiters: &'a Delimiters,
    ) -> impl Iterator<Item = &'a str> {
        let bytes = self.name.bytes().enumerate();
        let ends = bytes.filter(|(_, b)| delimiters.has(*b)).map(|(at, _)| at);
        let first = ends.take(limits::PREFIX_DEPTH);
        first.map(|at| &self.name[..=at])
    }
}

/// Keys never appear in logs: the debug form is the hash.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({:032x})", self.hash.0)
    }
}

/// A checked tag.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag(Arc<str>);

impl Tag {
    /// Checks a tag: 1 to 128 bytes of UTF-8.
    pub fn new(text: &str) -> Result<Self, BadName> {
        check_length(text, limits::TAG_BYTES)?;
        Ok(Self(text.into()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The hash that stands for this tag of `namespace` in floors.
    pub fn hash(&self, namespace: &Namespace) -> NameHash {
        NameHash::of("tag", namespace, &self.0)
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tag(..)")
    }
}

fn check_length(text: &str, max: usize) -> Result<(), BadName> {
    match text.len() {
        0 => Err(BadName(format!("must not be empty (1 to {max} bytes)"))),
        n if n > max => Err(BadName(format!(
            "is {n} bytes long; at most {max} are allowed"
        ))),
        _ => Ok(()),
    }
}

/// A checked prefix of keys.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Prefix(Arc<str>);

impl Prefix {
    /// Checks a prefix: 1 to 512 bytes of UTF-8.
    pub fn new(text: &str) -> Result<Self, BadName> {
        if text.is_empty() {
            let what = "must not be empty: to invalidate the whole namespace, give all";
            return Err(BadName(what.into()));
        }
        check_length(text, limits::KEY_BYTES)?;
        Ok(Self(text.into()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The hash that stands for it in floors, if it is one of those that
    /// [`Prefixes`] names; others are compared as text.
    pub fn hash(&self, namespace: &Namespace, delimiters: &Delimiters) -> Option<NameHash> {
        let ends = self.0.bytes().last().is_some_and(|b| delimiters.has(b));
        let depth = self.0.bytes().filter(|b| delimiters.has(*b)).count();
        (ends && depth <= limits::PREFIX_DEPTH).then(|| NameHash::of("prefix", namespace, &self.0))
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Prefix({} bytes)", self.0.len())
    }
}

/// Where a prefix may end to be hashed like a tag: ASCII punctuation, `:/.`
/// unless configured otherwise. Every pod judges by its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delimiters(Arc<[u8]>);

impl Delimiters {
    /// Checks delimiters: 1 to 8 ASCII punctuation characters.
    pub fn new(text: &str) -> Result<Self, BadName> {
        let good = (1..=8).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_punctuation());
        if !good {
            let what = "must be 1 to 8 ASCII punctuation characters, like :/.";
            return Err(BadName(what.into()));
        }
        Ok(Self(text.as_bytes().into()))
    }

    pub(crate) fn has(&self, byte: u8) -> bool {
        self.0.contains(&byte)
    }
}

impl Default for Delimiters {
    fn default() -> Self {
        Self(b":/.".as_slice().into())
    }
}

/// 128 bits of BLAKE3 over what kind of name it is, its namespace and itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NameHash(pub u128);

/// Names no longer than this, with kind and namespace, are hashed in one step:
/// for a short one the hasher that takes parts costs as much as the hash again.
const ONE_STEP: usize = 128;

impl NameHash {
    fn of(kind: &str, namespace: &Namespace, name: &str) -> Self {
        let parts = [kind, "\0", namespace.as_str(), "\0", name];
        let (mut joined, mut length) = ([0; ONE_STEP], 0);
        for part in parts {
            let end = length + part.len();
            let Some(room) = joined.get_mut(length..end) else {
                return Self::of_parts(parts);
            };
            room.copy_from_slice(part.as_bytes());
            length = end;
        }
        Self::first_of(blake3::hash(&joined[..length]))
    }

    fn of_parts(parts: [&str; 5]) -> Self {
        let mut hasher = blake3::Hasher::new();
        for part in parts {
            hasher.update(part.as_bytes());
        }
        Self::first_of(hasher.finalize())
    }

    fn first_of(hash: blake3::Hash) -> Self {
        let mut first = [0; 16];
        first.copy_from_slice(&hash.as_bytes()[..16]);
        Self(u128::from_be_bytes(first))
    }

    /// The hash of a whole namespace.
    pub fn of_namespace(namespace: &Namespace) -> Self {
        let hash = || Self::of("namespace", namespace, "");
        *namespace.0.hash.get_or_init(hash)
    }

    /// Under which what was learned of a namespace is kept: no key has it.
    pub(crate) fn of_learned(namespace: &Namespace) -> Self {
        Self::of("learned", namespace, "")
    }

    /// 32 hex digits.
    pub fn text(self) -> Text {
        Text::new().hex(self.0.to_be_bytes())
    }

    /// Which of `shards` log subjects carries the writes of this key.
    pub fn shard(self, shards: u16) -> u16 {
        u16::try_from(self.0 % u128::from(shards)).expect("a remainder by a u16 fits a u16")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_outside_the_limits_are_refused() {
        assert!(Namespace::new("Shop").is_err());
        assert!(Namespace::new(&"a".repeat(64)).is_err());
        let ns = Namespace::new("").expect("empty means default");
        assert_eq!(ns.as_str(), "default");
        assert!(Key::new(ns.clone(), "").is_err());
        assert!(Key::new(ns.clone(), &"k".repeat(513)).is_err());
        assert!(Key::new(ns, &"k".repeat(512)).is_ok());
        assert!(Tag::new("").is_err());
    }

    #[test]
    fn a_name_has_one_hash_however_long_it_is() {
        let ns = Namespace::new("shop").expect("a good namespace");
        for length in 1..=limits::KEY_BYTES {
            let name = "k".repeat(length);
            let of_parts = NameHash::of_parts(["key", "\0", "shop", "\0", &name]);
            assert_eq!(NameHash::of("key", &ns, &name), of_parts, "{length}");
        }
        let key = Key::new(ns, "user:1").expect("a good key");
        // Known to every pod of a fleet: it must not change.
        assert_eq!(
            format!("{:032x}", key.hash().0),
            "4fad8e3606d9c36540d92637f43784a7"
        );
    }

    #[test]
    fn a_prefix_is_hashed_exactly_when_its_keys_name_it() {
        let ns = Namespace::new("shop").expect("a good namespace");
        let delimiters = Delimiters::default();
        let key = Key::new(ns.clone(), "user:1/cart").expect("a good key");
        let hash = |text: &str| {
            let prefix = Prefix::new(text).expect("a good prefix");
            prefix.hash(&ns, &delimiters)
        };
        let named = Prefixes::new(&delimiters).of(&key);
        assert_eq!(named.len(), 2);
        assert_eq!(hash("user:"), Some(named[0]));
        assert_eq!(hash("user:1/"), Some(named[1]));
        assert_eq!(hash("user:1"), None);
        assert_eq!(hash(&":".repeat(limits::PREFIX_DEPTH + 1)), None);
        assert!(Prefix::new("").is_err());
        assert!(Delimiters::new("a").is_err() && Delimiters::new("").is_err());
    }

    #[test]
    fn a_key_and_a_tag_of_one_name_have_different_hashes() {
        let ns = Namespace::new("shop").expect("a good namespace");
        let key = Key::new(ns.clone(), "a").expect("a good key");
        assert_ne!(key.hash(), Tag::new("a").expect("a good tag").hash(&ns));
    }
}
