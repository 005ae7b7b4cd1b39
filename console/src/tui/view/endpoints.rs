//! The endpoints of an instance: their requests, and the last minute of each as a strip.

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    style::{Modifier, Style},
};

use crate::{
    output::{counted, human_count},
    tui::{
        bars,
        report::EndpointStats,
        state::{Heights, Instance, Meter},
    },
};

use super::{
    instances::{cut, mean, rate},
    logs::put,
    looks::Looks,
    pen::Pen,
    rule,
};

/// Columns of an endpoint's name.
const NAME_COLUMNS: u16 = 14;
/// Names and widths of the columns of numbers, which are right-aligned.
const NUMBERS: [(&str, u16); 4] = [("requests", 11), ("req/s", 7), ("errors", 6), ("mean", 7)];
/// Blanks between two columns.
const GAP: u16 = 2;
/// Width from which a strip has a column for each reading, and the last error is behind it.
const WIDE_COLUMNS: u16 = 100;
/// Columns of a strip on such a screen: one for each reading of a minute.
const WIDE_SLOTS: u16 = 30;
/// Columns of a strip on a narrower one.
const NARROW_SLOTS: u16 = 15;
/// Width from which there are strips.
const STRIP_FROM: u16 = 80;
/// Eighths of a row.
const EIGHTHS: usize = 8;
/// Steps of a strip's height for each request per second. Heights go by whole numbers.
const STEPS: f64 = 1_000.0;

pub(super) fn draw(instance: &Instance, looks: Looks, buffer: &mut Buffer, area: Rect) {
    if area.height == 0 {
        return;
    }
    let title = format!("endpoints of {}", instance.id);
    let Some(endpoints) = &instance.endpoints else {
        rule::draw(looks, buffer, area, &title, "");
        let text = if instance.answers { "they could not be read" } else { "it does not answer" };
        Pen::new(buffer, area, 1).put("   ", Style::new()).put(text, looks.aside());
        return;
    };
    let slots = match area.width {
        WIDE_COLUMNS.. => WIDE_SLOTS,
        STRIP_FROM.. => NARROW_SLOTS,
        _ => 0,
    };
    let rows: Vec<Row<'_>> =
        endpoints.iter().map(|endpoint| Row::new(instance, endpoint, usize::from(slots))).collect();
    let peak = rows.iter().flat_map(|row| &row.strip).flatten().copied().fold(0.0, f64::max);
    let facts = match slots {
        1.. if peak > 0.0 => format!("one scale for all strips, peak {}/s", rate(peak)),
        _ => String::new(),
    };
    rule::draw(looks, buffer, area, &title, &facts);
    let table = Table { looks, slots, peak };
    table.heads(buffer, area);
    let used = rows.iter().filter(|row| row.endpoint.requests > 0);
    let lines: Vec<Line<'_>> = used.flat_map(|row| table.lines(row)).collect();
    let room = usize::from(area.height.saturating_sub(2));
    // The last row says what is not there.
    let shown = if lines.len() > room { room.saturating_sub(1) } else { lines.len() };
    for (y, line) in lines.iter().take(shown).enumerate() {
        table.line(line, buffer, area, y as u16 + 2);
    }
    let hidden = lines.iter().skip(shown).filter(|line| matches!(line, Line::Counts(_))).count() as u64;
    let unused = rows.iter().filter(|row| row.endpoint.requests == 0).count() as u64;
    let text = match (hidden, unused) {
        (0, 0) => return,
        (0, unused) => format!("{} without a request", counted(unused, "endpoint")),
        (hidden, _) => format!("{} more with requests", counted(hidden, "endpoint")),
    };
    Pen::new(buffer, area, shown as u16 + 2).put("   ", Style::new()).put(&text, looks.aside());
}

/// An endpoint, with the requests per second between the last two answers, and over the last minute.
struct Row<'a> {
    endpoint: &'a EndpointStats,
    rate: Option<f64>,
    strip: Vec<Option<f64>>,
}

impl<'a> Row<'a> {
    fn new(instance: &Instance, endpoint: &'a EndpointStats, slots: usize) -> Self {
        let meter = instance.meter(&endpoint.name);
        let strip = meter.map_or_else(Vec::new, |meter| meter.strip(slots));
        Self { endpoint, rate: meter.and_then(Meter::rate), strip }
    }
}

/// A line of the table.
enum Line<'a> {
    /// The counts of an endpoint, and its strip.
    Counts(&'a Row<'a>),
    /// The last error of an endpoint, on a screen without a column for it.
    Error(&'a EndpointStats),
}

/// The table of endpoints.
struct Table {
    looks: Looks,
    /// Columns of a strip.
    slots: u16,
    /// The highest rate of all strips.
    peak: f64,
}

impl Table {
    fn is_wide(&self) -> bool {
        self.slots == WIDE_SLOTS
    }

    /// Returns the lines of an endpoint.
    fn lines<'a>(&self, row: &'a Row<'a>) -> impl Iterator<Item = Line<'a>> + use<'a> {
        let has_error = !self.is_wide() && !row.endpoint.last_error.is_empty();
        [Some(Line::Counts(row)), has_error.then_some(Line::Error(row.endpoint))].into_iter().flatten()
    }

    /// Returns the first column and the width of a column of numbers.
    fn place(area: Rect, index: usize) -> (u16, u16) {
        let before: u16 = NUMBERS[..index].iter().map(|(_, width)| width + GAP).sum();
        (area.x + 3 + NAME_COLUMNS + GAP + before, NUMBERS[index].1)
    }

    fn strip_at(area: Rect) -> u16 {
        let (last_at, width) = Self::place(area, NUMBERS.len() - 1);
        last_at + width + GAP
    }

    fn error_at(&self, area: Rect) -> u16 {
        Self::strip_at(area) + self.slots + GAP
    }

    fn heads(&self, buffer: &mut Buffer, area: Rect) {
        let style = self.looks.name().add_modifier(Modifier::UNDERLINED);
        put(buffer, area, 1, (area.x + 3, NAME_COLUMNS), "endpoint", false, style);
        for (index, (name, _)) in NUMBERS.iter().enumerate() {
            put(buffer, area, 1, Self::place(area, index), name, true, style);
        }
        if self.slots > 0 {
            let name = if self.is_wide() { "last minute, requests a second" } else { "last minute" };
            put(buffer, area, 1, (Self::strip_at(area), self.slots), name, false, style);
        }
        if self.is_wide() {
            let at = self.error_at(area);
            put(buffer, area, 1, (at, area.right().saturating_sub(at)), "last error", false, style);
        }
    }

    fn line(&self, line: &Line<'_>, buffer: &mut Buffer, area: Rect, y: u16) {
        let (looks, plain) = (self.looks, Style::new());
        let room = |at: u16| area.right().saturating_sub(at + 1);
        match line {
            Line::Counts(Row { endpoint, rate: per_second, strip }) => {
                let name = cut(&endpoint.name, NAME_COLUMNS, looks);
                put(buffer, area, y, (area.x + 3, NAME_COLUMNS), &name, false, plain);
                let cells = [
                    Some(human_count(endpoint.requests)),
                    per_second.map(rate),
                    Some(human_count(endpoint.errors)),
                    endpoint.nanos.checked_div(endpoint.requests).map(mean),
                ];
                for (index, cell) in cells.iter().enumerate() {
                    put(
                        buffer,
                        area,
                        y,
                        Self::place(area, index),
                        cell.as_deref().unwrap_or(looks.unknown()),
                        true,
                        plain,
                    );
                }
                let mut pen = Pen::new(buffer, area, y);
                pen.go_to(Self::strip_at(area));
                for rate in strip.iter().take(usize::from(self.slots)) {
                    match rate {
                        None => pen.put(looks.drawn("·", ","), looks.aside()),
                        Some(rate) => pen.put(looks.bar(eighths(*rate, self.peak)), plain),
                    };
                }
                if self.is_wide() {
                    let at = self.error_at(area);
                    let error = cut(&error_text(endpoint), room(at), looks);
                    put(buffer, area, y, (at, room(at)), &error, false, looks.bad());
                }
            }
            Line::Error(endpoint) => {
                let at = area.x + 5;
                put(buffer, area, y, (at, room(at)), &cut(&error_text(endpoint), room(at), looks), false, looks.bad());
            }
        }
    }
}

/// Returns the last error of an endpoint: its code, a blank, and a sentence.
fn error_text(endpoint: &EndpointStats) -> String {
    endpoint.last_error.replacen(':', " ", 1)
}

/// Returns the height of a rate, by the square root, so that a rare endpoint is seen beside a busy one.
fn eighths(rate: f64, peak: f64) -> usize {
    let steps = |rate: f64| (rate * STEPS).ceil() as u64;
    bars::height(steps(rate), steps(peak), EIGHTHS, Heights::Root)
}
