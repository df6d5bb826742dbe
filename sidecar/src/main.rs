//! The `unstale` binary: arguments, then one command, then its exit code.

use clap::Parser as _;
use mimalloc::MiMalloc;
use std::process::ExitCode;
use unstale_sidecar::cli::{self, Cli, Command};

/// A fifth of a batch from the remote tier went into the system's allocator.
/// Without huge pages (a feature of the crate's): they took 20 MiB when idle.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return cli::refused(&error),
    };
    match cli.command {
        Command::Serve(flags) => cli::serve::run(&flags),
        Command::Check(flags) => cli::check::run(&flags),
        Command::Client(command) => cli::block_on(cli::client::run(*command)),
    }
}
