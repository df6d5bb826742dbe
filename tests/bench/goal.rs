//! A figure beside its reference, and the goal that it has to meet. One that
//! misses it stays: this measures, it does not judge.

use crate::figure::{Figure, micros};
use crate::samples::time;
use serde::Serialize;
use std::time::Duration;

/// What a value has to be.
#[derive(Clone, Copy)]
pub(crate) enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

/// One value, what it is made of, and its goal.
#[derive(Clone, Serialize)]
pub(crate) struct Row {
    name: String,
    measured: String,
    reference: String,
    /// The ratio, or the measured value itself in `unit`.
    value: f64,
    unit: &'static str,
    goal: String,
    /// None without a goal.
    is_met: Option<bool>,
}

impl Row {
    /// The ratio of two values that are shown so.
    pub(crate) fn ratio(
        name: &str,
        measured: (f64, String),
        reference: (&str, f64, String),
    ) -> Self {
        let (label, of, shown) = reference;
        Self {
            reference: format!("{label}: {shown}"),
            value: measured.0 / of,
            ..Self::alone(name, measured.1, measured.0 / of, "×")
        }
    }

    /// The p50s of two figures, which are shown with their p99s.
    pub(crate) fn latency(name: &str, measured: &Figure, reference: &Figure) -> Self {
        let show = |figure: &Figure| match figure.p99_us {
            0.0 => shown(figure.p50_us),
            p99 => format!("{} / {}", shown(figure.p50_us), shown(p99)),
        };
        let other = (&*reference.what, reference.p50_us, show(reference));
        Self::ratio(name, (measured.p50_us, show(measured)), other)
    }

    /// Two times.
    pub(crate) fn times(name: &str, measured: f64, reference: (&str, f64)) -> Self {
        let (label, of) = reference;
        Self::ratio(name, (measured, shown(measured)), (label, of, shown(of)))
    }

    /// Operations a second of two figures.
    pub(crate) fn rates(name: &str, measured: &Figure, reference: &Figure) -> Self {
        let rate = |figure: &Figure| figure.per_second.unwrap_or_default();
        let show = |figure: &Figure| format!("{:.0}/s", rate(figure));
        let label = reference.what.as_str();
        let own = (rate(measured), show(measured));
        Self::ratio(name, own, (label, rate(reference), show(reference)))
    }

    /// A value without a reference.
    pub(crate) fn alone(name: &str, measured: String, value: f64, unit: &'static str) -> Self {
        Self {
            name: name.into(),
            measured,
            reference: String::new(),
            value,
            unit,
            goal: String::new(),
            is_met: None,
        }
    }

    /// With the goal that the value has to meet.
    pub(crate) fn goal(self, goal: Bound) -> Self {
        let (text, is_met) = match goal {
            Bound::AtMost(most) => (format!("≤ {most}"), self.value <= most),
            Bound::AtLeast(least) => (format!("≥ {least}"), self.value >= least),
        };
        Self {
            goal: format!("{text} {}", self.unit),
            is_met: Some(is_met),
            ..self
        }
    }

    /// Beside its reference, but without a goal.
    pub(crate) fn without_goal(self) -> Self {
        Self {
            goal: String::new(),
            is_met: None,
            ..self
        }
    }

    /// As a line of a markdown table; see [`HEAD`].
    pub(crate) fn line(&self) -> String {
        let Self {
            name,
            measured,
            reference,
            value,
            unit,
            goal,
            is_met,
        } = self;
        let met = match is_met {
            None => "",
            Some(true) => "met",
            Some(false) => "**missed**",
        };
        format!("| {name} | {measured} | {reference} | {value:.2} {unit} | {goal} | {met} |")
    }
}

/// The head of a table of [`Row::line`].
pub(crate) const HEAD: &str = "| row | measured | reference | value | goal | |\n\
                               | --- | --- | --- | --- | --- | --- |";

/// Three rows: p50, p99 and CPU per call of one beside another, each at most so
/// many times as much; less what one of the two has not.
pub(crate) fn within(name: &str, one: &Figure, other: &Figure, most: f64) -> Vec<Row> {
    let row = |of: &str, one: f64, another: f64| {
        let name = format!("{name}: {of}");
        Row::times(&name, one, (&other.what, another)).goal(Bound::AtMost(most))
    };
    let cpu = |figure: &Figure| figure.cpu_us.unwrap_or_default();
    let rows = [
        ("p50", one.p50_us, other.p50_us),
        ("p99", one.p99_us, other.p99_us),
        ("server CPU per call", cpu(one), cpu(other)),
    ];
    let known = rows
        .into_iter()
        .filter(|(_, one, other)| one.min(*other) > 0.0);
    known.map(|(of, one, other)| row(of, one, other)).collect()
}

fn shown(us: f64) -> String {
    time(Duration::from_secs_f64(us / 1e6))
}

/// A time as the value of a row, in milliseconds.
pub(crate) fn millis(name: &str, measured: &str, time: Duration) -> Row {
    Row::alone(name, measured.into(), micros(time) / 1e3, "ms")
}
