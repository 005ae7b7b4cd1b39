//! The console: browse logs, scrub through time.
//!
//! # Map
//! - [`state`]: all that the console knows. [`update`]: the only place where that changes, a pure function of what has
//!   happened ([`msg`]), whose answer is what is to be done. [`view`]: a pure function from the state to a screen.
//! - [`keymap`]: what keys do; help and footer are made from it. [`stretch`]: the events around the playhead;
//!   [`pattern`]: what is searched for. `bars` and `ticks`: how many events there are over each column of the scrubber, and
//!   which times stand there; `layout`: how the screen is divided.
//! - [`backend`]: does what is to be done, over a [`Source`](backend::Source): the [`service`], or what a test has.
//! - [`term`]: the terminal. [`tape`]: what was put in, kept and played again. [`run`]: all of it together.

pub mod backend;
mod bars;
mod fuzzy;
pub mod keymap;
mod layout;
pub mod msg;
pub mod pattern;
pub mod service;
pub mod state;
pub mod stretch;
pub mod tape;
pub mod term;
mod ticks;
pub mod update;
pub mod view;

use std::{
    fs,
    io::{self, IsTerminal, Write},
    path::PathBuf,
    time::Duration,
};

use clap::{Args, ValueEnum};
use crossterm::{clipboard::CopyToClipboard, execute, style::force_color_output, terminal};
use futures_util::{FutureExt, Stream, StreamExt, stream};
use hourlog::Clock;
use ratatui::{
    Terminal, TerminalOptions, Viewport,
    backend::{CrosstermBackend, TestBackend},
    layout::Rect,
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};

use crate::{exit::Failure, session::Session};

use self::{
    backend::{Backend, Source},
    msg::{Effect, Msg},
    service::Service,
    state::State,
    tape::{Input, Taped},
    view::Looks,
};

/// How often the time is told: as often as something that plays can be seen to move.
const TICK: Duration = Duration::from_millis(50);
/// How long the last answers may take before a screen is printed.
const SETTLES: Duration = Duration::from_millis(700);
/// The answers that may wait for the screen.
const ANSWERS_MAX: usize = 64;

/// How the console looks, and what is kept of a run.
#[derive(Debug, Args)]
#[command(next_help_heading = "Console")]
pub struct Options {
    /// Colours of the terminal, or none [default: ansi, or mono where NO_COLOR is set]
    #[arg(long, value_name = "THEME", env = "HOURLOG_THEME")]
    theme: Option<Theme>,
    /// Draw with nothing but ASCII
    #[arg(long)]
    ascii: bool,
    /// Keep what is typed in this file
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Type what was kept in this file
    #[arg(long, value_name = "FILE")]
    replay: Option<PathBuf>,
    /// Print the screen that --replay ends with, instead of opening the console
    #[arg(long, requires = "replay")]
    print: bool,
}

/// With which colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Theme {
    /// The terminal's own 16
    Ansi,
    /// None: bold and reversed say it all
    Mono,
}

impl Options {
    /// Whether the console can be opened here.
    pub fn can_open(&self) -> bool {
        self.print || (io::stdin().is_terminal() && io::stdout().is_terminal())
    }
}

/// Opens the console on the terminal of this process, and returns when it is left.
///
/// # Errors
/// [`Failure::Io`] where the terminal or a tape's file cannot be used, [`Failure::Log`] where a tape makes no sense.
pub async fn open(session: &Session, options: &Options) -> Result<(), Failure> {
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let theme = options.theme.unwrap_or(if no_color { Theme::Mono } else { Theme::Ansi });
    // What is drawn is what the theme has, whatever else the environment says.
    force_color_output(true);
    let looks = Looks { mono: theme == Theme::Mono, ascii: options.ascii };
    let tape = options.replay.as_deref().map(read_tape).transpose()?.unwrap_or_default();
    let mut record = match &options.record {
        Some(path) => Some(fs::File::create(path).map_err(|source| file(path, source))?),
        None => None,
    };
    let begun = Instant::now();
    let mut state = State::new(session.zone.clone(), session.now(), session.connect.name());
    state.flags = session.connect.flags();
    let source = Service::new(session.connect.clone());
    let taped = stream::iter(tape).then(move |taped| async move {
        sleep_until(begun + taped.after).await;
        Ok(taped.input)
    });
    if options.print {
        // What was asked last is still to be answered when the tape ends.
        let ended = stream::once(tokio::time::sleep(SETTLES)).filter_map(|()| std::future::ready(None));
        run(source, &mut state, looks, taped.chain(ended), session.clock, io::sink()).await?;
        return session.out.write(text(&state, looks).as_bytes());
    }
    let size = terminal::size().map_err(Failure::output)?;
    state.size = size;
    if let Some(file) = &mut record {
        let (columns, rows) = size;
        writeln!(file, "{}", Taped { after: Duration::ZERO, input: Input::Resize(columns, rows) })
            .map_err(Failure::output)?;
    }
    let typed = term::inputs().map(move |input| {
        let input = input.map_err(Failure::output)?;
        if let Some(file) = &mut record {
            let taped = Taped { after: begun.elapsed(), input };
            writeln!(file, "{taped}").map_err(Failure::output)?;
        }
        Ok(input)
    });
    let _taken = term::Taken::take()?;
    run(source, &mut state, looks, stream::select(taped, typed), session.clock, io::stdout()).await
}

fn read_tape(path: &std::path::Path) -> Result<Vec<Taped>, Failure> {
    let text = fs::read_to_string(path).map_err(|source| file(path, source))?;
    let line = |(number, line): (usize, &str)| {
        line.parse()
            .map_err(|()| Failure::usage(format!("line {} of {} is not one of a tape", number + 1, path.display())))
    };
    text.lines().enumerate().map(line).collect()
}

fn file(path: &std::path::Path, source: io::Error) -> Failure {
    Failure::Io { context: format!("{} cannot be used", path.display()), source }
}

/// Runs the console over `source`, drawing on `out`, until it is left or `inputs` ends.
///
/// # Errors
/// What `inputs` has, and [`Failure::Io`] where `out` cannot be written.
pub async fn run<S: Source, W: Write>(
    source: S,
    state: &mut State,
    looks: Looks,
    inputs: impl Stream<Item = Result<Input, Failure>>,
    clock: Clock,
    out: W,
) -> Result<(), Failure> {
    let (answers, mut answered) = mpsc::channel(ANSWERS_MAX);
    let mut backend = Backend::new(source, answers);
    let mut screen = Screen::new(out, state.size)?;
    let mut inputs = std::pin::pin!(inputs);
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let signals = [SignalKind::terminate(), SignalKind::hangup()].map(signal);
    let [mut terminated, mut hung_up] = signals.map(|signal| signal.ok());
    loop {
        screen.draw(state, looks)?;
        // All that has come is taken before anything is drawn again: a key that is held is as fast as it is.
        let mut next = Some(tokio::select! {
            input = inputs.next() => match input {
                Some(input) => input?.into(),
                None => return Ok(()),
            },
            Some(answer) = answered.recv() => answer,
            _ = tick.tick() => Msg::Tick(clock()),
            () = came(&mut terminated) => return Ok(()),
            () = came(&mut hung_up) => return Ok(()),
        });
        while let Some(msg) = next {
            if let Msg::Resize(columns, rows) = msg {
                screen.resize(columns, rows)?;
            }
            for effect in update::update(state, msg) {
                match effect {
                    Effect::Quit => return Ok(()),
                    Effect::Copy(text) => screen.copy(&text)?,
                    effect => backend.begin(effect),
                }
            }
            next = match inputs.next().now_or_never().flatten() {
                Some(input) => Some(input?.into()),
                None => answered.try_recv().ok(),
            };
        }
    }
}

/// Returns when a signal has come; never where it cannot be listened for.
async fn came(signal: &mut Option<tokio::signal::unix::Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}

impl From<Input> for Msg {
    fn from(input: Input) -> Self {
        match input {
            Input::Key(key) => Self::Key(key),
            Input::Resize(columns, rows) => Self::Resize(columns, rows),
        }
    }
}

/// The screen as text.
fn text(state: &State, looks: Looks) -> String {
    let (columns, rows) = state.size;
    let Ok(mut terminal) = Terminal::new(TestBackend::new(columns, rows));
    let Ok(drawn) = terminal.draw(|frame| view::view(state, looks, frame));
    let mut text = String::new();
    for row in drawn.buffer.content.chunks(usize::from(columns.max(1))) {
        let line: String = row.iter().map(ratatui::buffer::Cell::symbol).collect();
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// What is drawn on. Its size is what it is told, so that it need not be a terminal.
struct Screen<W: Write>(Terminal<CrosstermBackend<W>>);

impl<W: Write> Screen<W> {
    fn new(out: W, (columns, rows): (u16, u16)) -> Result<Self, Failure> {
        let viewport = Viewport::Fixed(Rect::new(0, 0, columns, rows));
        let terminal = Terminal::with_options(CrosstermBackend::new(out), TerminalOptions { viewport });
        Ok(Self(terminal.map_err(Failure::output)?))
    }

    fn resize(&mut self, columns: u16, rows: u16) -> Result<(), Failure> {
        self.0.resize(Rect::new(0, 0, columns, rows)).map_err(Failure::output)
    }

    fn draw(&mut self, state: &State, looks: Looks) -> Result<(), Failure> {
        self.0.draw(|frame| view::view(state, looks, frame)).map(drop).map_err(Failure::output)
    }

    fn copy(&mut self, text: &str) -> Result<(), Failure> {
        execute!(self.0.backend_mut(), CopyToClipboard::to_clipboard_from(text)).map_err(Failure::output)
    }
}
