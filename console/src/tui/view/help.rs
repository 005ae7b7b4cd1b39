//! What keys do: the whole table.

use ratatui::{
    Frame,
    layout::Rect,
    text::{Line, Span},
    widgets::{Clear, Paragraph},
};

use crate::tui::keymap::{KEYMAP, Place};

use super::Looks;

pub(super) fn draw(line: usize, looks: Looks, frame: &mut Frame<'_>, area: Rect) {
    let mut lines = Vec::new();
    for (place, title) in
        [(Place::Log, "In a log"), (Place::Logs, "In the list of logs"), (Place::Everywhere, "Everywhere")]
    {
        lines.push(Line::styled(title, looks.title()));
        let is_there = |own: Place| own == place || (own == Place::Always && place == Place::Everywhere);
        for binding in KEYMAP.iter().filter(|binding| is_there(binding.place)) {
            let keys = format!("  {:<22}", binding.keys.iter().map(|key| looks.key(key)).collect::<Vec<_>>().join(" "));
            lines.push(Line::from(vec![Span::styled(keys, looks.found()), Span::raw(binding.help)]));
        }
        lines.push(Line::raw(""));
    }
    lines.push(Line::styled("any other key closes this; up and down scroll", looks.aside()));
    let most = lines.len().saturating_sub(usize::from(area.height));
    let line = u16::try_from(line.min(most)).unwrap_or(u16::MAX);
    frame.render_widget(Clear, area);
    frame.render_widget(Paragraph::new(lines).scroll((line, 0)), area);
}
