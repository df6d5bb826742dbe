//! What a policy adds to a hit in L1, in instructions, beside the same hit without
//! it; and the origin loads that it saves on a workload of its own.
//!
//! `bench policies SIDECAR` counts with callgrind, as `instructions` does: how busy
//! the machine is does not matter. Prints the tables and writes them into
//! docs/policies.md. Learned ttls have a part of their own, `adaptive`.

mod derived;
mod early;
mod hit;
mod pages;
mod retained;

use crate::Result;
use crate::processes;
use crate::scale::page;
use hit::{Call, Held};
use std::fmt::Write as _;

const PAGE: &str = "docs/policies.md";
/// Calls of the shorter run, and more of the longer one.
const CALLS: (u64, u64) = (100, 800);
/// A policy may make a hit this much dearer.
const GOAL: f64 = 1.1;

/// One hit, with a policy or without.
struct Case {
    name: &'static str,
    /// What the namespace says, in TOML.
    policy: &'static str,
    held: Held,
    call: Call,
    /// Which of them is the same hit without it.
    plain: &'static str,
}

const CASES: [Case; 8] = [
    Case::plain("Get", Call::Get),
    Case::plain("Lease", Call::Lease),
    Case {
        name: "Lease, early refresh on",
        policy: "early_refresh = 1.0",
        call: Call::Lease,
        plain: "Lease",
        ..Case::plain("", Call::Lease)
    },
    Case::of("Get, adaptive ttl on", "adaptive_ttl = {}", Held::Loaded),
    Case::of("Get, 4 tags", "", Held::Tagged),
    Case::of("Get, depends on 4 keys", "", Held::Derived),
    Case::of("Get, another key is referred to", "", Held::BesideRetained),
    Case::of("Get, the key is referred to", "", Held::Retained),
];

impl Case {
    const fn plain(name: &'static str, call: Call) -> Self {
        Self {
            name,
            policy: "",
            held: Held::Loaded,
            call,
            plain: name,
        }
    }

    const fn of(name: &'static str, policy: &'static str, held: Held) -> Self {
        Self {
            name,
            policy,
            held,
            call: Call::Get,
            plain: "Get",
        }
    }
}

/// Prints and writes the tables.
pub(crate) async fn run(sidecar: &str) -> Result<()> {
    page::write_into(PAGE, "early refresh", &early::table()?)?;
    page::write_into(PAGE, "dependents", &derived::table(sidecar).await?)?;
    page::write_into(PAGE, "references", &retained::table(sidecar).await?)?;
    page::write_into(PAGE, "what a policy adds to a hit", &hits(sidecar).await?)
}

async fn hits(sidecar: &str) -> Result<String> {
    let mut table = String::from(
        "| hit in L1, 1 KiB | instructions | without it | ratio | goal | |\n\
         | --- | --- | --- | --- | --- | --- |\n",
    );
    let mut counted = Vec::new();
    for case in &CASES {
        let each = price(sidecar, case).await?;
        counted.push((case.name, each));
        let plain = counted.iter().find(|(name, _)| *name == case.plain);
        let plain = plain.ok_or("a case comes before its plain one")?.1;
        writeln!(table, "{}", line(case, each, plain))?;
    }
    Ok(table)
}

fn line(case: &Case, each: u64, plain: u64) -> String {
    let (name, ratio) = (case.name, each as f64 / plain as f64);
    if case.name == case.plain {
        return format!("| {name} | {each} | | | | |");
    }
    let met = match ratio <= GOAL {
        true => "met",
        false => "**missed**",
    };
    format!("| {name} | {each} | {plain} | {ratio:.3} × | ≤ {GOAL} × | {met} |")
}

/// The instructions of one call.
async fn price(sidecar: &str, case: &Case) -> Result<u64> {
    let (few, more) = CALLS;
    let begin = count(sidecar, case, few).await?;
    let end = count(sidecar, case, few + more).await?;
    Ok(end.saturating_sub(begin) / more)
}

/// All instructions of a sidecar that answered so many calls.
async fn count(sidecar: &str, case: &Case, calls: u64) -> Result<u64> {
    let config = tempfile::NamedTempFile::new()?;
    std::fs::write(&config, format!("[namespace_defaults]\n{}\n", case.policy))?;
    let path = config.path().display().to_string();
    let server = processes::counted(sidecar, &["--config", &path])?;
    let channel = server.connected_uds().await?;
    server.in_fleet_of(1).await?;
    case.held.put(&channel).await?;
    for _ in 0..calls {
        case.call.made(&channel).await?;
    }
    drop(channel);
    server.instructions().await
}
