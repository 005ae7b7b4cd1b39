//! The terminal: set up when the console opens, and restored however the console ends.

use std::io::{self, Write};

use crossterm::{
    cursor::{Hide, Show},
    event::{self, DisableBracketedPaste, EnableBracketedPaste, Event, KeyEventKind},
    execute,
    terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode},
};
use futures_util::{Stream, stream};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::sync::mpsc;

use crate::{
    exit::Failure,
    tui::{
        escape::{Assembler, PART_MAX},
        key::Key,
        mouse::MouseInput,
        tape::TerminalInput,
    },
};

/// Limit of the inputs that wait to be processed.
const INPUTS_MAX: usize = 1_024;
/// Columns and rows of a terminal that does not tell.
const UNKNOWN_SIZE: (u16, u16) = (80, 24);

/// Restores the terminal when it is dropped, and on a panic.
#[derive(Debug)]
pub struct TerminalGuard(());

impl TerminalGuard {
    /// Sets up the terminal of this process.
    ///
    /// # Errors
    /// [`Failure::Io`] if it cannot be set up.
    pub fn set_up() -> Result<Self, Failure> {
        let guard = Self(());
        take().map_err(failed)?;
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            restore();
            hook(panic);
        }));
        Ok(guard)
    }
}

/// Asks the system to stop this process and those that it was started with, as Ctrl-Z does elsewhere.
///
/// # Errors
/// [`Failure::Io`] if the system refuses.
pub fn stop() -> Result<(), Failure> {
    kill(Pid::from_raw(0), Signal::SIGTSTP).map_err(|error| failed(error.into()))
}

/// Gives the terminal back to the shell, and stops this process. Takes the terminal again once the shell goes on with it.
///
/// # Errors
/// [`Failure::Io`] if the terminal cannot be set up again.
pub fn suspend() -> Result<(), Failure> {
    restore();
    kill(Pid::this(), Signal::SIGSTOP).map_err(|error| failed(error.into()))?;
    resume()
}

/// Takes the terminal again, whatever the shell has made of it meanwhile.
///
/// # Errors
/// [`Failure::Io`] if it cannot be set up.
pub fn resume() -> Result<(), Failure> {
    // Setting it up takes effect only if it is not set up already.
    disable_raw_mode().and_then(|()| take()).map_err(failed)
}

/// Returns false if the locale says that the terminal has other letters than those of UTF-8.
pub fn has_utf8() -> bool {
    let set = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().filter_map(std::env::var_os).find(|value| !value.is_empty());
    // Containers often set none, on terminals that have UTF-8.
    set.is_none_or(|locale| {
        let locale = locale.to_string_lossy().to_ascii_lowercase();
        locale.contains("utf-8") || locale.contains("utf8")
    })
}

/// Returns a size that can be drawn on: that of an unknown terminal is zero.
pub fn usable((columns, rows): (u16, u16)) -> (u16, u16) {
    if columns == 0 || rows == 0 { UNKNOWN_SIZE } else { (columns, rows) }
}

fn take() -> io::Result<()> {
    enable_raw_mode()?;
    execute!(io::stdout(), EnterAlternateScreen, EnableBracketedPaste, Hide)
}

fn failed(source: io::Error) -> Failure {
    Failure::Io { context: "the terminal cannot be set up".to_owned(), source }
}

impl Drop for TerminalGuard {
    fn drop(&mut self) {
        restore();
    }
}

/// Asks the terminal for the inputs of the mouse, or no longer: buttons, dragging and the wheel, in the form that has no
/// limit of columns.
///
/// # Errors
/// [`Failure::Io`] if the terminal cannot be written.
pub fn set_mouse(is_on: bool) -> Result<(), Failure> {
    let set = if is_on { 'h' } else { 'l' };
    let mut out = io::stdout();
    write!(out, "\x1b[?1000{set}\x1b[?1002{set}\x1b[?1006{set}").and_then(|()| out.flush()).map_err(failed)
}

fn restore() {
    // Nobody can be told about a failure here.
    let _ = set_mouse(false);
    let _ = execute!(io::stdout(), DisableBracketedPaste, LeaveAlternateScreen, Show);
    let _ = disable_raw_mode();
    let _ = io::stdout().flush();
}

/// Returns what is typed and pasted, and the sizes of the terminal.
///
/// A thread of its own reads it, because a read blocks, and ends soon after the stream is dropped.
pub fn inputs() -> impl Stream<Item = io::Result<TerminalInput>> {
    let (sender, receiver) = mpsc::channel(INPUTS_MAX);
    // Without a thread, the stream ends, and the console with it.
    let _ = std::thread::Builder::new().name("hourlog-input".to_owned()).spawn(move || {
        if let Err(error) = read(&sender) {
            let _ = sender.blocking_send(Err(error));
        }
    });
    stream::unfold(receiver, |mut receiver| async move { Some((receiver.recv().await?, receiver)) })
}

/// Reads from the terminal until nobody receives any more.
fn read(sender: &mpsc::Sender<io::Result<TerminalInput>>) -> io::Result<()> {
    let mut assembler = Assembler::default();
    while !sender.is_closed() {
        let read = if event::poll(PART_MAX)? { Some(event::read()?) } else { None };
        let mut inputs = match &read {
            Some(Event::Key(key)) if key.kind == KeyEventKind::Release => Vec::new(),
            Some(Event::Key(key)) => keys(assembler.push((*key).into())),
            _ => keys(assembler.expire()),
        };
        match read {
            Some(Event::Resize(columns, rows)) => {
                let (columns, rows) = usable((columns, rows));
                inputs.push(TerminalInput::Resize(columns, rows));
            }
            Some(Event::Paste(text)) => inputs.push(TerminalInput::Paste(text)),
            Some(Event::Mouse(event)) => inputs.extend(MouseInput::of(event).map(TerminalInput::Mouse)),
            _ => {}
        }
        for input in inputs {
            if sender.blocking_send(Ok(input)).is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}

fn keys(keys: Vec<Key>) -> Vec<TerminalInput> {
    keys.into_iter().map(TerminalInput::Key).collect()
}
