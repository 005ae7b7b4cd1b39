//! Styles and characters to draw with.

use ratatui::style::{Color, Modifier, Style};

const BARS: [&str; 9] = [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];
const ASCII_BARS: [&str; 9] = [" ", ".", ".", ":", ":", "-", "=", "+", "#"];

/// The looks of the console.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Looks {
    /// Draw without colours. Words and attributes that every terminal has say the same.
    pub mono: bool,
    /// Draw ASCII characters only.
    pub ascii: bool,
}

impl Looks {
    /// Returns the style of titles and names.
    pub(crate) fn title(self) -> Style {
        self.colored(Color::Cyan).add_modifier(Modifier::BOLD)
    }

    /// Returns the style of secondary text.
    pub(crate) fn aside(self) -> Style {
        self.colored(Color::DarkGray)
    }

    /// Returns the style of errors.
    pub(crate) fn wrong(self) -> Style {
        self.colored(Color::Red).add_modifier(Modifier::BOLD)
    }

    /// Returns the style of hits, marks and selections.
    pub(crate) fn found(self) -> Style {
        self.colored(Color::Yellow).add_modifier(Modifier::BOLD)
    }

    /// Returns the style of a log that moves.
    pub(crate) fn lively(self) -> Style {
        self.colored(Color::Green).add_modifier(Modifier::BOLD)
    }

    /// Returns the style of the cursor.
    pub(crate) fn cursor() -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    fn colored(self, color: Color) -> Style {
        if self.mono { Style::new() } else { Style::new().fg(color) }
    }

    /// Returns the name of a key as it is drawn: arrows as arrows.
    pub(crate) fn key(self, name: &str) -> String {
        const ARROWS: [(&str, &str); 4] = [("left", "←"), ("right", "→"), ("up", "↑"), ("down", "↓")];
        let (modifier, key) = name.rsplit_once('-').filter(|(modifier, _)| !modifier.is_empty()).unwrap_or(("", name));
        let key = ARROWS.iter().find(|(name, _)| *name == key && !self.ascii).map_or(key, |(_, arrow)| arrow);
        if modifier.is_empty() { key.to_owned() } else { format!("{modifier}-{key}") }
    }

    /// Returns one of two ways to draw a thing.
    pub(crate) fn drawn(self, unicode: &'static str, ascii: &'static str) -> &'static str {
        if self.ascii { ascii } else { unicode }
    }

    /// Returns a bar for `count`; the bar for `most` is full.
    pub(crate) fn bar(self, count: u64, most: u64) -> &'static str {
        let eighths = if count == 0 || most == 0 { 0 } else { (count * 8).div_ceil(most).min(8) };
        let bars = if self.ascii { ASCII_BARS } else { BARS };
        bars[usize::try_from(eighths).unwrap_or(8)]
    }
}
