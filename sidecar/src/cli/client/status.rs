//! `unstale status`: what the sidecar is doing.

use super::exit::{Ended, Failure};
use super::output;
use super::target::Target;
use clap::Args;
use serde_json::{Value as Json, json};

/// Show what the sidecar is doing.
#[derive(Debug, Args)]
pub struct Status {
    #[command(flatten)]
    target: Target,
}

impl Status {
    pub(super) async fn run(self) -> Result<Ended, Failure> {
        let status = self.target.connect().await?.status().await?;
        if self.target.json {
            output::object(&json_of(&status))?;
        } else {
            output::write(text_of(&status).as_bytes())?;
        }
        Ok(Ended::Done)
    }
}

fn text_of(status: &unstale::Status) -> String {
    let session = status.session.as_ref();
    let session = session.map(|s| format!("{} {}", s.id, s.pod));
    let l1 = format!(
        "{} entries, {} of {} bytes",
        status.l1_entries, status.l1_bytes, status.l1_max_bytes
    );
    let rows = [
        ("version", status.version.clone()),
        ("instance", status.instance.clone()),
        ("fleet", status.fleet.clone()),
        ("session", session.unwrap_or_default()),
        (
            "state",
            output::session_state(status.session_state).to_lowercase(),
        ),
        ("fresh for", format!("{:?}", status.fresh_for)),
        ("staleness bound", format!("{:?}", status.staleness_bound)),
        ("position", status.position.clone()),
        ("horizon", status.horizon.to_string()),
        ("log", part(&status.log, &status.log_error)),
        ("remote", part(&status.remote, &status.remote_error)),
        ("l1", l1),
        ("references", references(status)),
        ("settings", settings(&status.config_error)),
    ];
    let rows = rows.iter().filter(|(_, value)| !value.is_empty());
    let lines = rows.map(|(name, value)| format!("{name:<16}{value}\n"));
    lines.collect()
}

/// How many, and what L1 keeps for them.
fn references(status: &unstale::Status) -> String {
    let followed = part(&status.references.to_string(), &status.references_error);
    format!(
        "{followed}; kept {} entries, {} of {} bytes",
        status.pinned_entries, status.pinned_bytes, status.pinned_max_bytes
    )
}

fn part(kind: &str, error: &str) -> String {
    match error {
        "" => kind.to_owned(),
        error => format!("{kind} (away: {error})"),
    }
}

/// Only worth a line when the newest ones are not in force.
fn settings(error: &str) -> String {
    match error {
        "" => String::new(),
        error => format!("the newest file is not in force: {error}"),
    }
}

fn json_of(status: &unstale::Status) -> Json {
    json!({
        "version": status.version,
        "instance": status.instance,
        "fleet": status.fleet,
        "session": status.session.as_ref().map(output::session),
        "session_state": output::session_state(status.session_state),
        "fresh_for_seconds": status.fresh_for.as_secs_f64(),
        "staleness_bound_seconds": status.staleness_bound.as_secs_f64(),
        "position": status.position,
        "horizon": status.horizon,
        "log": status.log,
        "log_error": status.log_error,
        "remote": status.remote,
        "remote_error": status.remote_error,
        "l1_entries": status.l1_entries,
        "l1_bytes": status.l1_bytes,
        "l1_max_bytes": status.l1_max_bytes,
        "references": status.references,
        "references_error": status.references_error,
        "pinned_entries": status.pinned_entries,
        "pinned_bytes": status.pinned_bytes,
        "pinned_max_bytes": status.pinned_max_bytes,
        "config": status.config,
        "config_error": status.config_error,
    })
}
