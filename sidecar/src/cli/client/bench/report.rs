//! What a run showed, for people and as JSON.

use super::calls::{BATCH, Kind};
use super::cell::Measured;
use crate::cli::client::spread::Spread;
use serde_json::{Value as Json, json};
use std::fmt::Write as _;
use std::time::Duration;

/// What a run showed so far.
pub(super) struct Report {
    fleet: String,
    endpoint: String,
    namespace: String,
    bytes: usize,
    rows: Vec<Measured>,
}

impl Report {
    /// Nothing yet.
    pub(super) fn new(fleet: String, endpoint: &str, namespace: &str, bytes: usize) -> Self {
        Self {
            fleet,
            endpoint: endpoint.to_owned(),
            namespace: namespace.to_owned(),
            bytes,
            rows: Vec::new(),
        }
    }

    /// One row more.
    pub(super) fn add(&mut self, row: Measured) {
        self.rows.push(row);
    }

    /// Rows of which no call was answered as it should be.
    pub(super) fn without_answers(&self) -> Vec<String> {
        let silent = self.rows.iter().filter(|row| row.spread.count == 0);
        silent
            .map(|row| format!("{}, {} in flight", name(row), row.in_flight))
            .collect()
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, text: &mut String) -> std::fmt::Result {
        let Self {
            fleet,
            endpoint,
            namespace,
            bytes,
            ..
        } = self;
        writeln!(
            text,
            "{endpoint}, fleet {fleet:?}, namespace {namespace:?}, values of {bytes} B\n"
        )?;
        writeln!(
            text,
            "{:<24} {:>9} {:>10} {:>9} {:>9} {:>9} {:>7}",
            "", "in flight", "calls/s", "p50", "p99", "p99.9", "errors"
        )?;
        for row in &self.rows {
            let Spread { p50, p99, p999, .. } = row.spread;
            let rate = format!(
                "{:.0}{}",
                row.per_second,
                if row.is_limited { "*" } else { " " }
            );
            let errors: u64 = row.errors.values().sum();
            writeln!(
                text,
                "{:<24} {:>9} {rate:>10} {:>9} {:>9} {:>9} {errors:>7}",
                name(row),
                row.in_flight,
                show(p50),
                show(p99),
                show(p999)
            )?;
        }
        self.write_notes(text)
    }

    fn write_notes(&self, text: &mut String) -> std::fmt::Result {
        if self.rows.iter().any(|row| row.is_limited) {
            writeln!(text, "\n* held at the rate (--rate)")?;
        }
        for row in self.rows.iter().filter(|row| !row.errors.is_empty()) {
            let errors = row
                .errors
                .iter()
                .map(|(kind, count)| format!("{count} {kind}"));
            let errors: Vec<_> = errors.collect();
            let (name, in_flight) = (name(row), row.in_flight);
            writeln!(
                text,
                "errors of {name}, {in_flight} in flight: {}",
                errors.join(", ")
            )?;
        }
        Ok(())
    }

    /// As one object.
    pub(super) fn json(&self) -> Json {
        json!({
            "endpoint": self.endpoint,
            "fleet": self.fleet,
            "namespace": self.namespace,
            "value_bytes": self.bytes,
            "rows": self.rows.iter().map(row).collect::<Vec<_>>(),
        })
    }
}

fn row(row: &Measured) -> Json {
    let Spread {
        count,
        p50,
        p99,
        p999,
        max,
    } = row.spread;
    let [p50, p99, p999, max] = [p50, p99, p999, max].map(|time| time.as_secs_f64());
    json!({
        "call": match row.kind {
            Kind::Get => "get",
            Kind::Set => "set",
            Kind::Batch => "batch",
        },
        "transport": row.transport,
        "in_flight": row.in_flight,
        "calls": count,
        "calls_per_second": row.per_second,
        "held_at_rate": row.is_limited,
        "seconds": { "p50": p50, "p99": p99, "p999": p999, "max": max },
        "errors": row.errors,
    })
}

fn name(row: &Measured) -> String {
    let what = match row.kind {
        Kind::Get => "get, hit".to_owned(),
        Kind::Set => "set".to_owned(),
        Kind::Batch => format!("batch of {BATCH}, hits"),
    };
    format!("{what}, {}", row.transport)
}

fn show(time: Duration) -> String {
    match time.as_secs_f64() * 1e6 {
        us if us < 1e3 => format!("{us:.0} µs"),
        us if us < 1e6 => format!("{:.1} ms", us / 1e3),
        us => format!("{:.1} s", us / 1e6),
    }
}
