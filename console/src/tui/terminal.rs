//! The terminal: set up when the console opens, and restored however the console ends.

use std::io::{self, Write};

use crossterm::{
    cursor::Show,
    event::{DisableBracketedPaste, EnableBracketedPaste, Event, EventStream, KeyEventKind},
    execute,
    terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode},
};
use futures_util::{Stream, StreamExt, stream};

use crate::{exit::Failure, tui::tape::TerminalInput};

/// Restores the terminal when it is dropped, and on a panic.
#[derive(Debug)]
pub struct TerminalGuard(());

impl TerminalGuard {
    /// Sets up the terminal of this process.
    ///
    /// # Errors
    /// [`Failure::Io`] if it cannot be set up.
    pub fn set_up() -> Result<Self, Failure> {
        let failed = |source| Failure::Io { context: "the terminal cannot be set up".to_owned(), source };
        enable_raw_mode().map_err(failed)?;
        let guard = Self(());
        execute!(io::stdout(), EnterAlternateScreen, EnableBracketedPaste).map_err(failed)?;
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            restore();
            hook(panic);
        }));
        Ok(guard)
    }
}

impl Drop for TerminalGuard {
    fn drop(&mut self) {
        restore();
    }
}

fn restore() {
    // Nobody can be told about a failure here.
    let _ = execute!(io::stdout(), DisableBracketedPaste, LeaveAlternateScreen, Show);
    let _ = disable_raw_mode();
    let _ = io::stdout().flush();
}

/// Returns the keys and sizes of the terminal. Pasted text becomes keys.
pub fn inputs() -> impl Stream<Item = io::Result<TerminalInput>> {
    EventStream::new().flat_map(|event| {
        stream::iter(match event {
            Ok(Event::Key(key)) if key.kind != KeyEventKind::Release => vec![Ok(TerminalInput::Key(key.into()))],
            Ok(Event::Resize(columns, rows)) => vec![Ok(TerminalInput::Resize(columns, rows))],
            Ok(Event::Paste(text)) => text.chars().map(|letter| Ok(TerminalInput::Key(letter.into()))).collect(),
            Ok(_) => Vec::new(),
            Err(error) => vec![Err(error)],
        })
    })
}
