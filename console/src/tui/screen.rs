//! The screen: writes what has changed since the last picture.
//!
//! Terminals disagree about the width of letters beyond the usual ones. A row that has one is written whole when it changes,
//! and the place behind each such letter is named, so that no piece of an old row stays.

use std::io::{self, Write};

use crossterm::{
    clipboard::CopyToClipboard,
    cursor::MoveTo,
    execute, queue,
    style::ResetColor,
    terminal::{Clear, ClearType},
};
use ratatui::{
    backend::{Backend, CrosstermBackend},
    buffer::{Buffer, Cell},
    layout::Rect,
};
use unicode_width::UnicodeWidthStr;

use super::{
    state::State,
    view::{self, Looks},
};

/// A screen. Its size is set from outside, so it can be any writer.
#[derive(Debug)]
pub struct Screen<W: Write> {
    backend: CrosstermBackend<W>,
    area: Rect,
    /// The picture on it.
    shown: Option<Buffer>,
}

impl<W: Write> Screen<W> {
    /// Returns a screen of this many columns and rows, with nothing known of what is on it.
    pub fn new(out: W, (columns, rows): (u16, u16)) -> Self {
        Self { backend: CrosstermBackend::new(out), area: Rect::new(0, 0, columns, rows), shown: None }
    }

    /// Takes another size.
    pub fn resize(&mut self, columns: u16, rows: u16) {
        self.area = Rect::new(0, 0, columns, rows);
        self.shown = None;
    }

    /// Draws the state. Writes nothing if the picture is the same.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn draw(&mut self, state: &State, looks: Looks) -> io::Result<()> {
        let drawn = picture(state, looks, self.area);
        if self.shown.is_none() {
            queue!(self.backend, ResetColor, Clear(ClearType::All))?;
        }
        let blank = Buffer::empty(self.area);
        let shown = self.shown.as_ref().unwrap_or(&blank);
        let columns = usize::from(self.area.width.max(1));
        let rows = drawn.content.chunks(columns).zip(shown.content.chunks(columns));
        let mut is_changed = false;
        for (y, (new, old)) in rows.enumerate().filter(|(_, (new, old))| new != old) {
            let y = u16::try_from(y).unwrap_or(u16::MAX);
            is_changed = true;
            if new.iter().chain(old).any(is_unusual) {
                write_whole(&mut self.backend, y, new)?;
            } else {
                let cells = new.iter().zip(old).enumerate().filter(|(_, (new, old))| new != old);
                self.backend.draw(cells.map(|(x, (new, _))| (u16::try_from(x).unwrap_or(u16::MAX), y, new)))?;
            }
        }
        if is_changed || self.shown.is_none() {
            self.shown = Some(drawn);
            Backend::flush(&mut self.backend)?;
        }
        Ok(())
    }

    /// Forgets what is on the screen, so that the next picture is drawn whole.
    pub fn clear(&mut self) {
        self.shown = None;
    }

    /// Sends a text to the terminal, for its clipboard.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn copy(&mut self, text: &str) -> io::Result<()> {
        execute!(self.backend, CopyToClipboard::to_clipboard_from(text))
    }
}

/// Returns the picture of a state.
pub fn picture(state: &State, looks: Looks, area: Rect) -> Buffer {
    let mut buffer = Buffer::empty(area);
    view::view(state, looks, &mut buffer);
    buffer
}

/// Writes a row from its beginning, and names the place behind each unusual letter.
fn write_whole<W: Write>(backend: &mut CrosstermBackend<W>, y: u16, row: &[Cell]) -> io::Result<()> {
    queue!(backend, MoveTo(0, y), ResetColor, Clear(ClearType::UntilNewLine))?;
    let cells: Vec<(u16, u16, &Cell)> =
        row.iter().enumerate().map(|(x, cell)| (u16::try_from(x).unwrap_or(u16::MAX), y, cell)).collect();
    // The second cell of a wide letter is written with the first one.
    let cells: Vec<(u16, u16, &Cell)> = cells.into_iter().filter(|(_, _, cell)| !cell.symbol().is_empty()).collect();
    for group in cells.split_inclusive(|(_, _, cell)| is_unusual(cell)) {
        backend.draw(group.iter().copied())?;
    }
    Ok(())
}

/// Returns true for a cell whose width terminals may disagree about. Not for lines, blocks, arrows and the like.
fn is_unusual(cell: &Cell) -> bool {
    let symbol = cell.symbol();
    let usual = |letter: char| matches!(letter, '\0'..='\u{2ff}' | '\u{2010}'..='\u{2027}' | '\u{2190}'..='\u{21ff}' | '\u{2400}'..='\u{2426}' | '\u{2500}'..='\u{25ff}');
    symbol.is_empty() || symbol.width() != 1 || !symbol.chars().all(usual)
}
