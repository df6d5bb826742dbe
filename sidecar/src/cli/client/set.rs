//! `unstale set`: one value in.

use super::exit::{Ended, Failure, note};
use super::target::{AckLevel, Storing, Target};
use super::{output, value};
use clap::Args;
use serde_json::json;
use unstale::{Answer, NotStoredReason, SetOptions, SetOutcome};

/// Cache a value.
#[derive(Debug, Args)]
pub struct Set {
    /// The key
    key: String,
    /// The value; "-" reads it from stdin
    #[arg(allow_negative_numbers = true)]
    value: String,
    #[command(flatten)]
    storing: Storing,
    /// How far the write must have got
    #[arg(long, value_enum, default_value = "log")]
    ack: AckLevel,
    /// The position held before the origin was read (from `get --json`): the
    /// write is refused if anything covered the key after it
    #[arg(long, value_name = "POSITION")]
    position: Option<String>,
    #[command(flatten)]
    target: Target,
}

impl Set {
    pub(super) async fn run(self) -> Result<Ended, Failure> {
        let value = value::read(self.value)?;
        let options = SetOptions {
            entry: self.storing.into(),
            position: self.position,
            ack: self.ack.into(),
        };
        let cache = self.target.connect().await?;
        let answer = cache.set(self.key, value, options).await?;
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
            note(match reason {
                NotStoredReason::PositionTooOld => "not stored: the position is too old",
                _ => "not stored: the key was invalidated or written after the position",
            });
            Ok(())
        }
    }
}

fn print_json(answer: &Answer<SetOutcome>) -> Result<(), Failure> {
    let object = match &answer.result {
        SetOutcome::Stored { version } => json!({ "result": "stored", "version": version }),
        SetOutcome::NotStored { reason, current } => json!({
            "result": "not_stored",
            "reason": match reason {
                NotStoredReason::Covered => "COVERED",
                NotStoredReason::PositionTooOld => "POSITION_TOO_OLD",
                _ => "OTHER",
            },
            "current": current.as_ref().map(output::entry),
        }),
    };
    output::object(&output::with_answer(object, answer))
}
