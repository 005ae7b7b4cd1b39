//! Tapes: recorded input that can be replayed, to show others what one saw.

use std::{fmt, str::FromStr, time::Duration};

use crate::{
    output::to_json,
    tui::{key::Key, mouse::MouseInput},
};

/// Input from a terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TerminalInput {
    /// A key was pressed.
    Key(Key),
    /// The terminal has a new size, in columns and rows.
    Resize(u16, u16),
    /// A text was pasted.
    Paste(String),
    /// The mouse was used.
    Mouse(MouseInput),
}

/// A line of a tape: an input and its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TapeLine {
    /// Time since the start of the tape, in whole milliseconds.
    pub after: Duration,
    /// The input.
    pub input: TerminalInput,
}

impl fmt::Display for TapeLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.after.as_millis())?;
        match &self.input {
            TerminalInput::Key(key) => write!(f, "key {key}"),
            TerminalInput::Resize(columns, rows) => write!(f, "resize {columns} {rows}"),
            TerminalInput::Paste(text) => write!(f, "paste {}", to_json(text)),
            TerminalInput::Mouse(input) => write!(f, "mouse {input}"),
        }
    }
}

impl FromStr for TapeLine {
    type Err = ();

    fn from_str(line: &str) -> Result<Self, ()> {
        let mut words = line.splitn(3, ' ');
        let mut word = || words.next().ok_or(());
        let after = Duration::from_millis(word()?.parse().map_err(drop)?);
        let (kind, rest) = (word()?, word()?);
        let mut words = rest.split(' ');
        let mut word = || words.next().ok_or(());
        let input = match kind {
            "mouse" => TerminalInput::Mouse(rest.parse()?),
            "paste" => TerminalInput::Paste(serde_json::from_str(rest).map_err(drop)?),
            "key" => TerminalInput::Key(word()?.parse()?),
            "resize" => TerminalInput::Resize(word()?.parse().map_err(drop)?, word()?.parse().map_err(drop)?),
            _ => return Err(()),
        };
        Ok(Self { after, input })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_survives_parsing_and_printing() {
        for input in [
            "mouse press 7 3",
            "key G",
            "key space",
            "key shift-left",
            "key ctrl-d",
            "key -",
            "resize 120 40",
            r#"paste "a b\nc""#,
        ] {
            let line = format!("1500 {input}");
            assert_eq!(line.parse::<TapeLine>().map(|line| line.to_string()), Ok(line));
        }
        for wrong in ["", "x key g", "1 key", "1 key nokey", "1 resize 3", "1 mouse", "1 paste x", "1 paste"] {
            assert_eq!(wrong.parse::<TapeLine>(), Err(()), "{wrong}");
        }
    }
}
