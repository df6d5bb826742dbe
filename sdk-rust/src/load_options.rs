//! How [`crate::Cache::get_or_load`] loads, and how what it loaded is stored.

use crate::fill::AbandonOptions;
use crate::lease::LeaseOptions;
use crate::loaded::Load;
use crate::{Content, EntryOptions};
use std::time::Duration;

/// How [`crate::Cache::get_or_load`] loads.
///
/// ```
/// use std::time::Duration;
/// use unstale::{EntryOptions, LoadOptions};
///
/// let minute = Duration::from_secs(60);
/// let options = LoadOptions {
///     negative_ttl: Some(minute),
///     hard_timeout: Some(Duration::from_secs(2)),
///     ..LoadOptions::from(EntryOptions::default().ttl(5 * minute).stale_for(60 * minute))
/// };
/// assert!(options.allow_stale, "the default");
/// ```
#[derive(Clone, Debug)]
pub struct LoadOptions {
    /// How the loaded entry is stored.
    pub entry: EntryOptions,
    /// Time to live of [`Load::NotFound`]; the namespace's `negative_ttl` when
    /// none. Its tags, its source version and what it depends on are those of
    /// `entry`.
    pub negative_ttl: Option<Duration>,
    /// How long the lease outlives a loader that died; the sidecar's default
    /// (10 s) when none.
    pub term: Option<Duration>,
    /// How long the loader may take: then it is dropped and the lease goes
    /// back ([`crate::LoadError::TimedOut`], or the stale entry with `fail_safe`). As
    /// long as it likes when none. Without a sidecar another caller's loader is
    /// not waited for any longer, either ([`crate::Error::Busy`] then).
    pub hard_timeout: Option<Duration>,
    /// How long another caller's load is waited for; 30 s by default.
    pub wait: Duration,
    /// As in [`crate::ReadOptions`]: read-your-writes across services.
    pub min_position: Option<String>,
    /// Whether a stale entry, flagged, is given at once while another caller
    /// loads, in place of waiting; so by default. There is one only where
    /// `stale_for` or a soft invalidation made it.
    pub allow_stale: bool,
    /// Fail-safe: when the loader fails and there is a stale entry, it is
    /// given, flagged, in place of the error, and the lease goes back with
    /// these. Not so when none.
    pub fail_safe: Option<AbandonOptions>,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self {
            entry: EntryOptions::default(),
            negative_ttl: None,
            term: None,
            hard_timeout: None,
            wait: Duration::from_secs(30),
            min_position: None,
            allow_stale: true,
            fail_safe: None,
        }
    }
}

impl From<EntryOptions> for LoadOptions {
    fn from(entry: EntryOptions) -> Self {
        Self {
            entry,
            ..Self::default()
        }
    }
}

impl LoadOptions {
    pub(crate) fn lease(&self) -> LeaseOptions {
        LeaseOptions {
            term: self.term,
            wait: self.wait,
            min_position: self.min_position.clone(),
        }
    }

    /// What to fill with.
    pub(crate) fn storing(self, load: Load) -> (Content, EntryOptions) {
        match load {
            Load::Value(value) => (Content::Value(value), self.entry),
            Load::With(content, entry) => (content, entry),
            Load::NotFound => {
                let entry = EntryOptions {
                    ttl: self.negative_ttl,
                    tags: self.entry.tags,
                    source_version: self.entry.source_version,
                    depends_on: self.entry.depends_on,
                    ..EntryOptions::default()
                };
                (Content::NotFound, entry)
            }
        }
    }
}
