//! `unstale cas`: one value in, if the cached one is the expected one.

use super::exit::{Ended, Failure, note};
use super::output;
use super::reason;
use super::storing::{AckLevel, Storing};
use super::target::Target;
use super::value::Given;
use clap::Args;
use serde_json::{Value as Json, json};
use unstale::{CasOutcome, Expected, Lookup, NotStoredReason};

/// Cache a value if the cached one is the expected one.
#[derive(Debug, Args)]
pub struct Cas {
    /// The key
    key: String,
    #[command(flatten)]
    given: Given,
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
    /// An entry with this etag must be cached, whatever its version
    #[arg(long, value_name = "ETAG")]
    etag: Option<String>,
    /// Nothing must be cached, or that the origin has nothing
    #[arg(long)]
    absent: bool,
}

impl From<Expect> for Expected {
    fn from(expect: Expect) -> Self {
        match (expect.expected_version, expect.etag) {
            (Some(version), _) => Self::Version(version),
            (None, Some(etag)) => Self::Etag(etag),
            (None, None) => Self::Absent,
        }
    }
}

impl Cas {
    pub(super) async fn run(self) -> Result<Ended, Failure> {
        let content = self.given.read()?;
        let expected = self.expect.into();
        let cache = self.target.connect().await?;
        let (entry, ack) = (self.storing.into(), self.ack.into());
        let called = cache.compare_and_set(self.key, expected, content, entry, ack);
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
            CasOutcome::Conflict { reason, current } => {
                let reason = reason.as_ref();
                if json {
                    let conflict = json!({ "result": "conflict", "current": entry_of(current) });
                    let conflict = reason::added(conflict, reason);
                    output::object(&output::with_answer(conflict, &answer))?;
                } else {
                    note(&format!("conflict: {}", words(reason, current)));
                }
                Ok(Ended::Not)
            }
        }
    }
}

fn entry_of(current: &Lookup) -> Json {
    match current {
        Lookup::Hit(entry) => output::entry(entry),
        Lookup::Negative(negative) => output::negative(negative),
        Lookup::NotModified(_) | Lookup::Miss => Json::Null,
    }
}

fn words(reason: Option<&NotStoredReason>, current: &Lookup) -> String {
    match reason {
        None => what_is(current),
        // The position is one that the caller did not see.
        Some(NotStoredReason::Covered | NotStoredReason::PositionTooOld) => {
            "the key was invalidated or written meanwhile".to_owned()
        }
        Some(reason) => reason::words(reason),
    }
}

fn what_is(current: &Lookup) -> String {
    match current {
        Lookup::Hit(entry) => format!("version {} is cached", entry.version),
        Lookup::Negative(negative) => {
            let version = &negative.version;
            format!("it is cached that the origin has nothing, version {version}")
        }
        Lookup::NotModified(_) | Lookup::Miss => "nothing is cached".to_owned(),
    }
}
