//! What learned ttls save: origin loads and stale reads against fixed ttls, with
//! keys that change and are read at known rates.
//!
//! `bench SIDECAR NATS_SERVER adaptive` prints the tables and writes them into
//! docs/policies.md, and the plots into docs/figures/. Time is virtual and the
//! draws are from fixed seeds, so another run gives the same figures; what decides
//! is the shipped policy (`unstale_engine::policy::adaptive_ttl`).

mod origin;
mod subject;
mod workload;

use crate::Result;
use crate::report::lines::{Lines, Series};
use crate::scale::page;
use std::fmt::Write as _;
use std::path::Path;
use subject::{Outcome, Ttl};
use workload::Workload;

const PAGE: &str = "docs/policies.md";
const FIGURES: &str = "docs/figures";
/// Shares of reads that may be stale.
const BUDGETS: [f64; 4] = [0.005, 0.01, 0.02, 0.05];
/// The table's.
const SHOWN: [f64; 2] = [0.01, 0.05];
/// Fixed ttls: so many, from 1 s to an hour.
const FIXED: i32 = 24;
const LONGEST: f64 = 3600.0;

/// What each ttl came to.
struct Measured {
    workload: Workload,
    fixed: Vec<(f64, Outcome)>,
    adaptive: Vec<(f64, Outcome)>,
}

/// All of it.
pub(crate) fn run() -> Result<()> {
    let mut table = String::from(
        "| workload | budget | best fixed ttl | its loads a second | stale | learned: loads a second | stale | loads saved | first hour: loads a second, stale |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    let mut families = String::from(
        "| family | keys | a key is read | a key changes | learned ttl | known of its changes |\n\
         | --- | --- | --- | --- | --- | --- |\n",
    );
    for workload in workload::all() {
        let measured = measure(workload);
        for budget in SHOWN {
            table += &measured.row(budget);
        }
        if let Some(file) = measured.workload.file {
            measured.draw(&Path::new(FIGURES).join(file))?;
            families += &measured.families();
        }
    }
    page::write_into(PAGE, "learned ttls", &table)?;
    page::write_into(PAGE, "learned families", &families)
}

fn measure(workload: Workload) -> Measured {
    let fixed = (0..=FIXED).map(|step| LONGEST.powf(f64::from(step) / f64::from(FIXED)));
    let fixed = fixed.map(|ttl| (ttl, subject::run(&workload, Ttl::Fixed(ttl))));
    let adaptive = BUDGETS.map(|budget| (budget, subject::run(&workload, Ttl::Learned(budget))));
    Measured {
        fixed: fixed.collect(),
        adaptive: adaptive.into(),
        workload,
    }
}

impl Measured {
    /// The fixed ttl that loads least within the budget, chosen afterwards.
    fn best(&self, budget: f64) -> Option<&(f64, Outcome)> {
        let within = self
            .fixed
            .iter()
            .filter(|(_, outcome)| outcome.stale <= budget);
        within.min_by(|(_, a), (_, b)| a.loads.total_cmp(&b.loads))
    }

    fn learned(&self, budget: f64) -> &Outcome {
        let mut all = self.adaptive.iter();
        let found = all.find(|(of, _)| (of - budget).abs() < 1e-9);
        &found.expect("every budget that is shown was measured").1
    }

    fn row(&self, budget: f64) -> String {
        let (name, learned) = (self.workload.name, self.learned(budget));
        let (fixed, saved) = match self.best(budget) {
            None => ("none | | ".to_owned(), String::new()),
            Some((ttl, best)) => (
                format!(
                    "{} | {:.1} | {:.2} %",
                    time(*ttl),
                    best.loads,
                    100.0 * best.stale
                ),
                format!("{:.0} %", 100.0 * (1.0 - learned.loads / best.loads)),
            ),
        };
        format!(
            "| {name} | {:.0} % | {fixed} | {:.1} | {:.2} % | {saved} | {:.1}, {:.2} % |\n",
            100.0 * budget,
            learned.loads,
            100.0 * learned.stale,
            learned.first.0,
            100.0 * learned.first.1,
        )
    }

    fn families(&self) -> String {
        let mut rows = String::new();
        let learned = self.learned(SHOWN[0]);
        for family in &self.workload.families {
            let known = learned
                .families
                .iter()
                .find(|known| *known.template == *family.template());
            let Some(known) = known else { continue };
            // Writing to a String cannot fail.
            let _ = writeln!(
                rows,
                "| {} | {} | {} | every {} | {} | every {} |",
                family.name,
                family.keys,
                often(family.reads / f64::from(family.keys)),
                time(1.0 / family.changes),
                time(known.ttl.as_secs_f64()),
                time(1.0 / known.changes_per_second),
            );
        }
        rows
    }

    fn draw(&self, file: &Path) -> Result<()> {
        let point = |outcome: &Outcome| (100.0 * outcome.stale, outcome.loads);
        let fixed = self
            .fixed
            .iter()
            .filter(|(_, outcome)| outcome.stale > 5e-4);
        let fixed = Series::line(
            "fixed ttls, 1 s to 1 h",
            fixed.map(|(_, o)| point(o)).collect(),
        );
        let learned = self.adaptive.iter().map(|(_, o)| point(o)).collect();
        let learned = Series::points("learned, budgets 0.5, 1, 2 and 5 %", learned);
        let title = format!("Origin loads and stale reads: {}", self.workload.name);
        Lines {
            title: &title,
            across: "stale reads, % of all",
            up: "loads a second",
            series: vec![fixed, learned],
        }
        .draw(file)
    }
}

fn often(per_second: f64) -> String {
    match per_second {
        often if often >= 1.0 => format!("{often:.1} times a second"),
        seldom => format!("every {}", time(1.0 / seldom)),
    }
}

fn time(seconds: f64) -> String {
    match seconds {
        s if s < 10.0 => format!("{s:.1} s"),
        s if s < 600.0 => format!("{s:.0} s"),
        s if s < 36_000.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.0} h", s / 3600.0),
    }
}
