//! The printed table.

use crate::samples::Samples;

/// One figure beside its reference.
pub(crate) struct Row {
    name: String,
    measured: String,
    reference: String,
    ratio: String,
    goal: String,
}

impl Row {
    /// Latencies beside those of the reference; the ratio is that of the p50s.
    pub(crate) fn latency(name: &str, measured: &Samples, reference: (&str, &Samples)) -> Self {
        let ratio = measured.p50().as_secs_f64() / reference.1.p50().as_secs_f64();
        Self {
            ratio: format!("{ratio:.2}"),
            reference: format!("{}: {}", reference.0, reference.1.show()),
            ..Self::alone(name, measured.show())
        }
    }

    /// A figure without a reference.
    pub(crate) fn alone(name: &str, measured: String) -> Self {
        Self {
            name: name.into(),
            measured,
            reference: String::new(),
            ratio: String::new(),
            goal: String::new(),
        }
    }

    /// With this in place of the ratio.
    pub(crate) fn ratio(self, ratio: String) -> Self {
        Self { ratio, ..self }
    }

    /// Beside a reference without samples of its own.
    pub(crate) fn against(self, reference: String, ratio: f64) -> Self {
        let ratio = format!("{ratio:.2}");
        Self {
            reference,
            ratio,
            ..self
        }
    }

    /// With the goal it has to meet.
    pub(crate) fn goal(self, goal: &str) -> Self {
        let goal = goal.into();
        Self { goal, ..self }
    }
}

/// Prints the rows as markdown.
pub(crate) fn print(rows: &[Row]) {
    println!("| row | measured (p50 / p99) | reference (p50 / p99) | ratio of p50 | goal |");
    println!("| --- | --- | --- | --- | --- |");
    for row in rows {
        let Row {
            name,
            measured,
            reference,
            ratio,
            goal,
        } = row;
        println!("| {name} | {measured} | {reference} | {ratio} | {goal} |");
    }
}
