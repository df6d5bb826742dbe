//! Rewrites docs/limits.md from the limits in code and fails when it differs,
//! so that the second run passes. Names and meanings are read from limits.rs,
//! values from the compiled constants.

#![allow(clippy::unwrap_used, reason = "a test may panic")]
use std::path::Path;
use std::time::Duration;
use unstale_engine::limits;

const SOURCE: &str = include_str!("../engine/src/limits.rs");
const HEAD: &str = "\
# Limits

Written by `cargo test -p unstale-sidecar --test limits` from `sidecar/engine/src/limits.rs`; do not edit. A namespace's
policy may set a narrower value size and ttl ([configuration](configuration.md)). What is over a limit is refused with
INVALID_ARGUMENT, every violation of the request at once (at most 64 are named).

| limit | value | meaning |
| --- | --- | --- |
";

macro_rules! values {
    ($($name:ident),* $(,)?) => {
        [$((stringify!($name), limits::$name.show(stringify!($name)))),*]
    };
}

/// Every constant of limits.rs, in its order.
fn values() -> Vec<(&'static str, String)> {
    values![
        KEY_BYTES,
        ENVELOPE_BYTES,
        RECORD_BYTES,
        VALUE_BYTES,
        TAGS,
        TAG_BYTES,
        DEPENDENCIES,
        DEPENDENCY_KEYS,
        DEPENDENCY_TAGS,
        DEPENDENCY_DEPTH,
        DEPENDENCY_BYTES,
        DEPENDENCY_NAMES,
        NAMESPACE_CHARS,
        CONTENT_TYPE_BYTES,
        PREFIXES,
        PREFIX_DEPTH,
        EXACT_PREFIXES,
        NAMESPACE_FLOORS,
        SOURCE_VERSIONS,
        FILTER_NAMES,
        WATCH_RING,
        WATCH_RING_BYTES,
        HISTORY_CHANGES,
        HISTORY_BYTES,
        HISTORY_PODS,
        EXPLAINED_CHANGES,
        TTL_MIN,
        TTL_MAX,
        BATCH_KEYS,
        BATCH_BYTES,
        SESSION_CALLS,
        SESSION_BYTES,
        SESSIONS,
        ID_BYTES,
        REASON_BYTES,
        TERM_MIN,
        TERM_MAX,
        RETRY_AFTER_DEFAULT,
        GRANTS_PER_SECOND,
        NEGATIVE_TTL_DEFAULT,
        TTL_DEFAULT,
        TERM_DEFAULT,
        DEADLINE_MAX,
        DEADLINE_DEFAULT,
        OWNER_BYTES,
        REFERENCES,
        REFERENCE_TERM_MIN,
        REFERENCE_TERM_MAX,
        REFERENCE_TERM_DEFAULT,
        EXPLAINED_OWNERS,
    ]
    .into()
}

trait Show {
    /// With its unit, which the name tells for numbers.
    fn show(&self, name: &str) -> String;
}

impl Show for usize {
    fn show(&self, name: &str) -> String {
        match name {
            _ if name.ends_with("_BYTES") => unstale_sidecar::config::show_size(*self as u64),
            _ if name.ends_with("_CHARS") => format!("{self} characters"),
            _ => self.to_string(),
        }
    }
}

impl Show for u32 {
    fn show(&self, _: &str) -> String {
        self.to_string()
    }
}

impl Show for Duration {
    fn show(&self, _: &str) -> String {
        unstale_sidecar::config::show_duration(*self)
    }
}

/// Name and meaning of every constant, as the code says.
fn documented() -> Vec<(&'static str, String)> {
    let mut meaning = Vec::new();
    let mut found = Vec::new();
    for line in SOURCE.lines() {
        if let Some(text) = line.strip_prefix("/// ") {
            meaning.push(text);
        } else if let Some(rest) = line.strip_prefix("pub const ") {
            let (name, _) = rest.split_once(':').unwrap();
            found.push((name, in_words(&meaning.join(" "))));
            meaning.clear();
        }
    }
    found
}

/// Links of rustdoc, as the table's first column names them.
fn in_words(meaning: &str) -> String {
    let mut words = String::new();
    for (i, part) in meaning.split("[`").enumerate() {
        match part.split_once("`]") {
            Some((link, rest)) if i > 0 => {
                let link = link.to_lowercase();
                words += &format!("`{}`{rest}", link.strip_prefix("key::").unwrap_or(&link));
            }
            _ => words += part,
        }
    }
    words.strip_suffix('.').unwrap_or(&words).to_owned()
}

#[test]
fn the_table_of_limits_matches_the_code() {
    let (documented, values) = (documented(), values());
    let names = |list: &[(&'static str, String)]| list.iter().map(|l| l.0).collect::<Vec<_>>();
    let (found, listed) = (names(&documented), names(&values));
    assert_eq!(found, listed, "list what limits.rs has, in its order");
    let mut text = HEAD.to_owned();
    for ((name, meaning), (_, value)) in documented.into_iter().zip(values) {
        text += &format!("| `{}` | {value} | {meaning} |\n", name.to_lowercase());
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/limits.md");
    let is_current = std::fs::read_to_string(&path).is_ok_and(|old| old == text);
    if !is_current {
        std::fs::write(&path, text).unwrap();
    }
    assert!(
        is_current,
        "docs/limits.md was out of date and is rewritten now: commit it"
    );
}
