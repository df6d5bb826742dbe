//! What a call costs the sidecar in instructions, counted by valgrind's
//! callgrind: nearly the same on every machine and however busy it is, so that a
//! regression is seen where times say nothing.
//!
//! The tests count on the build that they have made anyway, a second count is kept of
//! the release. Two runs that differ in nothing but the number of calls: their difference is
//! the price of the calls alone, with reading and writing of the socket, HTTP/2,
//! protobuf and the runtime. Counts what the program executes, not the kernel.

use crate::rows::hit;
use crate::{Result, calls, processes};
use tonic::transport::Channel;
use unstale::Cache;

/// Calls of the shorter run, and more of the longer one; of a hundred keys a tenth.
const CALLS: (u64, u64) = (100, 800);
/// This build's name in the record.
const BUILD: &str = if cfg!(debug_assertions) {
    "debug"
} else {
    "release"
};
/// More than this times what is recorded is a regression.
const SLACK: f64 = 1.05;
/// What each kind cost when it was looked at last.
const RECORDED: &str = include_str!("instructions.txt");

/// A kind of call.
#[derive(Clone, Copy)]
enum Kind {
    Get,
    Stream,
    BatchGet,
    Set,
    Miss,
    Echo,
    EchoMany,
}

/// What is counted. The echo beside each carries as much.
const KINDS: [(&str, Kind); 5] = [
    ("Get, 1 KiB in L1", Kind::Get),
    ("Get, 1 KiB in L1, on a stream", Kind::Stream),
    ("Get, a miss", Kind::Miss),
    ("BatchGet of 100, 1 KiB in L1", Kind::BatchGet),
    ("Set, 1 KiB", Kind::Set),
];

/// Counts each kind over the Unix socket, with the local log; an error if one costs
/// more than recorded.
pub(crate) async fn judge(sidecar: &str) -> Result<()> {
    let mut over = Vec::new();
    println!("| call, {BUILD} build | instructions | recorded | bare echo | ratio |");
    println!("| --- | --- | --- | --- | --- |");
    let one = price(sidecar, Kind::Echo).await?;
    let many = price(sidecar, Kind::EchoMany).await?;
    for (name, kind) in KINDS {
        let each = price(sidecar, kind).await?;
        let bare = match kind {
            Kind::BatchGet => many,
            _ => one,
        };
        let recorded = recorded(name)?;
        if each as f64 > recorded as f64 * SLACK {
            over.push(format!("{name}: {each} instructions, recorded {recorded}"));
        }
        let ratio = each as f64 / bare as f64;
        println!("| {name} | {each} | {recorded} | {bare} | {ratio:.2} |");
    }
    match over.is_empty() {
        true => Ok(()),
        false => Err(format!(
            "{}: find out why, or record it in tests/bench/instructions.txt",
            over.join("; ")
        )
        .into()),
    }
}

/// The instructions of one call.
async fn price(sidecar: &str, kind: Kind) -> Result<u64> {
    let less = match kind {
        Kind::BatchGet | Kind::EchoMany => 10,
        _ => 1,
    };
    let (few, more) = (CALLS.0 / less, CALLS.1 / less);
    let begin = run(sidecar, kind, few).await?;
    let end = run(sidecar, kind, few + more).await?;
    Ok(end.saturating_sub(begin) / more)
}

/// What is recorded of this kind and build: a line with the build and the number
/// before the name.
fn recorded(name: &str) -> Result<u64> {
    let of = |line: &str| {
        let number = line.strip_prefix(BUILD)?.strip_suffix(name)?;
        Some(number.trim().parse::<u64>())
    };
    let found = RECORDED.lines().find_map(of);
    Ok(found.ok_or(format!("tests/bench/instructions.txt: nothing of {name:?}"))??)
}

/// All instructions of a server that answered so many calls.
async fn run(sidecar: &str, kind: Kind, count: u64) -> Result<u64> {
    let keys = calls::keys("many", calls::BATCH);
    let server = match kind {
        Kind::Echo | Kind::EchoMany => processes::counted_echo()?,
        _ => processes::counted(sidecar, &[])?,
    };
    let channel = server.connected_uds().await?;
    if !matches!(kind, Kind::Echo | Kind::EchoMany) {
        server.in_fleet_of(1).await?;
        calls::set(&channel).await?;
    }
    if matches!(kind, Kind::BatchGet) {
        calls::fill(&channel, &keys).await?;
    }
    if matches!(kind, Kind::Stream) {
        on_stream(server.uds(), count).await?;
    } else {
        for number in 1..=count {
            call(&channel, kind, &keys, number).await?;
        }
    }
    drop(channel);
    server.instructions().await
}

/// One call at a time on one Session stream of the Rust client.
async fn on_stream(endpoint: String, count: u64) -> Result<()> {
    let cache = Cache::builder().endpoint(endpoint).strict();
    let cache = cache.connect().await?;
    let value = calls::value(calls::VALUE_BYTES);
    for _ in 0..count {
        hit(&cache, calls::KEY.into(), &value).await?;
    }
    Ok(())
}

async fn call(channel: &Channel, kind: Kind, keys: &[String], number: u64) -> Result<()> {
    match kind {
        Kind::Get | Kind::Stream => calls::get(channel).await,
        Kind::BatchGet => calls::batch_get_l1(channel, keys).await,
        Kind::Set => {
            let value = calls::numbered(calls::VALUE_BYTES, number);
            calls::set_of(channel, calls::KEY.into(), value).await
        }
        Kind::Miss => calls::miss(channel).await,
        Kind::Echo => calls::echo(channel).await,
        Kind::EchoMany => calls::echo_many(channel, keys).await,
    }
}
