//! The help: the whole keymap.

use ratatui::{
    Frame,
    layout::Rect,
    text::{Line, Span},
    widgets::{Clear, Paragraph},
};

use crate::tui::keymap::{KEYMAP, KeyScope};

use super::looks::Looks;

pub(super) fn draw(line: usize, looks: Looks, frame: &mut Frame<'_>, area: Rect) {
    let mut lines = Vec::new();
    for (scope, title) in
        [(KeyScope::Log, "In a log"), (KeyScope::Logs, "In the list of logs"), (KeyScope::Everywhere, "Everywhere")]
    {
        lines.push(Line::styled(title, looks.title()));
        let is_here = |own: KeyScope| own == scope || (own == KeyScope::Always && scope == KeyScope::Everywhere);
        for binding in KEYMAP.iter().filter(|binding| is_here(binding.scope)) {
            let keys = format!("  {:<22}", binding.keys.iter().map(|key| looks.key(key)).collect::<Vec<_>>().join(" "));
            lines.push(Line::from(vec![Span::styled(keys, looks.found()), Span::raw(binding.help)]));
        }
        lines.push(Line::raw(""));
    }
    lines.push(Line::styled("any other key closes this; up and down scroll", looks.aside()));
    let line_max = lines.len().saturating_sub(usize::from(area.height));
    let line = u16::try_from(line.min(line_max)).unwrap_or(u16::MAX);
    frame.render_widget(Clear, area);
    frame.render_widget(Paragraph::new(lines).scroll((line, 0)), area);
}
