//! Styles and characters to draw with.
//!
//! A role has one style: what is named, what matches, what is the user's own, good, bad, aside, and the place of the
//! playhead, which is never a colour.

use clap::ValueEnum;
use ratatui::style::{Color, Modifier, Style};

const BARS: [&str; 9] = [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];
const ASCII_BARS: [&str; 9] = [" ", ".", ".", ":", ":", "-", "=", "+", "#"];

/// The colours to draw with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Theme {
    /// The 16 colours of the terminal
    Ansi,
    /// The 16 colours, on a dark ground that shows greys
    Dark,
    /// Colours that are readable on a light ground
    Light,
    /// Nothing dimmed, and matches reversed
    Contrast,
    /// No colours; bold, underlined and reversed text instead
    Mono,
}

/// The looks of the console.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Looks {
    /// The colours.
    pub theme: Theme,
    /// Draw ASCII characters only.
    pub ascii: bool,
}

/// A meaning that has a style of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Payload and times.
    Text,
    /// Secondary text: pauses, punctuation, rules, the bars of all events.
    Aside,
    /// Names: keys of the keyboard and of JSON, titles.
    Name,
    /// Matches of a search or a filter, and warnings.
    Match,
    /// The user's own: marks and the range.
    Mine,
    /// Healthy and moving.
    Good,
    /// Errors.
    Bad,
}

impl Role {
    /// All roles.
    pub const ALL: [Self; 7] = [Self::Text, Self::Aside, Self::Name, Self::Match, Self::Mine, Self::Good, Self::Bad];
}

impl Looks {
    /// Returns the style of a role.
    pub fn style(self, role: Role) -> Style {
        let plain = Style::new();
        let bold = plain.add_modifier(Modifier::BOLD);
        let marked = bold.add_modifier(Modifier::UNDERLINED);
        match (self.theme, role) {
            (_, Role::Text) => plain,
            (Theme::Contrast, Role::Aside) => plain,
            (Theme::Dark, Role::Aside) => plain.fg(Color::Indexed(246)),
            (_, Role::Aside) => plain.add_modifier(Modifier::DIM),
            (Theme::Mono | Theme::Light | Theme::Contrast, Role::Name | Role::Good) => bold,
            (Theme::Ansi | Theme::Dark, Role::Name) => plain.fg(Color::Cyan),
            (Theme::Ansi | Theme::Dark, Role::Good) => plain.fg(Color::Green),
            (Theme::Contrast, Role::Match) => plain.add_modifier(Modifier::REVERSED),
            (Theme::Mono | Theme::Light, Role::Match) => marked,
            (Theme::Ansi | Theme::Dark, Role::Match) => plain.fg(Color::Yellow),
            (Theme::Mono, Role::Mine) => bold,
            (_, Role::Mine) => plain.fg(Color::Magenta),
            (Theme::Mono, Role::Bad) => bold,
            (_, Role::Bad) => bold.fg(Color::Red),
        }
    }

    /// Returns the style of names.
    pub(crate) fn name(self) -> Style {
        self.style(Role::Name)
    }

    /// Returns the style of secondary text.
    pub(crate) fn aside(self) -> Style {
        self.style(Role::Aside)
    }

    /// Returns the style of errors.
    pub(crate) fn bad(self) -> Style {
        self.style(Role::Bad)
    }

    /// Returns the style of matches.
    pub(crate) fn found(self) -> Style {
        self.style(Role::Match)
    }

    /// Returns the style of a part of a bar, with the rest of all events behind it.
    pub(crate) fn over_all(self, part: Style) -> Style {
        match self.theme {
            Theme::Mono => part,
            Theme::Dark => part.bg(Color::Indexed(240)),
            // Where this is the colour of the ground, the rest is not seen, and nothing else is wrong.
            Theme::Ansi | Theme::Contrast => part.bg(Color::DarkGray),
            Theme::Light => part.bg(Color::Gray),
        }
    }

    /// Returns the style of the playhead.
    pub(crate) fn here() -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
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

    /// Returns text of our own in letters that the terminal has.
    pub(crate) fn spelled(self, text: &str) -> String {
        if !self.ascii {
            return text.to_owned();
        }
        let ascii = |letter: char| match letter {
            '·' => ',',
            '×' => 'x',
            '…' => '~',
            '▸' => '>',
            '┄' | '–' => '-',
            letter => letter,
        };
        text.chars().map(ascii).collect()
    }

    /// Returns the sign that ends a text which is cut.
    pub(crate) fn ellipsis(self) -> char {
        if self.ascii { '~' } else { '…' }
    }

    /// Returns the sign in the place of a number that is not known.
    pub(crate) fn unknown(self) -> &'static str {
        self.drawn("–", "-")
    }

    /// Returns a bar of this many eighths.
    pub(crate) fn bar(self, eighths: usize) -> &'static str {
        let bars = if self.ascii { ASCII_BARS } else { BARS };
        bars[eighths.min(8)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Text, ground, and red, green, yellow, magenta and cyan of widely used palettes.
    const PALETTES: [(bool, [u32; 7]); 4] = [
        (true, [0x83_9496, 0x00_2b36, 0xdc_322f, 0x85_9900, 0xb5_8900, 0xd3_3682, 0x2a_a198]),
        (true, [0xd3_d7cf, 0x00_0000, 0xcc_0000, 0x4e_9a06, 0xc4_a000, 0x75_507b, 0x06_989a]),
        (false, [0x65_7b83, 0xfd_f6e3, 0xdc_322f, 0x85_9900, 0xb5_8900, 0xd3_3682, 0x2a_a198]),
        (false, [0x2e_3436, 0xff_ffff, 0xcc_0000, 0x4e_9a06, 0xc4_a000, 0x75_507b, 0x06_989a]),
    ];

    /// The relative luminance of a colour, as the Web Content Accessibility Guidelines define it.
    fn luminance(colour: u32) -> f64 {
        let part = |shift: u32| {
            let part = f64::from(colour >> shift & 0xff) / 255.0;
            if part <= 0.039_28 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * part(16) + 0.7152 * part(8) + 0.0722 * part(0)
    }

    fn contrast(one: u32, other: u32) -> f64 {
        let (one, other) = (luminance(one), luminance(other));
        (one.max(other) + 0.05) / (one.min(other) + 0.05)
    }

    #[test]
    fn every_role_can_be_read_on_the_grounds_that_its_theme_is_for() {
        let themes = [
            (Theme::Ansi, &[true][..]),
            (Theme::Dark, &[true]),
            (Theme::Light, &[false]),
            (Theme::Contrast, &[true, false]),
            (Theme::Mono, &[true, false]),
        ];
        for (theme, grounds) in themes {
            for (is_dark, [text, ground, red, green, yellow, magenta, cyan]) in PALETTES {
                for role in Role::ALL.into_iter().filter(|_| grounds.contains(&is_dark)) {
                    let looks = Looks { theme, ascii: false };
                    let drawn = match looks.style(role).fg {
                        None => text,
                        Some(Color::Red) => red,
                        Some(Color::Green) => green,
                        Some(Color::Yellow) => yellow,
                        Some(Color::Magenta) => magenta,
                        Some(Color::Cyan) => cyan,
                        Some(Color::Indexed(246)) => 0x94_9494,
                        other => panic!("{other:?} has no contrast here"),
                    };
                    let contrast = contrast(drawn, ground);
                    assert!(contrast >= 3.0, "{theme:?} {role:?}: {contrast:.1} on {ground:06x}");
                }
            }
        }
    }

    #[test]
    fn roles_are_told_apart_without_colours() {
        let mono = Looks { theme: Theme::Mono, ascii: true };
        for role in Role::ALL {
            assert_eq!((mono.style(role).fg, mono.style(role).bg), (None, None), "{role:?}");
        }
        assert_ne!(mono.style(Role::Match), mono.style(Role::Text));
        assert_ne!(mono.style(Role::Bad), mono.style(Role::Text));
    }
}
