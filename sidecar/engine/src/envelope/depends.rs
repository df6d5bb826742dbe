//! In an envelope's header: what the entry depends on.

use crate::coherence::Depends;
use crate::key::{Delimiters, Key, Namespace, Tag};
use crate::limits;
use minicbor::{Decode, Encode};

#[derive(Debug, PartialEq, Encode, Decode)]
pub(super) struct DependsHeader<'a> {
    /// Keys of the entry's namespace, each once.
    #[b(0)]
    pub(super) keys: Vec<&'a str>,
    /// How far each is away: 1 is direct.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub(super) levels: Vec<u8>,
    /// Tags of the entries under them, each once.
    #[b(2)]
    pub(super) tags: Vec<&'a str>,
}

impl<'a> From<&'a Depends> for DependsHeader<'a> {
    fn from(depends: &'a Depends) -> Self {
        Self {
            keys: depends.keys().map(|(key, _)| key.name()).collect(),
            levels: depends.keys().map(|(_, level)| level).collect(),
            tags: depends.tags().iter().map(Tag::as_str).collect(),
        }
    }
}

impl DependsHeader<'_> {
    /// None: nothing that could have been stored.
    pub(super) fn read(&self, namespace: &Namespace, delimiters: &Delimiters) -> Option<Depends> {
        // The tier is not trusted: no more is looked at than may be there.
        let few = self.keys.len() <= limits::DEPENDENCY_KEYS
            && self.tags.len() <= limits::DEPENDENCY_TAGS;
        if !few || self.keys.len() != self.levels.len() {
            return None;
        }
        let levels = self.levels.iter().copied();
        let keys = self.keys.iter().zip(levels).map(|(name, level)| {
            let key = Key::new(namespace.clone(), name).ok()?;
            Some((key, level))
        });
        let tags = self.tags.iter().map(|tag| Tag::new(tag).ok());
        let (keys, tags) = (keys.collect::<Option<_>>()?, tags.collect::<Option<_>>()?);
        Depends::new(keys, tags, delimiters)
    }
}
