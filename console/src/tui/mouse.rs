//! Inputs of the mouse, and the names that tapes have for them.

use std::{fmt, str::FromStr};

use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};

/// An input of the mouse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MouseInput {
    /// The kind.
    pub kind: MouseKind,
    /// Column of the screen.
    pub column: u16,
    /// Row of the screen.
    pub row: u16,
}

/// A kind of input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MouseKind {
    /// The left button was pressed.
    Press,
    /// The mouse was moved with the left button pressed.
    Drag,
    /// The wheel was turned away from the user.
    WheelUp,
    /// The wheel was turned towards the user.
    WheelDown,
}

const NAMES: [(&str, MouseKind); 4] = [
    ("press", MouseKind::Press),
    ("drag", MouseKind::Drag),
    ("up", MouseKind::WheelUp),
    ("down", MouseKind::WheelDown),
];

impl MouseInput {
    /// Returns the input of an event of the terminal; `None` for one without a meaning here.
    pub(crate) fn of(event: MouseEvent) -> Option<Self> {
        let kind = match event.kind {
            MouseEventKind::Down(MouseButton::Left) => MouseKind::Press,
            MouseEventKind::Drag(MouseButton::Left) => MouseKind::Drag,
            MouseEventKind::ScrollUp => MouseKind::WheelUp,
            MouseEventKind::ScrollDown => MouseKind::WheelDown,
            _ => return None,
        };
        Some(Self { kind, column: event.column, row: event.row })
    }
}

impl fmt::Display for MouseInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = NAMES.iter().find(|(_, kind)| *kind == self.kind).map_or("", |(name, _)| name);
        write!(f, "{name} {} {}", self.column, self.row)
    }
}

impl FromStr for MouseInput {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut words = text.split(' ');
        let mut word = || words.next().ok_or(());
        let name = word()?;
        let kind = NAMES.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind).ok_or(())?;
        Ok(Self { kind, column: word()?.parse().map_err(drop)?, row: word()?.parse().map_err(drop)? })
    }
}
