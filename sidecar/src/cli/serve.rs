//! `unstale serve`: settings, logs, the sidecar, a signal, the drain. SIGHUP
//! reads the configuration file again.

use super::{EXIT_UNAVAILABLE, settings};
use crate::app::App;
use crate::config::{Config, Flags};
use crate::telemetry;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

/// Of the runtime's own 61 tasks, each of which may be a batch of 4 MiB, the log
/// would wait for a second, and that is what makes a pod one that has gone.
const TASKS_BETWEEN_EVENTS: u32 = 8;

/// Serves until SIGTERM or SIGINT.
pub fn run(flags: &Flags) -> ExitCode {
    let config = match settings(flags) {
        Ok(config) => config,
        Err(code) => return code,
    };
    telemetry::tracing::start(config.log_json, &config.log_level);
    // One worker: what needs more cores has threads of its own (`grpc`). It looks
    // for the log's records between any few calls: others wait for its word.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .event_interval(TASKS_BETWEEN_EVENTS)
        .enable_all()
        .build();
    let served = match runtime {
        Ok(runtime) => runtime.block_on(serve(config)),
        Err(error) => Err(error.to_string()),
    };
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("unstale: {why}");
            ExitCode::from(EXIT_UNAVAILABLE)
        }
    }
}

async fn serve(config: Config) -> Result<(), String> {
    // Before anything is started: a signal that comes early is not lost.
    let mut terminate = signal(SignalKind::terminate()).map_err(|e| e.to_string())?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|e| e.to_string())?;
    let mut hangup = signal(SignalKind::hangup()).map_err(|e| e.to_string())?;
    let app = App::start(config).await.map_err(|e| e.to_string())?;
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hangup.recv() => app.reload(),
        }
    }
    // Tasks that are still running at the deadline were named in the log; the
    // process ends all the same, and nothing that was promised is lost.
    app.drain().await;
    Ok(())
}
