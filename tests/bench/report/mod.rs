//! Measures parts one after the other, and writes what they showed: figures.json,
//! figures.md and a plot for each picture in a folder. A part that fails is told,
//! and the others go on; the run fails then.

pub(crate) mod lines;
mod machine;
mod markdown;
mod pictures;
mod plot;

use crate::part::Part;
use crate::rows::{self, Programs};
use crate::{Result, rounds};
use machine::Machine;
use serde::Serialize;
use std::path::Path;
use std::time::Instant;

/// A whole run.
#[derive(Serialize)]
struct Report {
    machine: Machine,
    /// The command that made it.
    command: String,
    seconds: u64,
    parts: Vec<Part>,
}

/// Measures these parts.
pub(crate) async fn run(
    programs: &Programs<'_>,
    names: &[&'static str],
    folder: &Path,
) -> Result<()> {
    let (machine, began) = (Machine::now(programs), Instant::now());
    let (mut parts, mut failed) = (Vec::new(), Vec::new());
    for name in names {
        let begin = Instant::now();
        // A part's future is large, and one lives at a time.
        match Box::pin(rows::part(name, programs)).await {
            Ok(part) => {
                println!("{}", markdown::part(&part));
                parts.push(part);
            }
            Err(why) => failed.push(format!("{name}: {why}")),
        }
        eprintln!("bench: {name} took {} s", begin.elapsed().as_secs());
    }
    let report = Report {
        machine,
        command: command(names),
        seconds: began.elapsed().as_secs(),
        parts,
    };
    println!("{}", markdown::goals(&report.parts));
    if !failed.is_empty() {
        return Err(failed.join("; ").into());
    }
    write(&report, folder)
}

fn command(names: &[&str]) -> String {
    let quick = if rounds::is_quick() { " --quick" } else { "" };
    let names = if rows::is_all(names) {
        String::new()
    } else {
        format!(" {}", names.join(" "))
    };
    format!("tests/bench/run{quick}{names}")
}

fn write(report: &Report, folder: &Path) -> Result<()> {
    let plots = folder.join("figures");
    std::fs::create_dir_all(&plots)?;
    let mut json = serde_json::to_string_pretty(report)?;
    json.push('\n');
    std::fs::write(folder.join("figures.json"), json)?;
    let drawn = pictures::draw(&report.parts, &plots)?;
    std::fs::write(folder.join("figures.md"), markdown::page(report, &drawn))?;
    eprintln!("bench: written to {}", folder.join("figures.md").display());
    Ok(())
}
