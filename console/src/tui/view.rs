//! Draws the state. Nothing is decided here, and everything that came from outside goes through [`sanitize`](crate::sanitize).

pub(crate) mod detail;
mod help;
mod log;
mod logs;
mod palette;
mod scrubber;
pub(crate) mod times;

use ratatui::{
    Frame,
    layout::Rect,
    style::{Color, Modifier, Style},
    text::{Line, Span},
    widgets::{Clear, Paragraph},
};

use crate::{
    sanitize::sanitize,
    tui::{
        keymap::{self, Binding, Place},
        layout::{self, SIZE_MIN},
        state::{PromptKind, State},
        update::{WINDOWS, preview},
    },
};

/// From so many columns on, the header says where the service is asked.
const SERVER: u16 = 80;
/// The most hints of the footer.
const HINTS_MAX: usize = 7;

/// How things look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Looks {
    /// No colours: what they would say is said by words, and by what every terminal has.
    pub mono: bool,
    /// Nothing but ASCII is drawn.
    pub ascii: bool,
}

impl Looks {
    /// What names something.
    pub(crate) fn title(self) -> Style {
        self.colored(Color::Cyan).add_modifier(Modifier::BOLD)
    }

    /// What is beside the point.
    pub(crate) fn aside(self) -> Style {
        self.colored(Color::DarkGray)
    }

    /// What is wrong.
    pub(crate) fn wrong(self) -> Style {
        self.colored(Color::Red).add_modifier(Modifier::BOLD)
    }

    /// What is found.
    pub(crate) fn found(self) -> Style {
        self.colored(Color::Yellow).add_modifier(Modifier::BOLD)
    }

    /// What goes well, and moves.
    pub(crate) fn lively(self) -> Style {
        self.colored(Color::Green).add_modifier(Modifier::BOLD)
    }

    /// What the cursor is on.
    pub(crate) fn cursor() -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    fn colored(self, color: Color) -> Style {
        if self.mono { Style::new() } else { Style::new().fg(color) }
    }

    /// A key, as the keymap names it, as it is drawn.
    pub(crate) fn key(self, name: &str) -> String {
        const ARROWS: [(&str, &str); 4] = [("left", "←"), ("right", "→"), ("up", "↑"), ("down", "↓")];
        let (held, key) =
            name.rsplit_once('-').filter(|(held, _)| !held.is_empty()).map_or(("", name), |(held, key)| (held, key));
        let key = ARROWS.iter().find(|(name, _)| *name == key && !self.ascii).map_or(key, |(_, arrow)| arrow);
        if held.is_empty() { key.to_owned() } else { format!("{held}-{key}") }
    }

    /// One of two ways to draw a thing.
    pub(crate) fn drawn(self, unicode: &'static str, ascii: &'static str) -> &'static str {
        if self.ascii { ascii } else { unicode }
    }
}

/// Draws all of it.
pub fn view(state: &State, looks: Looks, frame: &mut Frame<'_>) {
    let area = frame.area();
    if area.width < SIZE_MIN.0 || area.height < SIZE_MIN.1 {
        let text = format!("need {}x{}, have {}x{}", SIZE_MIN.0, SIZE_MIN.1, area.width, area.height);
        return frame.render_widget(Paragraph::new(text), area);
    }
    let layout::Frame { header: head, body, footer: foot } = layout::frame(area);
    header(state, looks, frame, head);
    match &state.log {
        Some(log) => log::draw(state, log, looks, frame, body),
        None => logs::draw(state, looks, frame, body),
    }
    footer(state, looks, frame, foot);
    if let Some(prompt) = state.prompt.as_ref().filter(|prompt| prompt.kind == PromptKind::Palette) {
        palette::draw(state, prompt, looks, frame, body);
    }
    if let Some(line) = state.help {
        help::draw(line, looks, frame, area);
    }
}

fn header(state: &State, looks: Looks, frame: &mut Frame<'_>, area: Rect) {
    let arrow = looks.drawn(" ▸ ", " > ");
    let mut spans = vec![Span::styled("hourlog", looks.title())];
    if area.width >= SERVER {
        spans.extend([Span::raw(arrow), Span::raw(sanitize(&state.server))]);
    }
    let (away, mut chips) = match &state.log {
        Some(log) => {
            spans.extend([Span::raw(arrow), Span::styled(log.id.to_string(), looks.title())]);
            let (mode, style) = scrubber::mode(state, log, looks);
            (log.away(), vec![Span::styled(format!(" {mode} "), style)])
        }
        None => (state.logs.away.as_ref(), Vec::new()),
    };
    chips.push(match away {
        Some(away) if away.denied => Span::styled(" NOT ALLOWED ", looks.wrong().add_modifier(Modifier::REVERSED)),
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

fn footer(state: &State, looks: Looks, frame: &mut Frame<'_>, area: Rect) {
    frame.render_widget(Clear, area);
    if let Some(prompt) = &state.prompt {
        let asks = match prompt.kind {
            PromptKind::Find => "find: ",
            PromptKind::GoTo => "go to: ",
            PromptKind::Search => "search: ",
            PromptKind::Filter => "only events with: ",
            PromptKind::Palette => ": ",
            PromptKind::Window => "show",
        };
        let mut spans = vec![Span::styled(asks, looks.title())];
        if prompt.kind == PromptKind::Window {
            spans.extend(WINDOWS.map(|(digit, name, _)| Span::styled(format!("  {digit} {name}"), looks.title())));
        }
        spans.extend([Span::raw(sanitize(&prompt.text)), Span::styled(" ", Looks::cursor())]);
        let means = match (&prompt.wrong, prompt.kind) {
            (Some(wrong), _) => Err(wrong.clone()),
            (None, PromptKind::GoTo) => preview(&prompt.text, state.now, &state.zone),
            (None, _) => Ok(String::new()),
        };
        let (text, style) = match means {
            Ok(means) => (means, looks.aside()),
            Err(wrong) => (wrong, looks.wrong()),
        };
        spans.extend([Span::raw("  "), Span::styled(sanitize(&text).into_owned(), style)]);
        return frame.render_widget(Line::from(spans), area);
    }
    if let Some((text, _)) = &state.said {
        return frame.render_widget(Line::from(sanitize(text).into_owned()), area);
    }
    let place = Place::of(state);
    let hints = keymap::bindings(place).filter(|binding| !binding.hint.is_empty());
    let (own, all): (Vec<&Binding>, Vec<&Binding>) = hints.partition(|binding| binding.place == place);
    let mut spans = Vec::new();
    let room = HINTS_MAX.saturating_sub(all.len());
    for binding in own.into_iter().take(room).chain(all) {
        spans.push(Span::styled(looks.key(binding.keys[0]), looks.title()));
        spans.push(Span::raw(format!(" {}  ", binding.hint)));
    }
    frame.render_widget(Line::from(spans), area);
}
