//! Which figures are drawn.

use super::plot::{Bars, Group};
use crate::Result;
use crate::figure::Figure;
use crate::part::Part;
use std::path::Path;

/// A file and what it shows.
pub(super) struct Drawn {
    pub(super) file: &'static str,
    pub(super) title: &'static str,
}

/// A picture: of one part, a group of bars for each value of one thing.
struct Picture {
    file: &'static str,
    title: &'static str,
    unit: &'static str,
    part: &'static str,
    /// Whether a figure is in it.
    is_in: fn(&Figure) -> bool,
    /// The group it belongs to.
    group: fn(&Figure) -> String,
    height: fn(&Figure) -> Option<f64>,
}

fn in_flight(figure: &Figure) -> String {
    format!("{} in flight", figure.in_flight.unwrap_or_default())
}

fn pods(figure: &Figure) -> String {
    match figure.pods {
        Some(1) => "1 pod".to_owned(),
        some => format!("{} pods", some.unwrap_or_default()),
    }
}

fn is_kib(figure: &Figure) -> bool {
    figure.bytes == Some(1024)
}

const PICTURES: &[Picture] = &[
    Picture {
        file: "get-rate.svg",
        title: "Get of 1 KiB, L1 hit: thousand operations a second",
        unit: "thousand/s",
        part: "reads",
        is_in: is_kib,
        group: in_flight,
        height: |figure| figure.per_second.map(|rate| rate / 1e3),
    },
    Picture {
        file: "get-p99.svg",
        title: "Get of 1 KiB, L1 hit: p99 in microseconds",
        unit: "µs",
        part: "reads",
        is_in: is_kib,
        group: in_flight,
        height: |figure| Some(figure.p99_us),
    },
    Picture {
        file: "get-cpu.svg",
        title: "Get, L1 hit, 16 in flight: server CPU per operation by size",
        unit: "µs",
        part: "reads",
        is_in: |figure| figure.in_flight == Some(16),
        group: |figure| format!("{} B", figure.bytes.unwrap_or_default()),
        height: |figure| figure.cpu_us,
    },
    Picture {
        file: "batch-rate.svg",
        title: "Batches of 100 x 1 KiB: thousand keys a second",
        unit: "thousand/s",
        part: "batches",
        is_in: |_| true,
        group: in_flight,
        height: |figure| figure.per_second.map(|rate| rate / 1e3),
    },
    Picture {
        file: "set-rate.svg",
        title: "Set of 1 KiB: thousand operations a second",
        unit: "thousand/s",
        part: "writes",
        is_in: is_kib,
        group: in_flight,
        height: |figure| figure.per_second.map(|rate| rate / 1e3),
    },
    Picture {
        file: "mix-rate.svg",
        title: "95 reads to 5 writes, 100,000 keys by Zipf: thousand operations a second",
        unit: "thousand/s",
        part: "mix",
        is_in: |_| true,
        group: in_flight,
        height: |figure| figure.per_second.map(|rate| rate / 1e3),
    },
    Picture {
        file: "invalidate.svg",
        title: "Invalidate LOG and FLEET: p50 in milliseconds by pods",
        unit: "ms",
        part: "log",
        is_in: |figure| figure.what == "unstale",
        group: pods,
        height: |figure| Some(figure.p50_us / 1e3),
    },
];

/// Draws those whose part was measured.
pub(super) fn draw(parts: &[Part], folder: &Path) -> Result<Vec<Drawn>> {
    let mut drawn = Vec::new();
    for picture in PICTURES {
        let Some(part) = parts.iter().find(|part| part.name == picture.part) else {
            continue;
        };
        bars(picture, part).draw(&folder.join(picture.file))?;
        let Picture { file, title, .. } = *picture;
        drawn.push(Drawn { file, title });
    }
    Ok(drawn)
}

fn bars(picture: &Picture, part: &Part) -> Bars {
    let mut bars = Bars::new(picture.title, picture.unit);
    for figure in part.figures.iter().filter(|figure| (picture.is_in)(figure)) {
        // Where all are one's, the kind of work tells them apart.
        let name = if figure.what == "unstale" {
            &figure.row
        } else {
            &figure.what
        };
        let (group, height) = ((picture.group)(figure), (picture.height)(figure));
        bars.add(Group(group), name, height.unwrap_or_default());
    }
    bars
}
