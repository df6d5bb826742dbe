//! Every limit of the contract, in one place.

use std::time::Duration;

/// Longest key, in bytes of UTF-8.
pub const KEY_BYTES: usize = 512;
/// Room kept for the envelope inside [`RECORD_BYTES`].
pub const ENVELOPE_BYTES: usize = 8 * 1024;
/// Largest stored record (the value and its envelope), in bytes.
pub const RECORD_BYTES: usize = 1024 * 1024;
/// Largest value, in bytes.
pub const VALUE_BYTES: usize = RECORD_BYTES - ENVELOPE_BYTES;
/// Most tags of one entry, and of one invalidation.
pub const TAGS: usize = 16;
/// Longest tag, in bytes.
pub const TAG_BYTES: usize = 128;
/// Most keys that one entry is said to depend on.
pub const DEPENDENCIES: usize = 16;
/// Most keys that one entry depends on, directly or through others; beyond this
/// and the four below it is not stored.
pub const DEPENDENCY_KEYS: usize = 64;
/// Most tags of the entries that one entry depends on.
pub const DEPENDENCY_TAGS: usize = 64;
/// Most entries in a row of which each depends on the next.
pub const DEPENDENCY_DEPTH: usize = 16;
/// Most bytes of those keys and tags together: they are part of the envelope.
pub const DEPENDENCY_BYTES: usize = 3 * 1024;
/// Most names that one entry is judged by for what it depends on: the keys, the
/// tags, and the keys' prefixes that end at a delimiter, each once.
pub const DEPENDENCY_NAMES: usize = 256;
/// Longest namespace, in characters.
pub const NAMESPACE_CHARS: usize = 63;
/// Longest content type, in bytes.
pub const CONTENT_TYPE_BYTES: usize = 128;
/// Most prefixes of one invalidation, and of the filter of a Watch.
pub const PREFIXES: usize = 16;
/// Delimiters of a key at which its prefixes are hashed; a prefix with more of
/// them goes to the exact table.
pub const PREFIX_DEPTH: usize = 16;
/// Prefixes with an exact floor of their own; more fold into their namespace's.
pub const EXACT_PREFIXES: usize = 128;
/// Namespaces with a floor of their own; more fold into the floor of
/// everything.
pub const NAMESPACE_FLOORS: usize = 1024;
/// Keys whose highest source version is remembered; the oldest are forgotten
/// (and counted) first.
pub const SOURCE_VERSIONS: usize = 65_536;
/// Most tags, and most keys, in the filter of a Watch.
pub const FILTER_NAMES: usize = 256;
/// Invalidations that a Watch can be behind before it is lagged.
pub const WATCH_RING: usize = 8192;
/// Most bytes of invalidations that a Watch can be behind before it is lagged.
pub const WATCH_RING_BYTES: usize = 8 * 1024 * 1024;
/// Invalidations, and writes, that Explain can name.
pub const HISTORY_CHANGES: usize = 8192;
/// Most bytes of invalidations that Explain can name.
pub const HISTORY_BYTES: usize = 4 * 1024 * 1024;
/// Sessions whose pod Explain can name.
pub const HISTORY_PODS: usize = 1024;
/// Most changes that one Explain names.
pub const EXPLAINED_CHANGES: usize = 16;
/// Shortest ttl.
pub const TTL_MIN: Duration = Duration::from_millis(1);
/// Longest ttl; the log keeps its records at least as long.
pub const TTL_MAX: Duration = Duration::from_secs(30 * 24 * 3600);
/// Most keys of one batch.
pub const BATCH_KEYS: usize = 256;
/// Largest BatchSet and largest batch answer, in bytes of values.
pub const BATCH_BYTES: usize = 4 * 1024 * 1024;
/// Most calls under way on one Session stream.
pub const SESSION_CALLS: usize = 1024;
/// Most bytes of calls under way on one Session stream, and of answers with
/// values that wait to be sent on it.
pub const SESSION_BYTES: usize = 32 * 1024 * 1024;
/// Most Session streams of one sidecar.
pub const SESSIONS: usize = 1024;
/// Longest idempotency id, in bytes.
pub const ID_BYTES: usize = 64;
/// Longest reason of an invalidation, in bytes.
pub const REASON_BYTES: usize = 256;
/// Shortest lease term.
pub const TERM_MIN: Duration = Duration::from_millis(100);
/// Longest lease term.
pub const TERM_MAX: Duration = Duration::from_secs(300);
/// How long nobody is granted a lease after a fail-safe Abandon that does not
/// say.
pub const RETRY_AFTER_DEFAULT: Duration = Duration::from_secs(1);
/// Leases of one key that this pod grants in a second, unless the namespace's
/// policy says otherwise.
pub const GRANTS_PER_SECOND: u32 = 20;
/// ttl of a negative entry when neither the caller nor the policy says.
pub const NEGATIVE_TTL_DEFAULT: Duration = Duration::from_secs(30);
/// ttl of an entry when neither the caller nor the policy says.
pub const TTL_DEFAULT: Duration = Duration::from_secs(300);
/// Lease term when the caller gives none.
pub const TERM_DEFAULT: Duration = Duration::from_secs(10);
/// Longest deadline that is honoured.
pub const DEADLINE_MAX: Duration = Duration::from_secs(60);
/// Deadline of a call that brings none (FLEET: D + 2 s).
pub const DEADLINE_DEFAULT: Duration = Duration::from_secs(1);
/// Longest name of an owner of references, in bytes.
pub const OWNER_BYTES: usize = 128;
/// Most references that a pod follows.
pub const REFERENCES: usize = 65_536;
/// Shortest term of a reference.
pub const REFERENCE_TERM_MIN: Duration = Duration::from_secs(1);
/// Longest term of a reference.
pub const REFERENCE_TERM_MAX: Duration = Duration::from_secs(3600);
/// Term of a reference when the caller gives none.
pub const REFERENCE_TERM_DEFAULT: Duration = Duration::from_secs(30);
/// Owners of a key that Explain names.
pub const EXPLAINED_OWNERS: usize = 16;
