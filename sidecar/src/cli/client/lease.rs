//! `unstale lease`: the cached value, or a command as its loader, once in the
//! whole fleet however many call it.
//!
//! The lease is renewed while the command runs and given back when it fails
//! or is interrupted; a call that is killed loses it after its term.

use super::exit::{Ended, Failure, note};
use super::target::{Storing, Target, duration};
use super::{output, value};
use clap::Args;
use serde_json::{Value as Json, json};
use std::ffi::OsString;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};
use unstale::{LoadError, LoadOptions, Loaded, NotFilled, Value, Voided};

/// Print the cached value, or run COMMAND to load it, once in the fleet.
#[derive(Debug, Args)]
pub struct Lease {
    /// The key
    key: String,
    #[command(flatten)]
    storing: Storing,
    /// How long another caller's load is waited for
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "30s")]
    wait: Duration,
    /// How long the lease outlives a loader that died
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "10s")]
    term: Duration,
    #[command(flatten)]
    target: Target,
    /// The loader: its stdout is the value
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

impl Lease {
    pub(super) async fn run(self) -> Result<Ended, Failure> {
        let cache = self.target.connect().await?;
        let options = LoadOptions {
            entry: self.storing.into(),
            term: Some(self.term),
            wait: self.wait,
        };
        let loading = cache.get_or_load(self.key, options, || load(&self.command));
        let loaded = loading.await.map_err(|error| match error {
            LoadError::Cache(error) => Failure::Cache(error),
            LoadError::Loader(why) => Failure::Loader(why),
        })?;
        if let Loaded::NotFilled { why, .. } = &loaded {
            note(&not_filled(why));
        }
        if self.target.json {
            output::object(&json_of(&loaded))?;
        } else {
            output::write(loaded.value().as_bytes())?;
        }
        Ok(Ended::Done)
    }
}

/// Runs the command; its stdout is the value, its stderr goes to the user.
async fn load(command: &[OsString]) -> Result<Value, String> {
    let (program, arguments) = command.split_first().ok_or("no command")?;
    let name = program.to_string_lossy();
    let refused = |error: std::io::Error| format!("cannot run {name}: {error}");
    // Before the command starts: a signal that comes early is not lost.
    let mut terminate = signal(SignalKind::terminate()).map_err(refused)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(refused)?;
    let mut command = Command::new(program);
    command.args(arguments).stdout(Stdio::piped());
    let child = command.kill_on_drop(true).spawn().map_err(refused)?;
    let output = tokio::select! {
        output = child.wait_with_output() => output.map_err(refused)?,
        _ = terminate.recv() => return Err("interrupted; the lease was given back".to_owned()),
        _ = interrupt.recv() => return Err("interrupted; the lease was given back".to_owned()),
    };
    if !output.status.success() {
        let status = output.status;
        return Err(format!("{name}: {status}; the lease was given back"));
    }
    Ok(value::text_or_data(output.stdout))
}

fn not_filled(why: &NotFilled) -> String {
    match why {
        NotFilled::Voided(Voided::Invalidated) => {
            "not stored: the key was invalidated or written during the load".to_owned()
        }
        NotFilled::Voided(_) => "not stored: the lease had expired".to_owned(),
        NotFilled::Failed(error) => format!("not stored: {error}"),
    }
}

fn json_of(loaded: &Loaded) -> Json {
    match loaded {
        Loaded::Hit(entry) => json!({ "result": "hit", "entry": output::entry(entry) }),
        Loaded::Filled { value, version } => {
            let mut entry = output::value(value);
            entry.insert("version".to_owned(), json!(version));
            json!({ "result": "loaded", "entry": entry })
        }
        Loaded::NotFilled { value, why } => json!({
            "result": "loaded_not_stored",
            "entry": output::value(value),
            "why": not_filled(why),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn sh(script: &str) -> Result<Value, String> {
        load(&["sh", "-c", script].map(OsString::from)).await
    }

    #[tokio::test]
    async fn a_loaders_output_is_the_value_untouched() {
        assert_eq!(sh("printf 'a\\n'").await.unwrap(), Value::from("a\n"));
        assert_eq!(sh("printf '\\377'").await.unwrap(), Value::from(vec![0xff]));
    }

    #[tokio::test]
    async fn a_loader_that_fails_or_is_not_there_has_no_value() {
        let failed = sh("echo half; exit 3").await.unwrap_err();
        assert!(failed.contains("exit status: 3"), "{failed}");
        let absent = load(&["/nowhere/loader".into()]).await.unwrap_err();
        assert!(absent.contains("cannot run"), "{absent}");
    }
}
