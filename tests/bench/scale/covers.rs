//! What live covers cost: those of tags, of prefixes that do not end at a
//! delimiter, and of whole namespaces.

use super::cpu::float;
use super::load::{self, Load};
use super::page;
use super::subject::Subject;
use crate::Result;
use unstale_proto::v1::{All, InvalidateRequest};

/// The entries that are read meanwhile; none of them is covered.
const ENTRIES: Load = Load {
    from: 0,
    to: 10_000,
    value_bytes: 64,
    tags: 4,
    namespaces: 1,
};
/// Tags that were invalidated since, and how many at once.
const TAGS: [usize; 4] = [0, 10_000, 100_000, 1_000_000];
const TAGS_AT_ONCE: usize = 16;
/// Rows of the table of floors, and registers of each with 16 MiB: an entry is
/// lost if in every row another name has raised the register of one of its own.
const ROWS: i32 = 4;
const REGISTERS: f64 = 262_144.0;
/// Names of an entry: its key and its tags.
const NAMES: i32 = 5;
/// Prefixes, each of another length: the worst that the table of 128 can be.
const PREFIXES: [usize; 3] = [1, 16, 128];
/// Namespaces, below and above the 1,024 that have a floor of their own.
const NAMESPACES: [usize; 2] = [1_000, 10_000];
/// In place of what the formula says, which is known of tags only.
const FORMULA: &str = "–";
const MIB: f64 = 1024.0 * 1024.0;

/// One table.
pub(crate) async fn measure(sidecar: &str) -> Result<()> {
    let mut table = String::from(
        "| covers since the entries were stored | resident | CPU to apply one | entries lost | by the formula | CPU to read an entry from L1 |\n\
         | --- | --- | --- | --- | --- | --- |\n",
    );
    for count in TAGS {
        let calls = count / TAGS_AT_ONCE;
        let row = row(sidecar, calls, TAGS_AT_ONCE, |call| InvalidateRequest {
            tags: (0..TAGS_AT_ONCE)
                .map(|tag| format!("cover-{call}-{tag}"))
                .collect(),
            ..elsewhere()
        });
        let raised = 1.0 - (-float(count) / REGISTERS).exp();
        let lost = 100.0 * (1.0 - (1.0 - raised.powi(ROWS)).powi(NAMES));
        let row = row.await?.replace(FORMULA, &format!("{lost:.1} %"));
        table += &format!("| {count} tags | {row} |\n");
    }
    for count in PREFIXES {
        // In the namespace of the entries, whose keys begin with a 0.
        let row = row(sidecar, count, 1, |call| InvalidateRequest {
            namespace: "n0".into(),
            prefixes: vec!["1".repeat(call + 1)],
            ..InvalidateRequest::default()
        });
        let row = row.await?;
        table += &format!("| {count} prefixes of as many lengths | {row} |\n");
    }
    for count in NAMESPACES {
        let row = row(sidecar, count, 1, |call| InvalidateRequest {
            namespace: format!("other-{call}"),
            all: Some(All {}),
            ..InvalidateRequest::default()
        });
        table += &format!("| {count} whole namespaces | {} |\n", row.await?);
    }
    page::write("covers", &table)
}

fn elsewhere() -> InvalidateRequest {
    InvalidateRequest {
        namespace: "elsewhere".into(),
        ..InvalidateRequest::default()
    }
}

async fn row(
    sidecar: &str,
    calls: usize,
    at_once: usize,
    what: impl Fn(usize) -> InvalidateRequest,
) -> Result<String> {
    let subject = Subject::start(sidecar, "1GiB").await?;
    subject.write(ENTRIES).await?;
    let before = subject.used()?;
    subject.invalidate(calls, what).await?;
    let apply = subject.used()?.since(before).nanos / float((calls * at_once).max(1)) / 1e3;
    let found = load::read(&subject.channel, ENTRIES).await?;
    let lost = 100.0 * (1.0 - float(found) / float(ENTRIES.count()));
    // Stored anew they stand above every cover, and are judged by all the same.
    subject.write(ENTRIES).await?;
    let read = subject.read(ENTRIES).await?;
    let mib = subject.resident()? / MIB;
    let apply = match calls {
        0 => String::from("none"),
        _ => format!("{apply:.1} µs"),
    };
    Ok(format!(
        "{mib:.0} MiB | {apply} | {lost:.1} % | {FORMULA} | {read:.2} µs"
    ))
}
