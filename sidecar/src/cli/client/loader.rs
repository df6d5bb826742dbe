//! A command as a loader: its stdout is the value, an exit code of its own says
//! that there is none, any other code but 0 is a failure.

use super::value;
use std::ffi::OsString;
use std::process::{ExitStatus, Stdio};
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};
use unstale::Load;
use unstale_engine::limits;

/// Why a command has no value.
#[derive(Debug, thiserror::Error)]
pub(super) enum LoaderError {
    /// It failed.
    #[error("{0}")]
    Failed(String),
    /// The user wanted no more.
    #[error("interrupted; the lease was given back")]
    Interrupted,
}

/// Runs the command to its end; its stderr goes to the user. It is killed when
/// this is dropped or interrupted, and when it writes more than any value may
/// have.
pub(super) async fn load(
    command: &[OsString],
    negative_exit: Option<u8>,
) -> Result<Load, LoaderError> {
    let failed = |why: String| LoaderError::Failed(why);
    let words = command.split_first();
    let (program, arguments) = words.ok_or_else(|| failed("no command".to_owned()))?;
    let name = program.to_string_lossy();
    let refused = |error: std::io::Error| failed(format!("cannot run {name}: {error}"));
    // Before the command starts: a signal that comes early is not lost.
    let mut terminate = signal(SignalKind::terminate()).map_err(refused)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(refused)?;
    let mut command = Command::new(program);
    command.args(arguments).stdout(Stdio::piped());
    let child = command.kill_on_drop(true).spawn().map_err(refused)?;
    let output = tokio::select! {
        output = output_of(child) => output,
        _ = terminate.recv() => return Err(LoaderError::Interrupted),
        _ = interrupt.recv() => return Err(LoaderError::Interrupted),
    };
    let why = match output {
        Ok((status, bytes)) if status.success() => return Ok(value::text_or_data(bytes).into()),
        Ok((status, _))
            if status.code().is_some() && status.code() == negative_exit.map(i32::from) =>
        {
            return Ok(Load::NotFound);
        }
        Ok((status, _)) => status.to_string(),
        Err(why) => why,
    };
    Err(failed(format!("{name}: {why}; the lease was given back")))
}

/// How the command ended, and what it wrote. One that writes more than any
/// value may have is not read to its end, and is killed when it is dropped.
async fn output_of(mut child: Child) -> Result<(ExitStatus, Vec<u8>), String> {
    let most = limits::VALUE_BYTES;
    let mut bytes = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        let read = stdout.take(most as u64 + 1).read_to_end(&mut bytes).await;
        read.map_err(|e| e.to_string())?;
    }
    if bytes.len() > most {
        return Err(format!(
            "wrote more than the {most} bytes that a value may have"
        ));
    }
    let status = child.wait().await.map_err(|e| e.to_string())?;
    Ok((status, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use unstale::Value;

    async fn sh(script: &str) -> Result<Load, LoaderError> {
        load(&["sh", "-c", script].map(OsString::from), Some(44)).await
    }

    #[tokio::test]
    async fn a_loaders_output_is_the_value_untouched() {
        assert_eq!(sh("printf 'a\\n'").await.unwrap(), Load::from("a\n"));
        let bytes = Load::from(Value::from(vec![0xff]));
        assert_eq!(sh("printf '\\377'").await.unwrap(), bytes);
    }

    #[tokio::test]
    async fn one_exit_code_says_that_there_is_no_value_and_others_fail() {
        assert_eq!(sh("echo half; exit 44").await.unwrap(), Load::NotFound);
        let failed = sh("echo half; exit 3").await.unwrap_err().to_string();
        assert!(failed.contains("exit status: 3"), "{failed}");
        let endless = sh("exec cat /dev/zero").await.unwrap_err().to_string();
        assert!(endless.contains("more than"), "{endless}");
        let absent = load(&["/nowhere/loader".into()], None).await;
        let absent = absent.unwrap_err().to_string();
        assert!(absent.contains("cannot run"), "{absent}");
    }
}
