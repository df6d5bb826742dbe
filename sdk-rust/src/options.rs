//! How an entry is stored: the same for every call that stores one.

use crate::Dependency;
use std::time::Duration;

/// How an entry is stored. What is not given is the namespace's policy.
///
/// ```
/// use std::time::Duration;
/// use unstale::EntryOptions;
///
/// let entry = EntryOptions::default()
///     .ttl(Duration::from_secs(60))
///     .stale_for(Duration::from_secs(600))
///     .tag("user:7")
///     .source_version(42);
/// assert_eq!(entry.tags, ["user:7"]);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EntryOptions {
    /// Time to live, 1 ms to 30 days.
    pub ttl: Option<Duration>,
    /// How long after its ttl it may still be served, flagged as stale.
    pub stale_for: Option<Duration>,
    /// It is gone when this has passed, whatever ttl, `stale_for` and fail-safe
    /// say; when none, they alone decide.
    pub valid_for: Option<Duration>,
    /// Up to this much (at most half of the ttl) is taken off the ttl at
    /// random, so that entries stored together do not expire together.
    pub jitter: Option<Duration>,
    /// Tags by which it can be invalidated; at most 16 of 128 bytes.
    pub tags: Vec<String>,
    /// The origin's version of the value (a row version, an LSN). The higher
    /// one wins: an older write is refused and says so.
    pub source_version: Option<u64>,
    /// What the value is; at most 128 bytes.
    pub content_type: String,
    /// What it was made of: it falls with these, and with what they depend on.
    /// At most 16 keys of the namespace, each once, and not its own.
    pub depends_on: Vec<Dependency>,
}

impl EntryOptions {
    /// Sets the time to live.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// Sets how long after its ttl it may be served stale.
    #[must_use]
    pub fn stale_for(mut self, stale_for: Duration) -> Self {
        self.stale_for = Some(stale_for);
        self
    }

    /// Sets when it is gone, whatever else holds.
    #[must_use]
    pub fn valid_for(mut self, valid_for: Duration) -> Self {
        self.valid_for = Some(valid_for);
        self
    }

    /// Sets how much may be taken off the ttl at random.
    #[must_use]
    pub fn jitter(mut self, jitter: Duration) -> Self {
        self.jitter = Some(jitter);
        self
    }

    /// Adds a tag.
    #[must_use]
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.tags.push(tag.into());
        self
    }

    /// Sets the origin's version of the value.
    #[must_use]
    pub fn source_version(mut self, source_version: u64) -> Self {
        self.source_version = Some(source_version);
        self
    }

    /// Sets what the value is.
    #[must_use]
    pub fn content_type(mut self, content_type: impl Into<String>) -> Self {
        self.content_type = content_type.into();
        self
    }

    /// Adds what it was made of: a key, or a [`Dependency`] with its version.
    #[must_use]
    pub fn depends_on(mut self, on: impl Into<Dependency>) -> Self {
        self.depends_on.push(on.into());
        self
    }
}

/// A message that stores an entry: its own fields, and those that all of them
/// share.
macro_rules! storing {
    ($message:ident { $($field:ident: $value:expr),+ $(,)? }, $content:expr, $entry:expr) => {{
        let entry: $crate::EntryOptions = $entry;
        let content: $crate::Content = $content;
        unstale_proto::v1::$message {
            $($field: $value,)+
            value: Some(content.into()),
            content_type: entry.content_type,
            ttl: entry.ttl.map($crate::answer::proto_duration),
            stale_for: entry.stale_for.map($crate::answer::proto_duration),
            valid_for: entry.valid_for.map($crate::answer::proto_duration),
            jitter: entry.jitter.map($crate::answer::proto_duration),
            tags: entry.tags,
            source_version: entry.source_version,
            depends_on: entry.depends_on.into_iter().map(Into::into).collect(),
        }
    }};
}
pub(crate) use storing;
