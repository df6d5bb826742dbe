//! The project's figures, each beside its reference from the same run.
//!
//! `bench SIDECAR NATS_SERVER` prints one markdown table, and with `reads`,
//! `in-flight`, `log`, `remote`, `sdk` or `start` behind only that part of it; `bench echo` is the
//! bare tonic server it compares with, in a process of its own, and `bench
//! instructions SIDECAR` counts instructions and judges them. Measured and
//! reference rounds take turns, so that a slow moment of the machine hits both.
//! A row that misses its goal stays in the table: this measures, it does not
//! judge.

mod calls;
mod echo;
mod in_flight;
mod instructions;
mod log;
mod nats;
mod processes;
mod ratio;
mod reads;
mod remote;
mod samples;
mod scale;
mod sdk;
mod start;
mod table;

use std::process::ExitCode;

/// Whatever goes wrong ends the run.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Measured and reference rounds of one comparison.
const ROUNDS: usize = 5;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["echo", tcp, uds] => serve(tcp, uds),
        ["instructions", sidecar] => instructions(sidecar),
        [sidecar, _, "ratio", ref parts @ ..] => ratio::run(sidecar, parts),
        [sidecar, nats, "scale", ref parts @ ..] => scale::run(sidecar, nats, parts),
        [sidecar, nats] => bench(sidecar, nats, None),
        [sidecar, nats, part] => bench(sidecar, nats, Some(part)),
        _ => Err("usage: bench SIDECAR NATS_SERVER [PART]; tests/bench/run knows both".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The same runtime as the sidecar's.
fn serve(tcp: &str, uds: &str) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(echo::serve(tcp, uds))
}

/// Fails if a call costs more than recorded.
fn instructions(sidecar: &str) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (rows, over) = runtime.block_on(instructions::rows(sidecar))?;
    table::print(&rows);
    match over.is_empty() {
        true => Ok(()),
        false => Err(format!(
            "{}: find out why, or record it in tests/bench/instructions.txt",
            over.join("; ")
        )
        .into()),
    }
}

fn bench(sidecar: &str, nats: &str, part: Option<&str>) -> Result<()> {
    let wanted = |name| part.is_none_or(|part| part == name);
    // One thread: the client takes as little as it can from the servers.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let rows = runtime.block_on(async {
        let mut rows = Vec::new();
        if wanted("reads") {
            rows.extend(reads::rows(sidecar).await?);
        }
        if wanted("log") {
            rows.extend(log::rows(sidecar, nats).await?);
        }
        if wanted("remote") {
            rows.extend(remote::rows(sidecar, nats).await?);
        }
        if wanted("sdk") {
            rows.extend(sdk::rows(sidecar).await?);
        }
        if wanted("in-flight") {
            rows.extend(in_flight::rows(sidecar).await?);
        }
        if wanted("start") {
            rows.extend(start::rows(sidecar).await?);
        }
        Ok::<_, Box<dyn std::error::Error>>(rows)
    })?;
    table::print(&rows);
    Ok(())
}
