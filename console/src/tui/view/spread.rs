//! The spread of a number over the window, below the detail.

use ratatui::{buffer::Buffer, layout::Rect, style::Style};

use crate::{
    output::human_count,
    tui::{
        bars, columns, plot,
        state::{Log, Numbers, surveys::percentile},
        survey,
    },
};

use super::{
    looks::Looks,
    pen::{self, Pen},
};

/// Eighths of a row.
const EIGHTHS: usize = 8;
/// Limit of the letters of a number.
const NUMBER_COLUMNS: usize = 8;

pub(super) fn draw(log: &Log, numbers: &Numbers, looks: Looks, buffer: &mut Buffer, area: Rect) {
    let rising = &numbers.rising[..];
    let number = |number: f64| plot::short(number, NUMBER_COLUMNS);
    draw_title(numbers, rising, looks, buffer, area);
    let (Some(least), Some(most)) = (rising.first(), rising.last()) else { return };
    // Few values are wide bars without gaps.
    let (room, values) = (usize::from(area.width.saturating_sub(2)), plot::values(rising));
    let (columns, width) = if values < room { (values, room / values.max(1)) } else { (room, 1) };
    let counts = plot::spread(rising, columns);
    let peak = counts.iter().copied().max().unwrap_or(0);
    let heights = bars::heights_of(counts.iter().copied());
    let here = log.detail_event().and_then(|event| {
        let fields = columns::fields(&event.record.data);
        survey::number(&columns::find(&fields, &numbers.survey.path)?.text)
    });
    let here_at = here.and_then(|here| plot::part(rising, here, columns));
    let rows = usize::from(area.height.saturating_sub(2));
    for row in 0..rows {
        let mut pen = Pen::new(buffer, area, row as u16 + 1);
        pen.put(" ", Style::new());
        for (column, count) in counts.iter().enumerate() {
            let height = bars::height(*count, peak, rows * EIGHTHS, heights);
            let eighths = height.saturating_sub((rows - 1 - row) * EIGHTHS).min(EIGHTHS);
            let style = if Some(column) == here_at { Looks::here() } else { Style::new() };
            let end = pen.x() + width as u16;
            pen.fill(end, looks.bar(eighths), style);
        }
    }
    let last = area.height.saturating_sub(1);
    let mut pen = Pen::new(buffer, area, last);
    pen.put(" ", Style::new()).put(&number(*least), looks.aside());
    let most = number(*most);
    let end = area.x + 1 + (columns * width) as u16;
    let most_at = end.saturating_sub(pen::width(&most) as u16);
    Pen::new(buffer, area, last).go_to(most_at).put(&most, looks.aside());
    if let (Some(here), Some(at)) = (here, here_at) {
        let text = format!("{}{}", looks.drawn("▲", "^"), number(here));
        let at = (area.x + 1 + (at * width) as u16).min(area.right().saturating_sub(pen::width(&text) as u16));
        Pen::new(buffer, area, last).go_to(at).put(&text, Style::new());
    }
}

/// Draws the name of the field, and how much was read.
fn draw_title(numbers: &Numbers, rising: &[f64], looks: Looks, buffer: &mut Buffer, area: Rect) {
    let rule = looks.drawn("─", "-");
    let mut pen = Pen::new(buffer, area, 0);
    pen.put(rule, looks.aside()).put(" ", Style::new()).foreign(&numbers.survey.path, looks.name());
    let read = numbers.result.read;
    let scope = match (numbers.result.goes_on, numbers.result.is_cut) {
        (true, _) => format!(", {} read ", human_count(read)),
        (false, true) => format!(", first {} events ", human_count(read)),
        (false, false) => ", this window ".to_owned(),
    };
    let percentiles = percentile(rising, 50).zip(percentile(rising, 99));
    let text = percentiles.map_or_else(
        || " no number ".to_owned(),
        |(half, most)| {
            format!(" p50 {}  p99 {} ", plot::short(half, NUMBER_COLUMNS), plot::short(most, NUMBER_COLUMNS))
        },
    );
    // A long name leaves the numbers their place.
    if pen.room() > pen::width(&scope) + pen::width(&text) || numbers.result.goes_on {
        pen.put(&scope, looks.aside());
    }
    let at = area.right().saturating_sub(pen::width(&text) as u16);
    if pen.x() < at {
        pen.fill(at, rule, looks.aside()).put(&text, Style::new());
    }
}
