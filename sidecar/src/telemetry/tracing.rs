//! Logs on stderr, as text or JSON. Values and keys never appear at info or
//! above.

use std::io::IsTerminal as _;
use tracing_subscriber::EnvFilter;

/// Starts logging; `json` says in which form. Later calls change nothing.
pub fn start(json: bool, level: &str) {
    // The client libraries are quieter than we are: what matters of theirs we
    // say ourselves.
    let quiet = if matches!(level, "debug" | "trace") {
        level
    } else {
        "error"
    };
    let filter = format!("{quiet},unstale={level},unstale_sidecar={level},unstale_engine={level}");
    let builder = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(filter))
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    // An error means that logging was started before, by a test.
    let _ = if json {
        builder.json().flatten_event(true).try_init()
    } else {
        builder.try_init()
    };
}
