//! Draws the state. Decides nothing. Text from outside goes through [`sanitize`](crate::sanitize), and all text through the
//! pen.

mod chips;
mod columns;
mod detail;
mod dialog;
mod endpoints;
mod footer;
mod header;
mod help;
mod instances;
mod lag;
mod list;
mod log;
mod logs;
mod looks;
mod messages;
mod overlay;
mod palette;
mod pen;
mod plot;
mod preview;
mod rule;
mod scrubber;
mod service;
mod spread;

pub use self::looks::{Looks, Role, Theme};
pub(crate) use self::pen::width;

use ratatui::{buffer::Buffer, style::Style};

use crate::tui::{
    layout::{self, SIZE_MIN, ScreenAreas},
    state::{Cover, PromptKind, State},
};

use pen::Pen;

/// Draws the screen.
pub fn view(state: &State, looks: Looks, buffer: &mut Buffer) {
    let screen = buffer.area;
    if screen.width < SIZE_MIN.0 || screen.height < SIZE_MIN.1 {
        let text = format!("need {}x{}, have {}x{}", SIZE_MIN.0, SIZE_MIN.1, screen.width, screen.height);
        Pen::new(buffer, screen, 0).put(&text, Style::new());
        return;
    }
    let ScreenAreas { header, body, footer } = layout::screen_areas(screen);
    header::draw(state, looks, buffer, header);
    match (state.covers.top(), &state.log) {
        (Some(Cover::Service), _) => service::draw(state, looks, buffer, body),
        (Some(Cover::Messages), _) => messages::draw(state, looks, buffer, body),
        (None, Some(log)) => log::draw(state, log, looks, buffer),
        (None, None) => {
            let areas = layout::logs_areas(state);
            logs::draw(state, looks, buffer, areas.list);
            if let Some(areas) = areas.preview {
                preview::draw(state, looks, buffer, areas);
            }
        }
    }
    footer::draw(state, looks, buffer, footer);
    if let Some(prompt) = state.prompt.as_ref().filter(|prompt| prompt.kind == PromptKind::Palette) {
        palette::draw(state, prompt, looks, buffer, body);
    }
    if let (Some(prompt), Some(log)) = (&state.prompt, &state.log)
        && prompt.kind == PromptKind::Columns
    {
        columns::draw(log, prompt.choice, looks, buffer, body);
    }
    if let (Some(dialog), Some(prompt)) = (&state.dialog, &state.prompt) {
        dialog::draw(state, dialog, prompt, looks, buffer, body);
    }
    if let Some(line) = state.help {
        help::draw(state, line, looks, buffer, screen);
    }
    if looks.ascii {
        spell(buffer);
    }
}

/// Puts a question mark in the place of each letter from outside that the terminal may not have.
fn spell(buffer: &mut Buffer) {
    for cell in &mut buffer.content {
        if cell.symbol().is_empty() {
            cell.set_symbol(" ");
        } else if !cell.symbol().is_ascii() {
            cell.set_symbol("?");
        }
    }
}
