//! The commands that talk to a running sidecar, over the SDK.

use clap::Subcommand;
use std::process::ExitCode;

/// A command for a running sidecar.
#[derive(Debug, Subcommand)]
pub enum ClientCommand {}

/// Runs one client command; the exit code is the answer.
pub async fn run(command: ClientCommand) -> ExitCode {
    match command {}
}
