//! Draws the state. Decides nothing. Text from outside goes through [`sanitize`](crate::sanitize).

mod detail;
mod help;
mod log;
mod logs;
mod looks;
mod palette;
mod scrubber;

pub use self::looks::Looks;

use ratatui::{
    Frame,
    layout::Rect,
    style::Modifier,
    text::{Line, Span},
    widgets::{Clear, Paragraph},
};

use crate::{
    sanitize::sanitize,
    tui::{
        keymap::{self, Binding},
        layout::{self, SIZE_MIN, ScreenAreas},
        prompt::{WINDOWS, explain_time},
        state::{Log, Prompt, PromptKind, RequestKind, State},
    },
};

/// Width from which the header shows the address of the service.
const SERVER_COLUMNS: u16 = 80;
/// Limit of the hints in the footer.
const HINTS_MAX: usize = 7;

/// Draws the screen.
pub fn view(state: &State, looks: Looks, frame: &mut Frame<'_>) {
    let screen = frame.area();
    if screen.width < SIZE_MIN.0 || screen.height < SIZE_MIN.1 {
        let text = format!("need {}x{}, have {}x{}", SIZE_MIN.0, SIZE_MIN.1, screen.width, screen.height);
        return frame.render_widget(Paragraph::new(text), screen);
    }
    let ScreenAreas { header, body, footer } = layout::screen_areas(screen);
    draw_header(state, looks, frame, header);
    match &state.log {
        Some(log) => log::draw(state, log, looks, frame, body),
        None => logs::draw(state, looks, frame, body),
    }
    draw_footer(state, looks, frame, footer);
    if let Some(prompt) = state.prompt.as_ref().filter(|prompt| prompt.kind == PromptKind::Palette) {
        palette::draw(state, prompt, looks, frame, body);
    }
    if let Some(line) = state.help {
        help::draw(line, looks, frame, screen);
    }
}

fn draw_header(state: &State, looks: Looks, frame: &mut Frame<'_>, area: Rect) {
    let arrow = looks.drawn(" ▸ ", " > ");
    let mut spans = vec![Span::styled("hourlog", looks.title())];
    if area.width >= SERVER_COLUMNS {
        spans.extend([Span::raw(arrow), Span::raw(sanitize(&state.server))]);
    }
    let (outage, mut chips) = match &state.log {
        Some(log) => {
            spans.extend([Span::raw(arrow), Span::styled(sanitize(log.id.as_str()), looks.title())]);
            let (mode, style) = scrubber::mode(state, log, looks);
            (state.requests.log_outage(), vec![Span::styled(format!(" {mode} "), style)])
        }
        None => (state.requests.outage(RequestKind::Logs), Vec::new()),
    };
    chips.push(match outage {
        Some(outage) if outage.denied => Span::styled(" NOT ALLOWED ", looks.wrong().add_modifier(Modifier::REVERSED)),
        Some(_) => Span::styled(" OFFLINE ", looks.wrong().add_modifier(Modifier::REVERSED)),
        None => Span::styled(" online ", looks.aside()),
    });
    frame.render_widget(Line::from(spans), area);
    let chips = Line::from(chips);
    let width = u16::try_from(chips.width()).unwrap_or(u16::MAX).min(area.width);
    let right = Rect { x: area.right() - width, width, ..area };
    frame.render_widget(Clear, right);
    frame.render_widget(chips, right);
}

fn draw_footer(state: &State, looks: Looks, frame: &mut Frame<'_>, area: Rect) {
    let line = match (&state.prompt, state.notice()) {
        (Some(prompt), _) => prompt_line(state, prompt, looks),
        (None, Some(notice)) => Line::from(sanitize(notice)),
        (None, None) => hints_line(state, looks),
    };
    frame.render_widget(Clear, area);
    frame.render_widget(line, area);
}

/// Returns the prompt, the text so far, and what it means or why it is refused.
fn prompt_line<'a>(state: &State, prompt: &'a Prompt, looks: Looks) -> Line<'a> {
    let label = match prompt.kind {
        PromptKind::Find => "find: ",
        PromptKind::GoTo => "go to: ",
        PromptKind::Search => "search: ",
        PromptKind::Filter => "only events with: ",
        PromptKind::Palette => ": ",
        PromptKind::Window => "show",
    };
    let mut spans = vec![Span::styled(label, looks.title())];
    if prompt.kind == PromptKind::Window {
        let windows = WINDOWS.iter().map(|window| format!("  {} {}", window.digit, window.name));
        spans.extend(windows.map(|text| Span::styled(text, looks.title())));
    }
    spans.extend([Span::raw(sanitize(&prompt.text)), Span::styled(" ", Looks::cursor())]);
    let explanation = match (&prompt.error, prompt.kind) {
        (Some(error), _) => Err(error.clone()),
        (None, PromptKind::GoTo) => {
            let (now, playhead) = (state.service_now(), state.log.as_ref().map(Log::shown_time));
            explain_time(&prompt.text, playhead.unwrap_or(now), now, state.shown_zone())
        }
        (None, _) => Ok(String::new()),
    };
    let (text, style) = match explanation {
        Ok(text) => (text, looks.aside()),
        Err(error) => (error, looks.wrong()),
    };
    spans.extend([Span::raw("  "), Span::styled(sanitize(&text).into_owned(), style)]);
    Line::from(spans)
}

/// Returns the hints of the screen's own keys, and of those that work everywhere.
fn hints_line(state: &State, looks: Looks) -> Line<'static> {
    let scope = state.key_scope();
    let hints = keymap::bindings(scope).filter(|binding| !binding.hint.is_empty());
    let (own, everywhere): (Vec<&Binding>, Vec<&Binding>) = hints.partition(|binding| binding.scope == scope);
    let room = HINTS_MAX.saturating_sub(everywhere.len());
    let mut spans = Vec::new();
    for binding in own.into_iter().take(room).chain(everywhere) {
        spans.push(Span::styled(looks.key(binding.keys[0]), looks.title()));
        spans.push(Span::raw(format!(" {}  ", binding.hint)));
    }
    Line::from(spans)
}
