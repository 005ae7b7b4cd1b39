//! Keys whose bytes came apart: over a slow connection, the escape of an arrow arrives before the rest of it.
//!
//! A terminal's own parser takes the lone escape for the key Esc, and the rest for letters. Nobody types these letters within
//! fifty milliseconds of Esc, so they are put together here. The time is the caller's.

use std::time::Duration;

use crossterm::event::{KeyCode, KeyModifiers};

use crate::tui::key::Key;

/// The longest pause between two parts of a key.
pub(crate) const PART_MAX: Duration = Duration::from_millis(50);
/// The most keys of a sequence. Longer ones are no keys of any terminal.
const SEQUENCE_MAX: usize = 16;

/// Puts keys together.
#[derive(Debug, Default)]
pub(crate) struct Assembler {
    /// An escape, and what may follow it in one key.
    held: Vec<Key>,
}

impl Assembler {
    /// Takes a key. Returns those that are complete.
    pub(crate) fn push(&mut self, key: Key) -> Vec<Key> {
        let is_plain_escape = key.code == KeyCode::Esc && key.modifiers.is_empty();
        if self.held.is_empty() {
            if !is_plain_escape {
                return vec![key];
            }
            self.held.push(key);
            return Vec::new();
        }
        let KeyCode::Char(letter) = key.code else {
            let mut keys = self.expire();
            keys.extend(self.push(key));
            return keys;
        };
        self.held.push(key);
        if self.held.len() == 2 && letter != '[' && letter != 'O' {
            self.held.clear();
            return vec![Key { modifiers: key.modifiers | KeyModifiers::ALT, ..key }];
        }
        let is_final = self.held.len() > 2 && !(letter.is_ascii_digit() || letter == ';');
        if is_final {
            let sequence: String = self.held.drain(..).skip(1).filter_map(letter_of).collect();
            return parse(&sequence).into_iter().collect();
        }
        if self.held.len() > SEQUENCE_MAX { self.expire() } else { Vec::new() }
    }

    /// Returns the keys that were held, once the rest of one has not come.
    pub(crate) fn expire(&mut self) -> Vec<Key> {
        std::mem::take(&mut self.held)
    }
}

fn letter_of(key: Key) -> Option<char> {
    match key.code {
        KeyCode::Char(letter) => Some(letter),
        _ => None,
    }
}

/// Returns the key of a sequence without its escape, such as `[D` or `[1;2C`; `None` if it is that of no key.
fn parse(sequence: &str) -> Option<Key> {
    let (body, last) = sequence.get(1..)?.split_at_checked(sequence.len() - 2)?;
    let mut numbers = body.split(';').map(|number| number.parse::<u8>().ok());
    let (first, modifiers) = (numbers.next().flatten(), numbers.next().flatten().unwrap_or(1));
    let code = match (last, first) {
        ("A", _) => KeyCode::Up,
        ("B", _) => KeyCode::Down,
        ("C", _) => KeyCode::Right,
        ("D", _) => KeyCode::Left,
        ("F", _) | ("~", Some(4 | 8)) => KeyCode::End,
        ("H", _) | ("~", Some(1 | 7)) => KeyCode::Home,
        ("Z", _) => KeyCode::BackTab,
        ("P" | "Q" | "R" | "S", _) => KeyCode::F(last.as_bytes()[0] - b'P' + 1),
        ("~", Some(2)) => KeyCode::Insert,
        ("~", Some(3)) => KeyCode::Delete,
        ("~", Some(5)) => KeyCode::PageUp,
        ("~", Some(6)) => KeyCode::PageDown,
        ("~", Some(number @ 11..=15)) => KeyCode::F(number - 10),
        ("~", Some(number @ 17..=21)) => KeyCode::F(number - 11),
        ("~", Some(number @ 23..=24)) => KeyCode::F(number - 12),
        _ => return None,
    };
    let bits = modifiers.saturating_sub(1);
    let held = [(1, KeyModifiers::SHIFT), (2, KeyModifiers::ALT), (4, KeyModifiers::CONTROL)];
    let modifiers = held.iter().filter(|(bit, _)| bits & bit != 0).map(|(_, modifier)| *modifier).collect();
    Some(Key { code, modifiers })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Key {
        name.parse().expect("a key")
    }

    /// Returns the keys of what is typed without pauses, and of what was held at the end.
    fn typed(names: &str) -> Vec<String> {
        let mut assembler = Assembler::default();
        let mut keys: Vec<Key> = names.split(' ').flat_map(|name| assembler.push(key(name))).collect();
        keys.extend(assembler.expire());
        keys.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_parts_of_a_key_are_put_together() {
        for (parts, expected) in [
            ("esc [ D", "left"),
            ("esc O A", "up"),
            ("esc [ 1 ; 2 C", "shift-right"),
            ("esc [ 1 ; 5 D", "ctrl-left"),
            ("esc [ 5 ~", "pgup"),
            ("esc [ H", "home"),
            ("esc [ 3 ~", "del"),
            ("esc 1", "alt-1"),
        ] {
            assert_eq!(typed(parts), [expected], "{parts}");
        }
        assert_eq!(typed("a esc [ D esc [ C q"), ["a", "left", "right", "q"]);
    }

    #[test]
    fn other_keys_stay_as_they_are() {
        assert_eq!(typed("esc"), ["esc"]);
        assert_eq!(typed("esc esc"), ["esc", "esc"]);
        assert_eq!(typed("esc up"), ["esc", "up"]);
        assert_eq!(typed("[ D O"), ["[", "D", "O"]);
        assert_eq!(typed("esc ["), ["esc", "["]);
        assert!(typed("esc [ 9 9 q").is_empty(), "a sequence of no key runs nothing");
    }

    #[test]
    fn a_lone_escape_waits_for_the_rest_of_a_key_and_no_longer() {
        let mut assembler = Assembler::default();
        assert!(assembler.push(key("esc")).is_empty());
        assert_eq!(assembler.expire(), [key("esc")]);
        assert!(assembler.expire().is_empty());
        assert_eq!(assembler.push(key("[")), [key("[")]);
    }
}
