//! The formulas of a fleet, taken from the figures of two sizes, and the tables
//! that hold them against those of the others.

use super::cpu::float;
use super::fleet::{Fleet, KEY_BYTES, KEYS};
use super::{Checked, page};
use crate::Result;

/// Sizes of the fleet; formulas are taken from the first and the fourth.
const PODS: [usize; 5] = [2, 4, 8, 16, 32];
const FITTED: (usize, usize) = (0, 3);
/// Beats of a pod in a second: four in a SESSION_TTL of 15 s.
pub(crate) const BEATS: f64 = 4.0 / 15.0;

/// Figures of one fleet.
pub(crate) struct Figures {
    pub(crate) pods: usize,
    /// Records appended in a second while nobody asks anything.
    pub(crate) beats: f64,
    /// Parts of a processor that an idle pod takes.
    pub(crate) idle: f64,
    /// By the keys of a record.
    pub(crate) records: Vec<Record>,
}

/// What one record costs; times are microseconds of processor time.
#[derive(Clone, Copy)]
pub(crate) struct Record {
    /// Bytes in the log.
    pub(crate) stored: f64,
    /// Bytes that NATS writes, to the log and to all pods.
    pub(crate) written: f64,
    /// Of NATS.
    pub(crate) nats: f64,
    /// Of the pod that appends it.
    pub(crate) publisher: f64,
    /// Of each pod that applies it.
    pub(crate) pod: f64,
}

/// A straight line through two figures.
#[derive(Clone, Copy)]
pub(crate) struct Line {
    pub(crate) fixed: f64,
    pub(crate) each: f64,
}

impl Line {
    fn through((x, y): (usize, f64), (other_x, other_y): (usize, f64)) -> Self {
        let each = (other_y - y) / (float(other_x) - float(x));
        Self {
            fixed: y - each * float(x),
            each,
        }
    }

    pub(crate) fn at(self, x: usize) -> f64 {
        self.fixed + self.each * float(x)
    }
}

/// The formulas: by pods for a record of one key, by keys for one of the pods.
#[derive(Clone, Copy)]
pub(crate) struct Costs {
    pub(crate) nats: Line,
    pub(crate) written: Line,
    pub(crate) stored: Line,
    pub(crate) publisher: Line,
    pub(crate) pod: Line,
    /// Microseconds that NATS takes for each key more, and pod.
    pub(crate) nats_key: f64,
}

impl Costs {
    /// Microseconds that NATS takes for a record.
    pub(crate) fn nats_of(&self, pods: usize, keys: usize) -> f64 {
        self.nats.at(pods) + self.nats_key * float(pods * (keys - 1))
    }
}

/// Prints the tables; the formulas are for the simulation.
pub(crate) async fn measure(sidecar: &str, nats: &str) -> Result<Costs> {
    let mut all = Vec::new();
    for pods in PODS {
        let fleet = Fleet::start(sidecar, nats, pods).await?;
        all.push(fleet.figures().await?);
    }
    let costs = costs(&all);
    page::write("pods", &by_pods(&all, costs))?;
    page::write("records", &by_keys(&all[FITTED.1], costs))?;
    Ok(costs)
}

fn costs(all: &[Figures]) -> Costs {
    let (few, many) = (&all[FITTED.0], &all[FITTED.1]);
    let by_pods = |figure: fn(&Record) -> f64| {
        let [few, many] = [few, many].map(|f| (f.pods, figure(&f.records[0])));
        Line::through(few, many)
    };
    let last = KEYS.len() - 1;
    let by_keys = |figure: fn(&Record) -> f64| {
        let [one, most] = [0, last].map(|at| (KEYS[at], figure(&many.records[at])));
        Line::through(one, most)
    };
    Costs {
        nats: by_pods(|record| record.nats),
        written: by_pods(|record| record.written),
        stored: by_keys(|record| record.stored),
        publisher: by_keys(|record| record.publisher),
        pod: by_keys(|record| record.pod),
        nats_key: by_keys(|record| record.nats).each / float(many.pods),
    }
}

fn by_pods(all: &[Figures], costs: Costs) -> String {
    let Costs { nats, written, .. } = costs;
    let mut table = format!(
        "Of a record with one key of {KEY_BYTES} bytes: CPU of NATS = {:.0} µs + pods × **{:.1} µs**; \
         bytes written by NATS = {:.0} + pods × **{:.0}**; beats a second = pods × 4 / SESSION_TTL\n\n\
         | pods | CPU of NATS | by the formula | error | bytes written | by the formula | error | CPU of a pod that applies it | beats, 1/s | by the formula | error | CPU of an idle pod |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n",
        nats.fixed, nats.each, written.fixed, written.each,
    );
    for figures in all {
        let (pods, record) = (figures.pods, figures.records[0]);
        let checked = |measured, predicted| Checked {
            measured,
            predicted,
        };
        let nats = checked(record.nats, nats.at(pods)).show(1.0, "µs");
        let written = checked(record.written, written.at(pods)).show(1.0, "B");
        let beats = checked(figures.beats, float(pods) * BEATS).show(1.0, "");
        let (pod, idle) = (record.pod, figures.idle * 100.0);
        table +=
            &format!("| {pods} | {nats} | {written} | {pod:.1} µs | {beats} | {idle:.2} % |\n");
    }
    table
}

fn by_keys(figures: &Figures, costs: Costs) -> String {
    let Costs {
        stored,
        publisher,
        pod,
        ..
    } = costs;
    let mut table = format!(
        "Of a record with keys of {KEY_BYTES} bytes, {} pods: bytes in the log = {:.0} + keys × **{:.0}**; \
         CPU of a pod that applies it = {:.1} µs + keys × **{:.2} µs**; of the one that appends it = {:.0} µs + keys × {:.2} µs; CPU of NATS = that of one key + (keys - 1) × pods × **{:.3} µs**\n\n\
         | keys | bytes in the log | by the formula | error | CPU of a pod | by the formula | error | CPU of the appending pod | by the formula | error | CPU of NATS | by the formula | error |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n",
        figures.pods,
        stored.fixed,
        stored.each,
        pod.fixed,
        pod.each,
        publisher.fixed,
        publisher.each,
        costs.nats_key,
    );
    for (keys, record) in KEYS.into_iter().zip(&figures.records) {
        let checked = |measured, line: Line, unit| {
            let predicted = line.at(keys);
            Checked {
                measured,
                predicted,
            }
            .show(1.0, unit)
        };
        let stored = checked(record.stored, stored, "B");
        let pod = checked(record.pod, pod, "µs");
        let publisher = checked(record.publisher, publisher, "µs");
        let nats = Checked {
            measured: record.nats,
            predicted: costs.nats_of(figures.pods, keys),
        };
        let nats = nats.show(1.0, "µs");
        table += &format!("| {keys} | {stored} | {pod} | {publisher} | {nats} |\n");
    }
    table
}
