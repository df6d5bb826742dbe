//! `unstale retain` and `unstale release`: references to a key, by owner.

use super::exit::{Ended, Failure, note};
use super::output;
use super::target::{self, Target};
use clap::Args;
use serde_json::json;
use std::time::Duration;
use unstale::{Pinning, Released, RetainOptions};

/// Refer to a key for a while, or renew that: no pod evicts its entry meanwhile.
#[derive(Debug, Args)]
pub struct Retain {
    #[command(flatten)]
    reference: Reference,
    /// How long it lasts [default: the sidecar's, 30s]
    #[arg(long, value_name = "DURATION", value_parser = target::duration)]
    term: Option<Duration>,
    /// The entry is invalidated if this is the last reference to go
    #[arg(long)]
    drop_at_zero: bool,
    #[command(flatten)]
    target: Target,
}

/// End a reference to a key.
#[derive(Debug, Args)]
pub struct Release {
    #[command(flatten)]
    reference: Reference,
    #[command(flatten)]
    target: Target,
}

/// Who refers to what.
#[derive(Debug, Args)]
struct Reference {
    /// The key
    #[arg(value_name = "KEY")]
    key: String,
    /// Who refers to it: the same name is one owner
    #[arg(long, value_name = "NAME")]
    owner: String,
}

impl Retain {
    pub(super) async fn run(self) -> Result<Ended, Failure> {
        let cache = self.target.connect().await?;
        let Reference { key, owner } = self.reference;
        let options = RetainOptions {
            term: self.term,
            drop_at_zero: self.drop_at_zero,
            ..RetainOptions::default()
        };
        let told = cache.retain_as(key, owner, options).await?;
        if self.target.json {
            output::object(&json!({
                "result": "retained",
                "references": told.references,
                "term_seconds": told.term.as_secs_f64(),
                "here": told.here.as_str(),
            }))?;
        } else {
            output::line(&format!("references {}", told.references))?;
            note(here(told.here));
        }
        Ok(Ended::Done)
    }
}

fn here(here: Pinning) -> &'static str {
    match here {
        Pinning::Pinned => "this pod keeps the entry",
        Pinning::NotCached => "this pod does not hold the entry, and keeps it when it comes",
        Pinning::NoRoom => "this pod has no room to keep the entry (l1_pinned_share)",
        _ => "this client does not know what the pod says of the entry",
    }
}

impl Release {
    pub(super) async fn run(self) -> Result<Ended, Failure> {
        let cache = self.target.connect().await?;
        let Reference { key, owner } = self.reference;
        let released = cache.release(key, owner).await?;
        match (&released, self.target.json) {
            (
                Released::Done {
                    references,
                    dropped,
                },
                true,
            ) => output::object(&json!({
                "result": "released",
                "references": references,
                "dropped_position": dropped,
            }))?,
            (Released::NotRetained, true) => output::object(&json!({ "result": "not_retained" }))?,
            (
                Released::Done {
                    references,
                    dropped,
                },
                false,
            ) => {
                output::line(&format!("references {references}"))?;
                if let Some(position) = dropped {
                    output::line(&format!("dropped {position}"))?;
                }
            }
            (Released::NotRetained, false) => note("not retained"),
        }
        Ok(match released {
            Released::Done { .. } => Ended::Done,
            Released::NotRetained => Ended::Not,
        })
    }
}
