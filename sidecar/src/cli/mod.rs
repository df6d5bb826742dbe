//! The command line: one command per file. `serve` and `check` are about this
//! process; everything else ([`client`]) talks to a running sidecar over the
//! SDK.

pub mod check;
pub mod client;
pub mod serve;

use crate::config::{Config, Flags};
use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// A cache sidecar with coherent L1s.
#[derive(Debug, Parser)]
#[command(name = "unstale", version, about, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the sidecar.
    Serve(Box<Flags>),
    /// Test the settings and the servers they name; exit 1 on an error.
    Check(Box<Flags>),
    /// Talk to a running sidecar.
    #[command(flatten)]
    Client(Box<client::ClientCommand>),
}

/// The settings are wrong (sysexits' EX_USAGE).
pub const EXIT_SETTINGS: u8 = 64;
/// What the settings ask for cannot be had (EX_UNAVAILABLE).
pub const EXIT_UNAVAILABLE: u8 = 69;

/// Prints clap's word; flags of `serve` and `check` are settings, so that a
/// mistake in them has the exit code of mistaken settings.
pub fn refused(error: &clap::Error) -> ExitCode {
    // Nobody to tell when stderr is closed.
    let _ = error.print();
    // Not args(): it panics on what is not UTF-8.
    let settings = std::env::args_os()
        .nth(1)
        .is_some_and(|word| word == "serve" || word == "check");
    match (error.use_stderr(), settings) {
        (false, _) => ExitCode::SUCCESS,
        (true, true) => ExitCode::from(EXIT_SETTINGS),
        (true, false) => ExitCode::from(2),
    }
}

/// Reads the settings; prints every mistake on a line of its own.
fn settings(flags: &Flags) -> Result<Config, ExitCode> {
    Config::load(flags).map_err(|mistakes| {
        for mistake in mistakes {
            eprintln!("unstale: {mistake}");
        }
        ExitCode::from(EXIT_SETTINGS)
    })
}

/// Runs a client command to its end.
pub fn block_on(command: impl Future<Output = ExitCode>) -> ExitCode {
    match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime.block_on(command),
        Err(error) => {
            eprintln!("unstale: cannot start: {error}");
            ExitCode::from(EXIT_UNAVAILABLE)
        }
    }
}
