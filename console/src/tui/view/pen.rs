//! A pen on one row of the screen. It places text by letters: one letter a cell, by its own width, so that terminals that
//! join letters in other ways cannot move what stands behind.

use std::borrow::Cow;

use ratatui::{buffer::Buffer, layout::Rect, style::Style};
use unicode_width::UnicodeWidthChar;

use crate::sanitize::sanitize;

/// The letter that asks for the coloured form of a sign. Terminals differ in its width.
const EMOJI_FORM: char = '\u{fe0f}';
/// Letters that make flags in pairs: A to Z.
const FLAG_LETTERS: std::ops::RangeInclusive<char> = '\u{1f1e6}'..='\u{1f1ff}';

/// A pen.
#[derive(Debug)]
pub(crate) struct Pen<'b> {
    buffer: &'b mut Buffer,
    x: u16,
    y: u16,
    end: u16,
    /// A letter did not fit, so neither do the marks on it.
    is_full: bool,
}

impl<'b> Pen<'b> {
    /// Returns a pen at the beginning of a row of `area`.
    pub(crate) fn new(buffer: &'b mut Buffer, area: Rect, row: u16) -> Self {
        let y = area.y + row;
        // A row outside has no room.
        let end =
            if row < area.height && y < buffer.area.bottom() { area.right().min(buffer.area.right()) } else { area.x };
        Self { buffer, x: area.x, y, end, is_full: false }
    }

    /// Returns the columns that are left.
    pub(crate) fn room(&self) -> usize {
        usize::from(self.end.saturating_sub(self.x))
    }

    /// Returns the column of the next letter.
    pub(crate) fn x(&self) -> u16 {
        self.x
    }

    /// Goes to a column.
    pub(crate) fn go_to(&mut self, x: u16) -> &mut Self {
        self.x = x.min(self.end);
        self
    }

    /// Goes to a place before the end of the row, so that this many columns are left.
    pub(crate) fn at_end(&mut self, columns: usize) -> &mut Self {
        self.is_full = false;
        self.x = self.end.saturating_sub(columns as u16);
        self
    }

    /// Writes text of our own.
    pub(crate) fn put(&mut self, text: &str, style: Style) -> &mut Self {
        let mut letters = text.chars().peekable();
        while let Some(letter) = letters.next() {
            if FLAG_LETTERS.contains(&letter) {
                let second = letters.next_if(|letter| FLAG_LETTERS.contains(letter));
                let latin =
                    |letter: char| char::from(b'A' + (u32::from(letter) - u32::from(*FLAG_LETTERS.start())) as u8);
                for letter in ['['].into_iter().chain([latin(letter)]).chain(second.map(latin)).chain([']']) {
                    self.letter(letter, style);
                }
            } else if letter != EMOJI_FORM {
                self.letter(letter, style);
            }
        }
        self
    }

    /// Writes text from outside: what could control the terminal is made visible.
    pub(crate) fn foreign(&mut self, text: &str, style: Style) -> &mut Self {
        let text: Cow<'_, str> = sanitize(text);
        self.put(&text, style)
    }

    /// Fills the row up to a column.
    pub(crate) fn fill(&mut self, to: u16, symbol: &str, style: Style) -> &mut Self {
        while self.x < to.min(self.end) {
            self.buffer[(self.x, self.y)].set_symbol(symbol).set_style(style);
            self.x += 1;
        }
        self
    }

    /// Fills the rest of the row.
    pub(crate) fn rest(&mut self, symbol: &str, style: Style) {
        self.fill(self.end, symbol, style);
    }

    fn letter(&mut self, letter: char, style: Style) {
        let Some(width) = letter.width() else { return };
        if width == 0 {
            if self.is_full {
                return;
            }
            if let Some(x) = self.x.checked_sub(1).filter(|_| self.x <= self.end && self.x > 0) {
                // Behind a wide letter, its second cell is empty.
                let x = if self.buffer[(x, self.y)].symbol().is_empty() { x.saturating_sub(1) } else { x };
                let cell = &mut self.buffer[(x, self.y)];
                let joined = format!("{}{letter}", cell.symbol());
                cell.set_symbol(&joined);
            }
            return;
        }
        let width = width as u16;
        if self.x + width > self.end {
            // A letter that does not fit ends the row.
            (self.end, self.is_full) = (self.x, true);
            return;
        }
        let mut encoded = [0; 4];
        self.buffer[(self.x, self.y)].set_symbol(letter.encode_utf8(&mut encoded)).set_style(style);
        for x in self.x + 1..self.x + width {
            self.buffer[(x, self.y)].set_symbol("").set_style(style);
        }
        self.x += width;
    }
}

/// Returns the columns that the pen takes for a text from outside.
pub(crate) fn width(text: &str) -> usize {
    sanitize(text)
        .chars()
        .map(|letter| match letter {
            EMOJI_FORM => 0,
            letter if FLAG_LETTERS.contains(&letter) => 2,
            letter => letter.width().unwrap_or(0),
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(text: &str, columns: u16) -> Vec<String> {
        let area = Rect::new(0, 0, columns, 1);
        let mut buffer = Buffer::empty(area);
        Pen::new(&mut buffer, area, 0).foreign(text, Style::new());
        buffer.content.iter().map(|cell| cell.symbol().to_owned()).collect()
    }

    #[test]
    fn each_letter_has_cells_of_its_own() {
        assert_eq!(row("a日b", 5), ["a", "日", "", "b", " "]);
        assert_eq!(row("♻\u{fe0f}x", 3), ["♻", "x", " "]);
        assert_eq!(row("🇩🇪!", 6), ["[", "D", "E", "]", "!", " "]);
        assert_eq!(row("👍🏽", 4), ["👍", "", "🏽", ""]);
        assert_eq!(row("e\u{301}x", 3), ["e\u{301}", "x", " "]);
        assert_eq!(row("日\u{301}x", 4), ["日\u{301}", "", "x", " "]);
    }

    #[test]
    fn a_letter_that_does_not_fit_ends_the_row() {
        assert_eq!(row("ab日x", 3), ["a", "b", " "]);
        assert_eq!(row("abcdef", 3), ["a", "b", "c"]);
        assert_eq!(row("\u{301}", 2), [" ", " "]);
        assert_eq!(row("abe\u{301}\u{301}", 2), ["a", "b"], "marks on hidden letters are hidden");
    }
}
