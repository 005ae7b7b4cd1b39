//! The terminal: taken when the console opens, and given back whatever way it ends.

use std::io::{self, Write};

use crossterm::{
    cursor::Show,
    event::{DisableBracketedPaste, EnableBracketedPaste, Event, EventStream, KeyEventKind},
    execute,
    terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode},
};
use futures_util::{Stream, StreamExt, stream};

use crate::{exit::Failure, tui::tape::Input};

/// The terminal while it is the console's. Given back when this is dropped, and when something panics.
#[derive(Debug)]
pub struct Taken(());

impl Taken {
    /// Takes the terminal of this process.
    ///
    /// # Errors
    /// [`Failure::Io`] where it cannot be set up.
    pub fn take() -> Result<Self, Failure> {
        let failed = |source| Failure::Io { context: "the terminal cannot be set up".to_owned(), source };
        enable_raw_mode().map_err(failed)?;
        let taken = Self(());
        execute!(io::stdout(), EnterAlternateScreen, EnableBracketedPaste).map_err(failed)?;
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            give_back();
            hook(panic);
        }));
        Ok(taken)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        give_back();
    }
}

fn give_back() {
    // There is nobody left to tell when this fails.
    let _ = execute!(io::stdout(), DisableBracketedPaste, LeaveAlternateScreen, Show);
    let _ = disable_raw_mode();
    let _ = io::stdout().flush();
}

/// What is typed, and how large the terminal becomes.
pub fn inputs() -> impl Stream<Item = io::Result<Input>> {
    EventStream::new().flat_map(|event| {
        stream::iter(match event {
            Ok(Event::Key(key)) if key.kind != KeyEventKind::Release => vec![Ok(Input::Key(key.into()))],
            Ok(Event::Resize(columns, rows)) => vec![Ok(Input::Resize(columns, rows))],
            Ok(Event::Paste(text)) => text.chars().map(|letter| Ok(Input::Key(letter.into()))).collect(),
            Ok(_) => Vec::new(),
            Err(error) => vec![Err(error)],
        })
    })
}
