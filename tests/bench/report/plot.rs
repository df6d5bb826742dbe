//! Bars in groups, as SVG.

use crate::{Error, Result};
use plotters::prelude::*;
use plotters::style::full_palette;
use std::path::Path;

const SIZE: (u32, u32) = (960, 480);
/// Of a group, in which its bars stand; the rest is between groups.
const FILLED: f64 = 0.8;
/// Room over the highest bar, for the legend.
const ROOM: f64 = 1.6;

/// The name of a group of bars.
pub(super) struct Group(pub(super) String);

/// A picture: for each group a bar of each name.
pub(super) struct Bars {
    title: String,
    unit: String,
    groups: Vec<String>,
    /// The name and its height in each group.
    names: Vec<(String, Vec<f64>)>,
}

impl Bars {
    pub(super) fn new(title: &str, unit: &str) -> Self {
        Self {
            title: title.into(),
            unit: unit.into(),
            groups: Vec::new(),
            names: Vec::new(),
        }
    }

    /// One bar.
    pub(super) fn add(&mut self, Group(group): Group, name: &str, height: f64) {
        let group = place(&mut self.groups, |known| *known == group, || group.clone());
        let name = place(
            &mut self.names,
            |(known, _)| known == name,
            || (name.into(), Vec::new()),
        );
        let heights = &mut self.names[name].1;
        heights.resize(heights.len().max(group + 1), 0.0);
        heights[group] = height;
    }

    /// Writes the file.
    pub(super) fn draw(&self, file: &Path) -> Result<()> {
        self.try_draw(file)
            .map_err(|why| format!("{}: {why}", file.display()).into())
    }

    fn try_draw(&self, file: &Path) -> Result<()> {
        let heights = self.names.iter().flat_map(|(_, heights)| heights);
        let highest = heights.copied().fold(f64::MIN_POSITIVE, f64::max);
        let root = SVGBackend::new(file, SIZE).into_drawing_area();
        root.fill(&WHITE).map_err(told)?;
        let mut chart = ChartBuilder::on(&root)
            .caption(&self.title, ("sans-serif", 20))
            .margin(12)
            .x_label_area_size(32)
            .y_label_area_size(64)
            .build_cartesian_2d(0.0..self.groups.len() as f64, 0.0..highest * ROOM)
            .map_err(told)?;
        // In the middle of a group stands its name.
        let name = |at: &f64| match (at.fract() - 0.5).abs() < 1e-9 {
            true => self.groups.get(*at as usize).cloned().unwrap_or_default(),
            false => String::new(),
        };
        chart
            .configure_mesh()
            .disable_x_mesh()
            .x_labels(self.groups.len() * 2 + 1)
            .x_label_formatter(&name)
            .y_desc(&self.unit)
            .draw()
            .map_err(told)?;
        for (number, (name, heights)) in self.names.iter().enumerate() {
            let color = COLORS[number % COLORS.len()];
            let bars = heights.iter().enumerate().map(|(group, height)| {
                let width = FILLED / self.names.len() as f64;
                let left = group as f64 + (1.0 - FILLED) / 2.0 + number as f64 * width;
                Rectangle::new([(left, 0.0), (left + width * 0.9, *height)], color.filled())
            });
            let series = chart.draw_series(bars).map_err(told)?;
            let mark = move |(x, y)| Rectangle::new([(x, y - 5), (x + 12, y + 5)], color.filled());
            series.label(name).legend(mark);
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperLeft)
            .background_style(WHITE)
            .border_style(full_palette::GREY_400)
            .draw()
            .map_err(told)?;
        root.present().map_err(told)
    }
}

/// Where it is; added if it is new.
fn place<T>(all: &mut Vec<T>, is: impl Fn(&T) -> bool, new: impl FnOnce() -> T) -> usize {
    let known = all.iter().position(is);
    known.unwrap_or_else(|| {
        all.push(new());
        all.len() - 1
    })
}

fn told(error: impl std::error::Error) -> Error {
    error.to_string().into()
}

const COLORS: [RGBColor; 10] = [
    full_palette::BLUE_800,
    full_palette::GREY_500,
    full_palette::BLUE_400,
    full_palette::GREY_400,
    full_palette::TEAL_600,
    full_palette::RED_600,
    full_palette::PURPLE_400,
    full_palette::RED_300,
    full_palette::PURPLE_200,
    full_palette::AMBER_600,
];
