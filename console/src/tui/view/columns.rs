//! The columns to choose from, over the last rows of the screen.

use ratatui::{buffer::Buffer, layout::Rect, style::Style};

use crate::{
    sanitize::sanitize,
    tui::{columns::Column, state::Log},
};

use super::{looks::Looks, overlay, pen::Pen};

/// Width of a name.
const NAME_COLUMNS: usize = 24;

pub(super) fn draw(log: &Log, here: usize, looks: Looks, buffer: &mut Buffer, area: Rect) {
    let choice = log.table.choice();
    let all: Vec<(&Column, bool)> = (choice.chosen.iter().map(|column| (column, true)))
        .chain(choice.others.iter().map(|column| (column, false)))
        .collect();
    let height = u16::try_from(all.len() + 1).unwrap_or(u16::MAX).min(area.height);
    let area = Rect { y: area.bottom() - height, height, ..area };
    overlay::clear(buffer, area);
    let rule = looks.drawn("─", "-");
    let mut pen = Pen::new(buffer, area, 0);
    pen.put(" columns ", looks.name()).foreign(&log.lanes.to_string(), looks.name()).put(" ", Style::new());
    let sample = format!("in {} events around here ", log.table.sampled());
    pen.put(&sample, looks.aside()).rest(rule, looks.aside());
    let room = usize::from(height.saturating_sub(1)).max(1);
    let first = (here + 1).saturating_sub(room);
    for (row, (column, is_shown)) in all.into_iter().skip(first).take(room).enumerate() {
        let is_here = first + row == here;
        let style = |style: Style| if is_here { Looks::here() } else { style };
        let mut pen = Pen::new(buffer, area, row as u16 + 1);
        let name: String = sanitize(&column.path).chars().take(NAME_COLUMNS).collect();
        pen.put(if is_here { looks.drawn("▸", ">") } else { " " }, style(Style::new()));
        pen.put(if is_shown { " [x] " } else { " [ ] " }, style(Style::new()));
        pen.foreign(&format!("{name:NAME_COLUMNS$}"), style(looks.name()));
        let kind = if column.is_number { "number" } else { "text" };
        pen.put(&format!("  {kind:6}  {:>3} %  ", column.presence_percent), style(looks.aside()));
        let values = match (&column.least, &column.most) {
            (Some(least), Some(most)) => format!("{least} {} {most}", looks.drawn("…", "..")),
            _ => format!("{} values", column.distinct),
        };
        pen.foreign(&values, style(Style::new()));
        if is_here {
            pen.rest(" ", Looks::here());
        }
    }
}
