//! The port to the references of the fleet: who refers to which key, and until
//! when.
//!
//! A driver keeps one record per key and owner, which ends with its term, and
//! tells the engine of every change, in one order for all pods. It counts and
//! decides nothing: [`crate::retained`] does. Records of references never go into
//! the log: those end by themselves, and a log must not have holes.

use crate::key::{BadName, Key, NameHash};
use crate::limits;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A checked name of an owner.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Owner(Arc<str>);

impl Owner {
    /// Checks an owner: 1 to 128 bytes of UTF-8.
    pub fn new(text: &str) -> Result<Self, BadName> {
        let max = limits::OWNER_BYTES;
        match text.len() {
            0 => Err(BadName(format!("must not be empty (1 to {max} bytes)"))),
            n if n > max => Err(BadName(format!(
                "is {n} bytes long; at most {max} are allowed"
            ))),
            _ => Ok(Self(text.into())),
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// 128 bits of BLAKE3 that stand for it in subjects; equal on every pod.
    pub fn hash(&self) -> u128 {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"owner\0").update(self.0.as_bytes());
        let mut first = [0; 16];
        first.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        u128::from_be_bytes(first)
    }
}

/// Owners never appear in logs.
impl fmt::Debug for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Owner({:032x})", self.hash())
    }
}

/// What names a reference where its key and owner are not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReferenceId {
    /// The key's hash.
    pub key: NameHash,
    /// The owner's hash.
    pub owner: u128,
}

/// One owner's reference to a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The key.
    pub key: Key,
    /// The owner.
    pub owner: Owner,
    /// Whether the entry is dropped if this is the last one to go.
    pub drop_at_zero: bool,
    /// The name of the pod that put it.
    pub pod: Arc<str>,
}

impl Reference {
    /// What names it.
    pub fn id(&self) -> ReferenceId {
        ReferenceId {
            key: self.key.hash(),
            owner: self.owner.hash(),
        }
    }
}

/// A reference that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Present {
    /// Where its newest record is among all of them.
    pub sequence: u64,
    /// The reference.
    pub reference: Reference,
    /// The rest of its term.
    pub left: Duration,
}

/// A reference that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gone {
    /// Where the record that ended it is.
    pub sequence: u64,
    /// Which one.
    pub id: ReferenceId,
    /// It, if it was released; a term that passed names its id only.
    pub reference: Option<Reference>,
}

/// What a driver tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Everything there is: what was told before counts no more. Told when the
    /// records are followed, again after every doubt.
    State {
        /// What is there.
        present: Vec<Present>,
        /// What ended a short time ago.
        gone: Vec<Gone>,
        /// Every record up to this sequence is reflected.
        sequence: u64,
    },
    /// A reference was put or renewed.
    Present(Present),
    /// A reference has ended.
    Gone(Gone),
    /// The records are not followed, and why.
    Away(String),
}

/// Where a driver's events go. Never blocks.
pub trait Sink: Send + Sync + 'static {
    /// Takes one event.
    fn told(&self, event: Event);
}

/// The references of the fleet. Methods are cancel safe in the sense that what
/// was cancelled may or may not have happened; both can be repeated.
#[async_trait::async_trait]
pub trait References: Send + Sync + 'static {
    /// The driver's name ("local", "nats").
    fn name(&self) -> &'static str;
    /// Puts a reference for `term` (whole seconds), or renews it: the sequence of
    /// its record, which will be told. Or why that is not known to have happened.
    async fn put(&self, reference: Reference, term: Duration) -> Result<u64, String>;
    /// Ends a reference: the sequence of the record that says so, which will be
    /// told; none if there was none.
    async fn remove(&self, reference: Reference) -> Result<Option<u64>, String>;
}
