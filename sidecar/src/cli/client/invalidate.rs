//! `unstale invalidate`: keys, tags, prefixes or the namespace; gone or stale.

use super::exit::{Ended, Failure};
use super::output;
use super::storing::AckLevel;
use super::target::Target;
use clap::Args;
use serde_json::json;
use unstale::{InvalidateMode, Invalidated, Session};

/// Make entries unreadable, or stale, everywhere.
#[derive(Debug, Args)]
pub struct Invalidate {
    #[command(flatten)]
    what: What,
    /// Stale rather than gone: served to those who take stale values, while one
    /// loader refreshes
    #[arg(long)]
    soft: bool,
    /// The origin's version from which on the KEYs are true: older fills and
    /// writes are refused
    #[arg(long, value_name = "NUMBER", requires = "keys")]
    min_source_version: Option<u64>,
    /// How far it must have got
    #[arg(long, value_enum, default_value = "log")]
    ack: AckLevel,
    /// Why, for people who ask what invalidated their entry
    #[arg(long, default_value = "")]
    reason: String,
    /// The W3C traceparent of what asks, for the same people
    #[arg(long, default_value = "")]
    traceparent: String,
    /// Idempotency id: give the same one when a call is repeated
    #[arg(long)]
    id: Option<String>,
    #[command(flatten)]
    target: Target,
}

/// What to invalidate.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
struct What {
    /// Keys
    #[arg(value_name = "KEY")]
    keys: Vec<String>,
    /// A tag: every entry that carries it; may be repeated
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// A prefix: every entry whose key begins with it; may be repeated
    #[arg(long = "prefix", value_name = "PREFIX")]
    prefixes: Vec<String>,
    /// The whole namespace
    #[arg(long)]
    all: bool,
}

impl Invalidate {
    pub(super) async fn run(self) -> Result<Ended, Failure> {
        let cache = self.target.connect().await?;
        let mode = match self.soft {
            true => InvalidateMode::Soft,
            false => InvalidateMode::Hard,
        };
        let what = unstale::Invalidate {
            keys: self.what.keys,
            tags: self.what.tags,
            prefixes: self.what.prefixes,
            all: self.what.all,
            mode,
            min_source_version: self.min_source_version,
            ack: self.ack.into(),
            id: self.id,
            reason: self.reason,
            traceparent: self.traceparent,
        };
        let done = cache.invalidate(what).await?;
        if self.target.json {
            print_json(&done)?;
        } else {
            print(&done)?;
        }
        Ok(Ended::Done)
    }
}

fn print(done: &Invalidated) -> Result<(), Failure> {
    if let Some(position) = &done.position {
        output::line(&format!("position {position}"))?;
    }
    for (word, sessions) in [("acked", &done.acked), ("lapsed", &done.lapsed)] {
        for session in sessions {
            output::line(&format!("{word} {} {}", session.id, session.pod))?;
        }
    }
    Ok(())
}

fn print_json(done: &Invalidated) -> Result<(), Failure> {
    let sessions = |all: &[Session]| all.iter().map(output::session).collect::<Vec<_>>();
    output::object(&json!({
        "result": "done",
        "position": done.position,
        "acked": sessions(&done.acked),
        "lapsed": sessions(&done.lapsed),
    }))
}
