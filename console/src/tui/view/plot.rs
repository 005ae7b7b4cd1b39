//! The numbers of a field over time, in place of the bars.

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    style::{Modifier, Style},
};

use crate::tui::{
    layout::SCALE_COLUMNS,
    plot::{self, PlotBar},
    scale::Grid,
    state::{Heights, Log, Numbers},
};

use super::{looks::Looks, pen::Pen};

/// The numbers that are plotted.
#[derive(Debug)]
pub(super) struct Plot<'a> {
    /// The numbers of the window.
    pub(super) numbers: &'a Numbers,
    /// Those of each bar.
    bars: Vec<Option<PlotBar>>,
    /// The places of numbers on the axis.
    pub(super) axis: Heights,
}

impl<'a> Plot<'a> {
    /// Returns the plot of a log; `None` if it draws bars.
    pub(super) fn of(log: &'a Log, grid: &Grid) -> Option<Self> {
        let numbers = log.numbers.as_ref().filter(|numbers| log.plot.as_ref() == Some(&numbers.survey.path))?;
        let bars = plot::plot(&numbers.result.numbers, grid);
        let axis = plot::axis_of(log.scrubber.heights, &bars);
        Some(Self { numbers, bars, axis })
    }
}

/// Draws from the least to the greatest number of each bar, with its median.
pub(super) fn draw(
    Plot { bars, axis, .. }: &Plot<'_>,
    grid: &Grid,
    playhead: Option<usize>,
    looks: Looks,
    buffer: &mut Buffer,
    area: Rect,
) {
    let known = || bars.iter().flatten();
    let least = known().map(|bar| bar.least).fold(f64::INFINITY, f64::min);
    let most = known().map(|bar| bar.most).fold(f64::NEG_INFINITY, f64::max);
    let rows = usize::from(area.height);
    // The row of a number, from the top.
    let row_of = |number: f64| {
        let share = plot::place(number, least, most, *axis);
        rows - 1 - ((share * rows as f64) as usize).min(rows - 1)
    };
    for row in 0..rows {
        let label = match row {
            0 if least <= most => Some(most),
            row if row + 1 == rows && least < most => Some(least),
            _ => None,
        };
        let mut pen = Pen::new(buffer, area, row as u16);
        match label {
            Some(number) => {
                let label = plot::short(number, usize::from(SCALE_COLUMNS) - 1);
                pen.put(&format!("{label:>4}{}", looks.drawn("┤", "+")), looks.aside())
            }
            None => pen.put(&format!("    {}", looks.drawn("│", "|")), looks.aside()),
        };
    }
    for (index, bar) in bars.iter().enumerate() {
        let is_here = Some(index) == playhead;
        for row in 0..rows {
            let (symbol, style) = cell(*bar, row, row_of, is_here, looks);
            let style = if is_here { style.add_modifier(Modifier::REVERSED) } else { style };
            let x = area.x + SCALE_COLUMNS + (index * grid.scale.columns) as u16;
            let mut pen = Pen::new(buffer, area, row as u16);
            pen.go_to(x).put(symbol, style);
        }
    }
}

fn cell(
    bar: Option<PlotBar>,
    row: usize,
    row_of: impl Fn(f64) -> usize,
    is_here: bool,
    looks: Looks,
) -> (&'static str, Style) {
    let nothing = if is_here { looks.drawn("╎", "|") } else { " " };
    let Some(PlotBar { least, median, most }) = bar else { return (nothing, looks.aside()) };
    match row {
        row if row == row_of(median) => (looks.drawn("●", "o"), Style::new()),
        row if (row_of(most)..=row_of(least)).contains(&row) => (looks.drawn("│", "|"), looks.aside()),
        _ => (nothing, looks.aside()),
    }
}
