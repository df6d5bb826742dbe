//! What it costs at a size: keys, tags, namespaces, covers, connections, pods.
//!
//! `bench SIDECAR NATS_SERVER scale [PART]…` measures real sidecars, takes a formula
//! from some of the figures, and prints it with the others beside what it says
//! of them; all of it goes into docs/scale.md. Costs are processor time, memory
//! and bytes as the kernel counts them, not durations.

mod connections;
mod costs;
mod covers;
pub(crate) mod cpu;
mod fleet;
mod keys;
pub(crate) mod load;
mod names;
pub(crate) mod page;
mod simulation;
mod subject;

use crate::Result;

/// The parts that are named, or all.
pub(crate) fn run(sidecar: &str, nats: &str, parts: &[&str]) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut failed = Vec::new();
    for part in ["keys", "names", "covers", "connections", "pods"] {
        if !parts.is_empty() && !parts.contains(&part) {
            continue;
        }
        // One that fails keeps none of the others from being measured.
        if let Err(error) = runtime.block_on(measure(part, sidecar, nats)) {
            failed.push(format!("{part}: {error}"));
        }
    }
    match failed.is_empty() {
        true => Ok(()),
        false => Err(failed.join("; ").into()),
    }
}

async fn measure(part: &str, sidecar: &str, nats: &str) -> Result<()> {
    match part {
        "keys" => keys::measure(sidecar).await,
        "names" => names::measure(sidecar).await,
        "covers" => covers::measure(sidecar).await,
        "connections" => connections::measure(sidecar).await,
        _ => simulation::run(costs::measure(sidecar, nats).await?),
    }
}

/// A figure beside what the formula says of it.
#[derive(Clone, Copy)]
pub(crate) struct Checked {
    pub(crate) measured: f64,
    pub(crate) predicted: f64,
}

impl Checked {
    /// "measured | predicted | error", in parts of `unit`.
    pub(crate) fn show(self, unit: f64, name: &str) -> String {
        let Self {
            measured,
            predicted,
        } = self;
        let error = 100.0 * (predicted / measured - 1.0);
        let [measured, predicted] = [measured, predicted].map(|figure| {
            let figure = figure / unit;
            match figure < 10.0 {
                true => format!("{figure:.2} {name}"),
                false => format!("{figure:.0} {name}"),
            }
        });
        format!("{measured} | {predicted} | {error:+.0} %")
    }
}
