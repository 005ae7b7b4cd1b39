//! A rule with a title above a part of the screen.

use ratatui::{buffer::Buffer, layout::Rect, style::Style};

use super::{
    looks::Looks,
    pen::{self, Pen},
};

/// Draws a rule without a title in the first row of an area.
pub(super) fn draw_plain(looks: Looks, buffer: &mut Buffer, area: Rect) {
    Pen::new(buffer, area, 0).rest(looks.drawn("─", "-"), looks.aside());
}

/// Draws a rule in the first row of an area, with a title and with facts at the right, as far as they fit.
pub(super) fn draw(looks: Looks, buffer: &mut Buffer, area: Rect, title: &str, facts: &str) {
    let line = looks.drawn("─", "-");
    let mut pen = Pen::new(buffer, area, 0);
    pen.put(line, looks.aside()).put(" ", Style::new()).foreign(title, looks.name()).put(" ", Style::new());
    let facts = looks.spelled(facts);
    let facts_at = area.right().saturating_sub(pen::width(&facts) as u16 + 3);
    if facts.is_empty() || facts_at <= pen.x() {
        return pen.rest(line, looks.aside());
    }
    pen.fill(facts_at, line, looks.aside()).put(" ", Style::new()).foreign(&facts, Style::new());
    pen.put(" ", Style::new()).rest(line, looks.aside());
}
