//! What was put in, kept in a file and played again: to show somebody else what one saw.

use std::{fmt, str::FromStr, time::Duration};

use crate::tui::keymap::Key;

/// What somebody at a terminal does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// A key is pressed.
    Key(Key),
    /// The terminal gets so many columns and rows.
    Resize(u16, u16),
}

/// An input, and how long after the beginning it came: a line of a tape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taped {
    /// Since the beginning, to the millisecond.
    pub after: Duration,
    /// What came.
    pub input: Input,
}

impl fmt::Display for Taped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.after.as_millis())?;
        match self.input {
            Input::Key(key) => write!(f, "key {key}"),
            Input::Resize(columns, rows) => write!(f, "resize {columns} {rows}"),
        }
    }
}

impl FromStr for Taped {
    type Err = ();

    fn from_str(line: &str) -> Result<Self, ()> {
        let mut words = line.split(' ');
        let mut word = || words.next().ok_or(());
        let after = Duration::from_millis(word()?.parse().map_err(drop)?);
        let input = match word()? {
            "key" => Input::Key(word()?.parse()?),
            "resize" => Input::Resize(word()?.parse().map_err(drop)?, word()?.parse().map_err(drop)?),
            _ => return Err(()),
        };
        Ok(Self { after, input })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_in_survives_its_line() {
        for input in ["key G", "key space", "key shift-left", "key ctrl-d", "key -", "resize 120 40"] {
            let line = format!("1500 {input}");
            assert_eq!(line.parse::<Taped>().map(|taped| taped.to_string()), Ok(line));
        }
        for wrong in ["", "x key g", "1 key", "1 key nokey", "1 resize 3", "1 mouse"] {
            assert_eq!(wrong.parse::<Taped>(), Err(()), "{wrong}");
        }
    }
}
