//! The palette, over the last rows of the screen.

use ratatui::{
    Frame,
    layout::Rect,
    style::Style,
    text::{Line, Span},
    widgets::{Clear, Paragraph},
};

use crate::{
    sanitize::sanitize,
    tui::{
        state::{Prompt, State},
        update::{CHOICES_MAX, choices},
    },
};

use super::Looks;

pub(super) fn draw(state: &State, prompt: &Prompt, looks: Looks, frame: &mut Frame<'_>, area: Rect) {
    let height = u16::try_from(CHOICES_MAX).unwrap_or(u16::MAX).min(area.height);
    let area = Rect { y: area.bottom() - height, height, ..area };
    let found = choices(state, &prompt.text);
    let lines = found.iter().enumerate().map(|(at, choice)| {
        let line = Line::from(vec![
            Span::styled(format!(" {:>10}  ", looks.key(choice.key)), looks.found()),
            Span::raw(sanitize(&choice.text)),
        ]);
        line.style(if at == prompt.choice { Looks::cursor() } else { Style::new() })
    });
    frame.render_widget(Clear, area);
    let mut lines: Vec<Line<'_>> = lines.collect();
    if lines.is_empty() {
        lines.push(Line::from(" nothing is called so; Esc goes back"));
    }
    frame.render_widget(Paragraph::new(lines), area);
}
