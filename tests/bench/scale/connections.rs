//! What connections cost: each opened, used once and kept.

use super::cpu::float;
use super::load::{self, Load};
use super::subject::Subject;
use super::{Checked, page};
use crate::{Result, calls};

/// Numbers of connections; the formula is taken from the first and the last.
const COUNTS: [usize; 4] = [1, 10, 100, 1_000];
/// Entries that are read over the connections in turn.
const ENTRIES: usize = 2_560;
/// Times they are read.
const ROUNDS: usize = 4;
const MIB: f64 = 1024.0 * 1024.0;

/// One table.
pub(crate) async fn measure(sidecar: &str) -> Result<()> {
    let subject = Subject::start(sidecar, "64MiB").await?;
    let load = Load::plain(ENTRIES, 64);
    subject.write(load).await?;
    let mut open = Vec::new();
    let mut rows = Vec::new();
    for count in COUNTS {
        while open.len() < count {
            let channel = calls::connect(&subject.endpoint()).await?;
            load::read(&channel, load.last(1)).await?;
            open.push(channel);
        }
        let before = subject.used()?;
        // One key a call: what a connection costs does not hide in a batch.
        for call in 0..ROUNDS * ENTRIES {
            let channel = &open[call % open.len()];
            load::read(channel, load.last(1)).await?;
        }
        let read = subject.used()?.since(before).nanos / float(ROUNDS * ENTRIES) / 1e3;
        rows.push((count, subject.resident()?, read));
    }
    page::write("connections", &table(&rows))
}

fn table(rows: &[(usize, f64, f64)]) -> String {
    let [(few, least, _), .., (many, most, _)] = rows else {
        return String::new();
    };
    let each = (most - least) / float(many - few);
    let mut table = format!(
        "resident = that of one + connections × **{:.0} KiB**\n\n\
         | connections | resident | by the formula | error | CPU of a call of one key |\n\
         | --- | --- | --- | --- | --- |\n",
        each / 1024.0
    );
    for (count, resident, read) in rows {
        let checked = Checked {
            measured: *resident,
            predicted: least + float(count - few) * each,
        };
        let checked = checked.show(MIB, "MiB");
        table += &format!("| {count} | {checked} | {read:.1} µs |\n");
    }
    table
}
