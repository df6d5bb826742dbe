//! What a call costs the sidecar in instructions, counted by valgrind's
//! callgrind: nearly the same on every machine and however busy it is, so that a
//! regression is seen where times say nothing.
//!
//! Two runs that differ in nothing but the number of calls: their difference is
//! the price of the calls alone, with reading and writing of the socket, HTTP/2,
//! protobuf and the runtime. Counts what the program executes, not the kernel.

use crate::table::Row;
use crate::{Result, calls, processes};
use tonic::transport::Channel;

/// Calls of the shorter and of the longer run.
const CALLS: (u64, u64) = (200, 1200);
/// More than this times what is recorded is a regression.
const SLACK: f64 = 1.05;
/// What each kind cost when it was looked at last.
const RECORDED: &str = include_str!("instructions.txt");

/// A kind of call.
#[derive(Clone, Copy)]
enum Kind {
    Get,
    BatchGet,
    Set,
    Miss,
    Echo,
    EchoMany,
}

/// What is counted, and the call of the bare echo that carries as much.
const KINDS: [(&str, Kind, Kind); 4] = [
    ("Get, 1 KiB in L1", Kind::Get, Kind::Echo),
    ("Get, a miss", Kind::Miss, Kind::Echo),
    (
        "BatchGet of 100, 1 KiB in L1",
        Kind::BatchGet,
        Kind::EchoMany,
    ),
    ("Set, 1 KiB", Kind::Set, Kind::Echo),
];

/// Each kind over the Unix socket, with the local log, and which of them cost
/// more than recorded.
pub(crate) async fn rows(sidecar: &str) -> Result<(Vec<Row>, Vec<String>)> {
    let (mut rows, mut over) = (Vec::new(), Vec::new());
    for (name, kind, bare) in KINDS {
        let (each, bare) = (price(sidecar, kind).await?, price(sidecar, bare).await?);
        let recorded = recorded(name)?;
        if each as f64 > recorded as f64 * SLACK {
            over.push(format!("{name}: {each} instructions, recorded {recorded}"));
        }
        let row = Row::alone(name, format!("{each} instructions"));
        let ratio = each as f64 / bare as f64;
        rows.push(row.against(format!("bare echo: {bare}"), ratio));
    }
    Ok((rows, over))
}

/// The instructions of one call.
async fn price(sidecar: &str, kind: Kind) -> Result<u64> {
    let few = run(sidecar, kind, CALLS.0).await?;
    let many = run(sidecar, kind, CALLS.1).await?;
    Ok(many.saturating_sub(few) / (CALLS.1 - CALLS.0))
}

/// What is recorded of this kind: a line with the number before the name.
fn recorded(name: &str) -> Result<u64> {
    let of = |line: &str| Some(line.strip_suffix(name)?.trim().parse::<u64>());
    let found = RECORDED.lines().find_map(of);
    Ok(found.ok_or(format!("tests/bench/instructions.txt: nothing of {name:?}"))??)
}

/// All instructions of a server that answered so many calls.
async fn run(sidecar: &str, kind: Kind, count: u64) -> Result<u64> {
    let keys = calls::keys("many", calls::BATCH);
    let server = match kind {
        Kind::Echo | Kind::EchoMany => processes::counted_echo()?,
        _ => processes::counted(sidecar)?,
    };
    let channel = server.connected_uds().await?;
    if !matches!(kind, Kind::Echo | Kind::EchoMany) {
        server.in_fleet_of(1).await?;
        calls::fill(&channel, &keys).await?;
        calls::set(&channel).await?;
    }
    for _ in 0..count {
        call(&channel, kind, &keys).await?;
    }
    drop(channel);
    server.instructions().await
}

async fn call(channel: &Channel, kind: Kind, keys: &[String]) -> Result<()> {
    match kind {
        Kind::Get => calls::get(channel).await,
        Kind::BatchGet => calls::batch_get_l1(channel, keys).await,
        Kind::Set => calls::set(channel).await,
        Kind::Miss => calls::miss(channel).await,
        Kind::Echo => calls::echo(channel).await,
        Kind::EchoMany => calls::echo_many(channel, keys).await,
    }
}
