//! Lines and points, as SVG, over a logarithmic axis.

use crate::{Error, Result};
use plotters::prelude::*;
use plotters::style::full_palette;
use std::path::Path;

const SIZE: (u32, u32) = (960, 480);
/// Room over the highest point, for the legend.
const ROOM: f64 = 1.15;

/// Points that belong together.
pub(crate) struct Series {
    name: &'static str,
    points: Vec<(f64, f64)>,
    is_line: bool,
}

impl Series {
    /// Joined.
    pub(crate) fn line(name: &'static str, points: Vec<(f64, f64)>) -> Self {
        Self {
            name,
            points,
            is_line: true,
        }
    }

    /// Each for itself.
    pub(crate) fn points(name: &'static str, points: Vec<(f64, f64)>) -> Self {
        Self {
            name,
            points,
            is_line: false,
        }
    }
}

/// A picture.
pub(crate) struct Lines<'a> {
    pub(crate) title: &'a str,
    /// What the logarithmic axis shows.
    pub(crate) across: &'a str,
    pub(crate) up: &'a str,
    pub(crate) series: Vec<Series>,
}

impl Lines<'_> {
    /// Writes the file.
    pub(crate) fn draw(&self, file: &Path) -> Result<()> {
        self.try_draw(file)
            .map_err(|why| format!("{}: {why}", file.display()).into())
    }

    fn try_draw(&self, file: &Path) -> Result<()> {
        let points = || self.series.iter().flat_map(|series| &series.points);
        let across = points().map(|(x, _)| *x);
        let (least, most) = across.fold((f64::MAX, f64::MIN_POSITIVE), |(a, b), x| {
            (a.min(x), b.max(x))
        });
        let highest = points().map(|(_, y)| *y).fold(f64::MIN_POSITIVE, f64::max);
        let root = SVGBackend::new(file, SIZE).into_drawing_area();
        root.fill(&WHITE).map_err(told)?;
        let mut chart = ChartBuilder::on(&root)
            .caption(self.title, ("sans-serif", 20))
            .margin(12)
            .x_label_area_size(44)
            .y_label_area_size(64)
            .build_cartesian_2d((least * 0.9..most * 1.1).log_scale(), 0.0..highest * ROOM)
            .map_err(told)?;
        chart
            .configure_mesh()
            .x_desc(self.across)
            .y_desc(self.up)
            .draw()
            .map_err(told)?;
        let colors = [full_palette::GREY_600, full_palette::BLUE_800];
        for (series, color) in self.series.iter().zip(colors) {
            let dots = series
                .points
                .iter()
                .map(|at| Circle::new(*at, 4, color.filled()));
            if series.is_line {
                let line = PathElement::new(series.points.clone(), color.stroke_width(2));
                chart.draw_series([line]).map_err(told)?;
            }
            let drawn = chart
                .draw_series(dots.take(if series.is_line { 0 } else { usize::MAX }))
                .map_err(told)?;
            let mark = move |(x, y)| Rectangle::new([(x, y - 5), (x + 12, y + 5)], color.filled());
            drawn.label(series.name).legend(mark);
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperRight)
            .background_style(WHITE)
            .border_style(full_palette::GREY_400)
            .draw()
            .map_err(told)?;
        root.present().map_err(told)
    }
}

fn told(error: impl std::error::Error) -> Error {
    error.to_string().into()
}
