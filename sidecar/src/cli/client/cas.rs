//! `unstale cas`: one value in, if the cached one is the expected one.

use super::exit::{Ended, Failure, note};
use super::target::{AckLevel, Storing, Target};
use super::{output, value};
use clap::Args;
use serde_json::json;
use unstale::{CasOutcome, Expected, Lookup};

/// Cache a value if the cached one is the expected one.
#[derive(Debug, Args)]
pub struct Cas {
    /// The key
    key: String,
    /// The value; "-" reads it from stdin
    #[arg(allow_negative_numbers = true)]
    value: String,
    #[command(flatten)]
    expect: Expect,
    #[command(flatten)]
    storing: Storing,
    /// How far the write must have got: log or fleet
    #[arg(long, value_enum, default_value = "log")]
    ack: AckLevel,
    #[command(flatten)]
    target: Target,
}

/// What must be cached.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Expect {
    /// The entry with this version must be cached
    #[arg(long = "version", value_name = "VERSION")]
    expected_version: Option<String>,
    /// Nothing must be cached
    #[arg(long)]
    absent: bool,
}

impl Cas {
    pub(super) async fn run(self) -> Result<Ended, Failure> {
        let value = value::read(self.value)?;
        let version = self.expect.expected_version;
        let expected = version.map_or(Expected::Absent, Expected::Version);
        let cache = self.target.connect().await?;
        let (entry, ack) = (self.storing.into(), self.ack.into());
        let called = cache.compare_and_set(self.key, expected, value, entry, ack);
        let answer = called.await?;
        let json = self.target.json;
        match &answer.result {
            CasOutcome::Stored { version } if json => {
                let stored = json!({ "result": "stored", "version": version });
                output::object(&output::with_answer(stored, &answer))?;
                Ok(Ended::Done)
            }
            CasOutcome::Stored { version } => {
                output::line(version)?;
                Ok(Ended::Done)
            }
            CasOutcome::Conflict(current) => {
                if json {
                    let current = entry_of(current).map(output::entry);
                    let conflict = json!({ "result": "conflict", "current": current });
                    output::object(&output::with_answer(conflict, &answer))?;
                } else {
                    note(&conflict(current));
                }
                Ok(Ended::Not)
            }
        }
    }
}

fn entry_of(current: &Lookup) -> Option<&unstale::Entry> {
    match current {
        Lookup::Hit(entry) => Some(entry),
        Lookup::Miss => None,
    }
}

fn conflict(current: &Lookup) -> String {
    match current {
        Lookup::Hit(entry) => format!("conflict: version {} is cached", entry.version),
        Lookup::Miss => "conflict: nothing is cached".to_owned(),
    }
}
