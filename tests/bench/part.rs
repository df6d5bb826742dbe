//! A part of the run: what one kind of work showed.

use crate::figure::Figure;
use crate::goal::Row;
use serde::Serialize;

/// What one part measured.
#[derive(Serialize)]
pub(crate) struct Part {
    /// By which it is run alone.
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    /// How it was measured, in a few sentences.
    pub(crate) words: &'static str,
    /// Figures beside their references, with goals.
    pub(crate) goals: Vec<Row>,
    pub(crate) figures: Vec<Figure>,
}

impl Part {
    /// Nothing measured yet.
    pub(crate) fn new(name: &'static str, title: &'static str, words: &'static str) -> Self {
        Self {
            name,
            title,
            words,
            goals: Vec::new(),
            figures: Vec::new(),
        }
    }
}

/// The figure of one who did something with so many in flight; the last that fits.
pub(crate) fn of<'a>(
    figures: &'a [Figure],
    what: &str,
    bytes: usize,
    in_flight: usize,
) -> &'a Figure {
    let is = |figure: &&Figure| {
        figure.what == what
            && figure.bytes.is_none_or(|size| size == bytes)
            && figure.in_flight == Some(in_flight)
    };
    let found = figures.iter().rev().find(is);
    found.unwrap_or_else(|| panic!("nothing of {what:?}, {bytes} B, {in_flight} in flight"))
}
