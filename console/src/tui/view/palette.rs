//! The palette, over the last rows of the screen.

use ratatui::{buffer::Buffer, layout::Rect, style::Style};

use crate::tui::{
    palette::{CHOICES_MAX, choices},
    state::{Prompt, State},
    typed_command,
};

use super::{
    looks::Looks,
    overlay,
    pen::{self, Pen},
};

/// Width of the keys.
const KEY_COLUMNS: usize = 11;

pub(super) fn draw(state: &State, prompt: &Prompt, looks: Looks, buffer: &mut Buffer, area: Rect) {
    let height = u16::try_from(CHOICES_MAX).unwrap_or(u16::MAX).min(area.height);
    let area = Rect { y: area.bottom() - height, height, ..area };
    overlay::clear(buffer, area);
    if let Some(help) = typed_command::help(&prompt.text) {
        let mut pen = Pen::new(buffer, area, 0);
        pen.put("      enter  ", looks.found()).foreign(prompt.text.trim(), Looks::here());
        pen.put("  ", Style::new()).put(help, looks.aside());
        return;
    }
    let choices = choices(state, &prompt.text);
    if choices.is_empty() {
        Pen::new(buffer, area, 0).put(" nothing matches; Esc goes back", Style::new());
    }
    for (index, choice) in choices.iter().enumerate().take(usize::from(height)) {
        let (here, key) = (index == prompt.choice, looks.key(choice.key));
        let style = |style: Style| if here { Looks::here() } else { style };
        let mut pen = Pen::new(buffer, area, index as u16);
        pen.put(&" ".repeat(KEY_COLUMNS.saturating_sub(pen::width(&key))), style(Style::new()));
        pen.put(&key, style(looks.found())).put("  ", style(Style::new()));
        pen.foreign(&looks.spelled(&choice.name), style(Style::new())).put("  ", style(Style::new()));
        pen.foreign(choice.help, style(looks.aside()));
        if here {
            pen.rest(" ", Looks::here());
        }
    }
}
