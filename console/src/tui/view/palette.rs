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
        palette::{CHOICES_MAX, choices},
        state::{Prompt, State},
    },
};

use super::looks::Looks;

pub(super) fn draw(state: &State, prompt: &Prompt, looks: Looks, frame: &mut Frame<'_>, area: Rect) {
    let height = u16::try_from(CHOICES_MAX).unwrap_or(u16::MAX).min(area.height);
    let area = Rect { y: area.bottom() - height, height, ..area };
    let choices = choices(state, &prompt.text);
    let mut lines: Vec<Line<'_>> = choices
        .iter()
        .enumerate()
        .map(|(index, choice)| {
            let line = Line::from(vec![
                Span::styled(format!(" {:>10}  ", looks.key(choice.key)), looks.found()),
                Span::raw(sanitize(&choice.text)),
            ]);
            line.style(if index == prompt.choice { Looks::cursor() } else { Style::new() })
        })
        .collect();
    if lines.is_empty() {
        lines.push(Line::from(" nothing matches; Esc goes back"));
    }
    frame.render_widget(Clear, area);
    frame.render_widget(Paragraph::new(lines), area);
}
