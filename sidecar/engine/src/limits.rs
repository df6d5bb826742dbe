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
/// Longest namespace, in characters.
pub const NAMESPACE_CHARS: usize = 63;
/// Longest content type, in bytes.
pub const CONTENT_TYPE_BYTES: usize = 128;
/// Shortest ttl.
pub const TTL_MIN: Duration = Duration::from_millis(1);
/// Longest ttl; the log keeps its records at least as long.
pub const TTL_MAX: Duration = Duration::from_secs(30 * 24 * 3600);
/// Most keys of one batch.
pub const BATCH_KEYS: usize = 256;
/// Largest batch answer, in bytes of values.
pub const BATCH_BYTES: usize = 4 * 1024 * 1024;
/// Longest idempotency id, in bytes.
pub const ID_BYTES: usize = 64;
/// Longest reason of an invalidation, in bytes.
pub const REASON_BYTES: usize = 256;
/// Shortest lease term.
pub const TERM_MIN: Duration = Duration::from_millis(100);
/// Longest lease term.
pub const TERM_MAX: Duration = Duration::from_secs(300);
/// Lease term when the caller gives none.
pub const TERM_DEFAULT: Duration = Duration::from_secs(10);
/// Longest deadline that is honoured.
pub const DEADLINE_MAX: Duration = Duration::from_secs(60);
/// Deadline of a call that brings none (FLEET: D + 2 s).
pub const DEADLINE_DEFAULT: Duration = Duration::from_secs(1);
