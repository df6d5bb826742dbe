//! The project's figures, each beside its reference from the same run.
//!
//! `bench SIDECAR NATS_SERVER [--quick] [--to FOLDER] [PART...]` measures the named
//! parts, or all, prints their tables and writes them to the folder; `bench echo` is
//! the bare tonic server that it compares with, in a process of its own, and `bench
//! instructions SIDECAR` counts instructions and judges them, `bench policies SIDECAR`
//! those that a policy adds to a hit; `bench versus SIDECAR
//! SIDECAR...` compares builds with one another. Measured and
//! reference rounds take turns, so that a slow moment of the machine hits both.
//! A row that misses its goal stays in the table: this measures, it does not
//! judge.

mod adaptive;
mod calls;
mod contender;
mod echo;
mod figure;
mod goal;
mod instructions;
mod part;
mod policies;
mod processes;
mod ratio;
mod report;
mod rounds;
mod rows;
mod samples;
mod scale;
mod scripts;
mod stores;
mod versus;

use std::process::ExitCode;

/// Whatever goes wrong ends the part.
type Error = Box<dyn std::error::Error + Send + Sync>;
type Result<T> = std::result::Result<T, Error>;

/// Measured and reference rounds of one comparison.
const ROUNDS: usize = 5;

const USAGE: &str = "usage: bench SIDECAR NATS_SERVER [--quick] [--to FOLDER] [PART...]; \
                     tests/bench/run knows them";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["echo", tcp, uds] => serve(tcp, uds),
        ["instructions", sidecar] => {
            client().and_then(|c| c.block_on(instructions::judge(sidecar)))
        }
        ["policies", sidecar] => client().and_then(|c| c.block_on(policies::run(sidecar))),
        ["versus", ref sidecars @ ..] => client().and_then(|c| c.block_on(versus::run(sidecars))),
        [_, _, "--to", _, "adaptive"] => adaptive::run(),
        [sidecar, _, "--to", _, "ratio", ref parts @ ..] => ratio::run(sidecar, parts),
        [sidecar, nats, "--to", _, "scale", ref parts @ ..] => scale::run(sidecar, nats, parts),
        [sidecar, nats, ref more @ ..] => bench(rows::Programs { sidecar, nats }, more),
        _ => Err(USAGE.into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The echo is what who uses tonic gets: the default runtime and allocator.
fn serve(tcp: &str, uds: &str) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(echo::serve(tcp, uds))
}

/// One thread: the client takes as little as it can from the servers.
fn client() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?)
}

fn bench(programs: rows::Programs, words: &[&str]) -> Result<()> {
    let (mut folder, mut parts) = (None, Vec::new());
    let mut words = words.iter().copied();
    while let Some(word) = words.next() {
        match word {
            "--quick" => rounds::quick(),
            "--to" => folder = words.next(),
            part => parts.push(part),
        }
    }
    let folder = std::path::Path::new(folder.ok_or(USAGE)?);
    let parts = rows::named(&parts)?;
    client()?.block_on(report::run(&programs, &parts, folder))
}
