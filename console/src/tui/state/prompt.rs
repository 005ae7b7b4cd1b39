//! The prompt in the footer.

use crossterm::event::{KeyCode, KeyModifiers};

use crate::tui::key::Key;

/// Limit of the letters of a prompt.
pub(crate) const LETTERS_MAX: usize = 4_096;

/// A prompt, and the text typed into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    /// The purpose of the text.
    pub kind: PromptKind,
    /// The text so far.
    pub text: String,
    /// The place in the text at which letters are added, in bytes.
    cursor: usize,
    /// Why the text was refused.
    pub error: Option<String>,
    /// Index of the selected row of the palette.
    pub choice: usize,
    /// Number of the earlier text that is shown again: 0 is the newest.
    pub(crate) recalled: Option<usize>,
}

/// The purpose of a typed text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PromptKind {
    /// Find a log.
    Find,
    /// Find a message.
    FindMessage,
    /// Go to a time.
    GoTo,
    /// Search for a pattern.
    Search,
    /// Hide events that do not match a pattern.
    Filter,
    /// Choose how much time the scrubber shows, by a digit.
    Window,
    /// Choose what to copy, by a letter.
    Copy,
    /// Choose the columns of the list.
    Columns,
    /// Choose from the palette.
    Palette,
    /// Name the file of an export.
    Export,
    /// Name the subject of a replay.
    Replay,
}

impl Prompt {
    /// Returns a prompt that already holds `text`.
    pub fn new(kind: PromptKind, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { kind, cursor: text.len(), text, error: None, choice: 0, recalled: None }
    }

    /// Returns the prompt with the reason why its text was refused.
    pub(crate) fn refused(kind: PromptKind, text: impl Into<String>, error: impl ToString) -> Self {
        Self { error: Some(error.to_string()), ..Self::new(kind, text) }
    }

    /// Returns the text before the cursor, and the rest.
    pub(crate) fn split(&self) -> (&str, &str) {
        self.text.split_at(self.cursor)
    }

    /// Puts another text into the prompt.
    pub(crate) fn set(&mut self, text: impl Into<String>) {
        self.text = text.into();
        self.cursor = self.text.len();
    }

    /// Adds a text at the cursor, as much as there is room for.
    pub(crate) fn insert(&mut self, text: &str) {
        for letter in text.chars().take(LETTERS_MAX.saturating_sub(self.text.chars().count())) {
            self.text.insert(self.cursor, letter);
            self.cursor += letter.len_utf8();
        }
    }

    /// Changes the text as a key asks for. Returns false for a key that is not for the text.
    pub(crate) fn edit(&mut self, key: Key) -> bool {
        let (before, rest) = self.text.split_at(self.cursor);
        let (control, alt) = (key.modifiers.contains(KeyModifiers::CONTROL), key.modifiers.contains(KeyModifiers::ALT));
        let back = before.char_indices().next_back().map_or(0, |(at, _)| at);
        let forward = self.cursor + rest.chars().next().map_or(0, char::len_utf8);
        match key.code {
            KeyCode::Left if alt || control => self.cursor = word_start(before),
            KeyCode::Right if alt || control => self.cursor += word_end(rest),
            KeyCode::Left => self.cursor = back,
            KeyCode::Right => self.cursor = forward,
            KeyCode::Home => self.cursor = 0,
            KeyCode::End => self.cursor = self.text.len(),
            KeyCode::Backspace if alt || control => self.remove(word_start(before)..self.cursor),
            KeyCode::Backspace => self.remove(back..self.cursor),
            KeyCode::Delete => self.remove(self.cursor..forward),
            KeyCode::Char('a') if control => self.cursor = 0,
            KeyCode::Char('e') if control => self.cursor = self.text.len(),
            KeyCode::Char('b') if alt => self.cursor = word_start(before),
            KeyCode::Char('f') if alt => self.cursor += word_end(rest),
            KeyCode::Char('u') if control => self.remove(0..self.cursor),
            KeyCode::Char('k') if control => self.remove(self.cursor..self.text.len()),
            KeyCode::Char('w') if control => self.remove(word_start(before)..self.cursor),
            KeyCode::Char(letter) if !control && !alt => self.insert(letter.encode_utf8(&mut [0; 4])),
            _ => return false,
        }
        true
    }

    fn remove(&mut self, range: std::ops::Range<usize>) {
        self.cursor = range.start;
        self.text.replace_range(range, "");
    }
}

/// Returns the start of the last word of a text.
fn word_start(text: &str) -> usize {
    let trimmed = text.trim_end();
    trimmed.rfind(char::is_whitespace).map_or(0, |at| at + trimmed[at..].chars().next().map_or(0, char::len_utf8))
}

/// Returns the end of the first word of a text.
fn word_end(text: &str) -> usize {
    let blanks = text.len() - text.trim_start().len();
    text[blanks..].find(char::is_whitespace).map_or(text.len(), |at| blanks + at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_is_edited_as_a_shell_is() {
        for (text, keys, expected) in [
            ("abc", "left left x", "axbc"),
            ("one two three", "ctrl-w", "one two "),
            ("one two", "alt-b alt-b ctrl-k", ""),
            ("one two", "ctrl-a del right X", "nXe two"),
            ("one two", "ctrl-left ctrl-u", "two"),
            ("München", "home right right backspace", "Mnchen"),
            ("ab", "home end c", "abc"),
            ("one two", "home alt-f x", "onex two"),
        ] {
            let mut prompt = Prompt::new(PromptKind::Search, text);
            for key in keys.split(' ') {
                assert!(prompt.edit(key.parse().expect("a key")), "{key}");
            }
            assert_eq!(prompt.text, expected, "{text}: {keys}");
        }
    }

    #[test]
    fn a_prompt_has_a_limit() {
        let mut prompt = Prompt::new(PromptKind::Search, "");
        prompt.insert(&"ü".repeat(LETTERS_MAX + 5));
        assert_eq!(prompt.text.chars().count(), LETTERS_MAX);
    }
}
