//! `unstale set`: one value in.

use super::exit::{Ended, Failure, note};
use super::output;
use super::reason;
use super::storing::{AckLevel, Storing};
use super::target::Target;
use super::value::Given;
use clap::Args;
use serde_json::json;
use unstale::{Answer, SetOptions, SetOutcome};

/// Cache a value.
#[derive(Debug, Args)]
pub struct Set {
    /// The key
    key: String,
    #[command(flatten)]
    given: Given,
    #[command(flatten)]
    storing: Storing,
    /// How far the write must have got
    #[arg(long, value_enum, default_value = "log")]
    ack: AckLevel,
    /// The position held before the origin was read (from --json of any
    /// command): the write is refused if anything covered the key after it
    #[arg(long, value_name = "POSITION")]
    position: Option<String>,
    /// Only if nothing is cached
    #[arg(long, conflicts_with = "position")]
    if_absent: bool,
    #[command(flatten)]
    target: Target,
}

impl Set {
    pub(super) async fn run(self) -> Result<Ended, Failure> {
        let content = self.given.read()?;
        let options = SetOptions {
            entry: self.storing.into(),
            position: self.position,
            if_absent: self.if_absent,
            ack: self.ack.into(),
        };
        let cache = self.target.connect().await?;
        let answer = cache.set_with(self.key, content, options).await?;
        if self.target.json {
            print_json(&answer)?;
        } else {
            print(&answer.result)?;
        }
        Ok(match answer.result {
            SetOutcome::Stored { .. } => Ended::Done,
            SetOutcome::NotStored { .. } => Ended::Not,
        })
    }
}

fn print(outcome: &SetOutcome) -> Result<(), Failure> {
    match outcome {
        SetOutcome::Stored { version: Some(v) } => output::line(v),
        SetOutcome::Stored { version: None } => Ok(()),
        SetOutcome::NotStored { reason, .. } => {
            note(&format!("not stored: {}", reason::words(reason)));
            Ok(())
        }
    }
}

fn print_json(answer: &Answer<SetOutcome>) -> Result<(), Failure> {
    let object = match &answer.result {
        SetOutcome::Stored { version } => json!({ "result": "stored", "version": version }),
        SetOutcome::NotStored { reason, current } => {
            let current = current.as_deref().map(output::entry);
            let not_stored = json!({ "result": "not_stored", "current": current });
            reason::added(not_stored, Some(reason))
        }
    };
    output::object(&output::with_answer(object, answer))
}
