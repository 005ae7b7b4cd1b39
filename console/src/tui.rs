//! The console: browse logs, scrub through time.
//!
//! # Map
//! - [`state`] is everything that the console knows. [`update`] changes it: a pure function that
//!   takes a message ([`msg`]) and returns effects. [`view`] draws it: a pure function from the
//!   state to a screen.
//! - `layout`, `rows`, `prompt`, `palette`, `detail_text`, `times`, `bars` and `ticks` hold what `update`
//!   and `view` share, or what `view` computes without drawing. `update` and `view` do not know
//!   each other.
//! - [`keymap`] is the table of keys; help, footer and palette are made from it. [`pages`] holds
//!   the loaded events, [`scale`] the bars of the scrubber. [`pattern`] and [`scan`] are for searching, [`filter`] for
//!   what the service selects. `finder` finds a place
//!   that is not loaded ([`finding`]): an error, or a burst (`bursts`). `surveyor` reads a window for a [`survey`].
//! - `palette` finds actions by their names, and `typed_command` reads those that are typed with what they are for.
//! - `json` reads JSON as it was written; `pretty` indents it, `columns` finds a table in it, and [`table`] keeps that of a
//!   log.
//! - [`backend`] performs effects on a [`source`]: the [`service`], or a test's
//!   archive. `listing` keeps the list of logs, `asking` asks all instances for a [`report`] about themselves.
//! - [`excerpt`] is what dialogs write to files and send again, by [`work`] that `exporting` and `replaying` do over an
//!   [`outlet`]; [`working`] connects them.
//! - [`terminal`] is the real terminal, with `escape` for keys whose bytes come apart, and [`tape`] records and replays its
//!   input. [`screen`] writes what has changed. [`run`] connects all parts.

mod asking;
pub mod backend;
pub mod bars;
mod bursts;
mod changes;
mod columns;
mod cover_areas;
mod detail_text;
mod escape;
pub mod excerpt;
mod exporting;
pub mod filter;
mod finder;
pub mod finding;
mod folds;
mod fuzzy;
mod json;
pub mod key;
pub mod keymap;
pub mod lanes;
mod layout;
mod listing;
mod memory;
mod merging;
pub mod mouse;
pub mod msg;
pub mod outlet;
pub mod pages;
mod palette;
pub mod pattern;
mod plot;
mod pretty;
mod prompt;
mod replaying;
pub mod report;
mod rows;
pub mod scale;
pub mod scan;
pub mod screen;
pub mod service;
pub mod source;
pub mod state;
pub mod survey;
pub mod surveyor;
mod svg;
pub mod table;
pub mod tape;
pub mod terminal;
mod ticks;
mod times;
mod typed_command;
pub mod update;
pub mod view;
pub mod work;
pub mod working;

use std::{
    fs,
    io::{self, IsTerminal, Write},
    path::PathBuf,
    task::Poll,
    time::Duration,
};

use clap::{Args, ValueEnum};
use crossterm::{style::force_color_output, terminal::size as terminal_size};
use futures_util::{FutureExt, Stream, StreamExt, stream};
use hourlog::{
    LogId, Offset,
    pace::Speed,
    time::{Clock, SECOND},
};
use nix::sys::signal::Signal;
use ratatui::{
    buffer::{Buffer, Cell},
    layout::Rect,
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};

use crate::{exit::Failure, session::Session, when};

use self::{
    backend::Backend,
    filter::Filter,
    lanes::Lanes,
    memory::file::MemoryFile,
    msg::{Effect, Msg},
    outlet::Outlet,
    screen::Screen,
    service::Service,
    state::State,
    tape::{TapeLine, TerminalInput},
    terminal::TerminalGuard,
    view::{Looks, Theme},
};

/// Interval between ticks: short enough for a playing log to move smoothly.
const TICK: Duration = Duration::from_millis(50);
/// Shortest time between two pictures that only show more arrivals: rows that move faster cannot be read.
const ARRIVALS_EVERY: Duration = Duration::from_millis(125);
/// Time that `--print` waits for the last answers after the tape has ended.
const PRINT_DELAY: Duration = Duration::from_millis(700);
/// Limit of the answers that wait to be processed.
const ANSWERS_MAX: usize = 64;

/// The log that the console opens with, and the place in it.
#[derive(Debug, Args)]
#[command(next_help_heading = "Opening a log")]
pub struct Opening {
    /// Go to this time
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, requires = "log")]
    at: Option<String>,
    /// Show only events for which this expression in CEL is true, or that have this text
    #[arg(long = "where", value_name = "EXPRESSION", allow_hyphen_values = true, requires = "log")]
    condition: Option<String>,
    /// Play at this speed: 1 as time was, 3600 an hour in a second
    #[arg(long, value_name = "SPEED", requires = "log")]
    play: Option<Speed>,
}

/// Options of the console: its looks, and tapes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Console")]
pub struct Options {
    /// Colours to draw with [default: ansi, or mono if NO_COLOR is set]
    #[arg(long, value_name = "THEME", env = "HOURLOG_THEME")]
    theme: Option<Theme>,
    /// Draw with ASCII characters only
    #[arg(long)]
    ascii: bool,
    /// Open logs at their newest events, not as they were left
    #[arg(long)]
    fresh: bool,
    /// Record all input to this file
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Replay the input recorded in this file
    #[arg(long, value_name = "FILE")]
    replay: Option<PathBuf>,
    /// Print the last screen of --replay instead of opening the console
    #[arg(long, requires = "replay", value_name = "FORMAT", num_args = 0..=1, default_missing_value = "text")]
    print: Option<Print>,
}

/// The form of a printed screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Print {
    /// Text
    Text,
    /// A picture with colours
    Svg,
}

impl Opening {
    /// Returns the message that opens logs.
    fn message(&self, lanes: Lanes, session: &Session) -> Result<Msg, Failure> {
        let parse = |text: &String| when::parse(text, session.now(), &session.zone);
        let at = self.at.as_ref().map(parse).transpose().map_err(|error| Failure::usage(format!("--at: {error}")))?;
        let filter = self.condition.as_deref().map(Filter::new).transpose();
        let filter = filter.map_err(|error| Failure::usage(format!("--where: {error}")))?;
        Ok(Msg::Open { lanes, at, filter, speed: self.play })
    }
}

/// Returns the id of a log that is named without a command, which has a dot: other words are misspelled commands.
///
/// # Errors
/// A sentence with the command that opens a log of any name.
pub fn dotted_log(name: &str) -> Result<LogId, String> {
    if !name.contains('.') {
        return Err(format!(
            "this is not a command; hourlog --help lists them, and hourlog console {name} opens a log"
        ));
    }
    name.parse().map_err(|error: hourlog::Error| error.to_string())
}

impl Options {
    /// Returns whether the console can open: on a terminal, or to print a screen.
    pub fn can_open(&self) -> bool {
        self.print.is_some() || (io::stdin().is_terminal() && io::stdout().is_terminal())
    }
}

/// Opens the console on the terminal of this process, and returns when the user leaves it.
///
/// # Errors
/// [`Failure::Io`] if the terminal or a tape's file cannot be used, [`Failure::Log`] for an invalid
/// tape.
pub async fn open(session: &Session, options: &Options, logs: Vec<LogId>, opening: &Opening) -> Result<(), Failure> {
    let first = Lanes::new(logs).map(|lanes| opening.message(lanes, session)).transpose()?;
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let theme = options.theme.unwrap_or(if no_color { Theme::Mono } else { Theme::Ansi });
    // Only the theme decides about colours. Without this, crossterm would obey NO_COLOR.
    force_color_output(true);
    let looks = Looks { theme, ascii: options.ascii || !terminal::has_utf8() };
    let tape = options.replay.as_deref().map(read_tape).transpose()?.unwrap_or_default();
    let mut record = match &options.record {
        Some(path) => Some(fs::File::create(path).map_err(|source| file(path, source))?),
        None => None,
    };
    let started = Instant::now();
    let mut state = State::new(session.zone.clone(), session.now(), session.connect.name());
    state.flags = session.connect.flags();
    state.label = session.connect.label();
    let source = Service::new(session.connect.clone());
    let replayed = stream::iter(tape).then(move |line| async move {
        sleep_until(started + line.after).await;
        Ok(line.input)
    });
    if let Some(print) = options.print {
        // The last requests are still outstanding when the tape ends.
        let delay = stream::once(async { tokio::time::sleep(PRINT_DELAY).await });
        let delay = delay.filter_map(|()| std::future::ready(None));
        run(source, &mut state, looks, replayed.chain(delay), session.clock, io::sink(), first).await?;
        let (columns, rows) = state.size;
        let picture = screen::picture(&state, looks, Rect::new(0, 0, columns, rows));
        let printed = match print {
            Print::Text => text(&picture),
            Print::Svg => svg::svg(&picture),
        };
        return session.out.write(printed.as_bytes());
    }
    // A replayed session is the same wherever it is played.
    let memory = MemoryFile::of(&state.label).filter(|_| !options.fresh && options.replay.is_none());
    if let Some(memory) = &memory {
        memory.restore(&mut state);
    }
    let size = terminal::usable(terminal_size().map_err(Failure::output)?);
    state.size = size;
    if let Some(file) = &mut record {
        let (columns, rows) = size;
        writeln!(file, "{}", TapeLine { after: Duration::ZERO, input: TerminalInput::Resize(columns, rows) })
            .map_err(Failure::output)?;
    }
    let typed = terminal::inputs().map(move |input| {
        let input = input.map_err(Failure::output)?;
        if let Some(file) = &mut record {
            let line = TapeLine { after: started.elapsed(), input: input.clone() };
            writeln!(file, "{line}").map_err(Failure::output)?;
        }
        Ok(input)
    });
    let guard = TerminalGuard::set_up()?;
    let left =
        run(source, &mut state, looks, stream::select(replayed, typed), session.clock, io::stdout(), first).await;
    drop(guard);
    if let Some(Err(error)) = memory.map(|memory| memory.save(&state)) {
        session.out.note(&format!("the places in logs were not kept: {error}"));
    }
    left
}

fn read_tape(path: &std::path::Path) -> Result<Vec<TapeLine>, Failure> {
    let text = fs::read_to_string(path).map_err(|source| file(path, source))?;
    let line = |(number, line): (usize, &str)| {
        line.parse()
            .map_err(|()| Failure::usage(format!("line {} of {} is not part of a tape", number + 1, path.display())))
    };
    text.lines().enumerate().map(line).collect()
}

fn file(path: &std::path::Path, source: io::Error) -> Failure {
    Failure::Io { context: format!("failed to open {}", path.display()), source }
}

/// Runs the console over `source` and draws on `out`, until the user leaves it or `inputs` ends. `first` is the message
/// that it begins with.
///
/// # Errors
/// The errors of `inputs`, and [`Failure::Io`] if `out` cannot be written.
pub async fn run<S: Outlet, W: Write>(
    source: S,
    state: &mut State,
    looks: Looks,
    inputs: impl Stream<Item = Result<TerminalInput, Failure>>,
    clock: Clock,
    out: W,
    first: Option<Msg>,
) -> Result<(), Failure> {
    let (sender, mut answers) = mpsc::channel(ANSWERS_MAX);
    if let Some(first) = first {
        let _ = sender.try_send(first);
    }
    let mut backend = Backend::new(source, sender);
    let mut screen = Screen::new(out, state.size);
    let mut inputs = std::pin::pin!(inputs);
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut signals = Signals::caught();
    let (mut is_dirty, mut has_arrivals, mut drawn_at) = (true, false, Instant::now());
    loop {
        if std::mem::take(&mut is_dirty) || has_arrivals && drawn_at.elapsed() >= ARRIVALS_EVERY {
            screen.draw(state, looks).map_err(Failure::output)?;
            (has_arrivals, drawn_at) = (false, Instant::now());
        }
        // Process everything that is ready before drawing again, so that a held key is not slowed
        // down by drawing.
        let mut next = Some(tokio::select! {
            input = inputs.next() => match input {
                Some(input) => input?.into(),
                None => return Ok(()),
            },
            Some(answer) = answers.recv() => answer,
            _ = tick.tick() => Msg::Tick(clock()),
            signal = signals.next() => {
                match signal {
                    Caught::Leave => return Ok(()),
                    Caught::Suspend => terminal::suspend()?,
                    Caught::Resume => terminal::resume()?,
                }
                // Giving the terminal back has turned it off.
                terminal::set_mouse(state.has_mouse)?;
                screen.clear();
                is_dirty = true;
                continue;
            }
        });
        while let Some(msg) = next {
            match msg {
                Msg::Arrived { .. } => has_arrivals = true,
                _ => is_dirty |= changes_screen(state, &msg),
            }
            if let Msg::Resize(columns, rows) = msg {
                screen.resize(columns, rows);
            }
            for effect in update::update(state, msg) {
                match effect {
                    Effect::Quit => return Ok(()),
                    Effect::Copy(text) => screen.copy(&text).map_err(Failure::output)?,
                    Effect::Suspend => terminal::stop()?,
                    Effect::Redraw => screen.clear(),
                    Effect::Mouse(is_on) => terminal::set_mouse(is_on)?,
                    effect => backend.start(effect),
                }
            }
            next = match inputs.next().now_or_never().flatten() {
                Some(input) => Some(input?.into()),
                None => answers.try_recv().ok(),
            };
        }
    }
}

/// Returns false for a message that leaves the screen as it is: time that passes, unless something moves. Ages are in whole
/// seconds.
fn changes_screen(state: &State, msg: &Msg) -> bool {
    let second = |time: Offset| time.nanos().div_euclid(SECOND);
    match msg {
        Msg::Tick(now) => state.is_playing() || second(*now) != second(state.now),
        _ => true,
    }
}

/// The signals that the console handles. One that the system does not let it catch keeps its usual effect.
struct Signals(Vec<(tokio::signal::unix::Signal, Caught)>);

/// The meaning of a signal.
#[derive(Debug, Clone, Copy)]
enum Caught {
    Leave,
    Suspend,
    Resume,
}

impl Signals {
    fn caught() -> Self {
        let kinds = [
            (SignalKind::terminate(), Caught::Leave),
            (SignalKind::hangup(), Caught::Leave),
            (SignalKind::interrupt(), Caught::Leave),
            (SignalKind::quit(), Caught::Leave),
            (SignalKind::from_raw(Signal::SIGTSTP as i32), Caught::Suspend),
            (SignalKind::from_raw(Signal::SIGCONT as i32), Caught::Resume),
        ];
        Self(kinds.into_iter().filter_map(|(kind, caught)| Some((signal(kind).ok()?, caught))).collect())
    }

    /// Waits for the next signal.
    async fn next(&mut self) -> Caught {
        std::future::poll_fn(|context| {
            for (signal, caught) in &mut self.0 {
                if signal.poll_recv(context) == Poll::Ready(Some(())) {
                    return Poll::Ready(*caught);
                }
            }
            Poll::Pending
        })
        .await
    }
}

impl From<TerminalInput> for Msg {
    fn from(input: TerminalInput) -> Self {
        match input {
            TerminalInput::Key(key) => Self::Key(key),
            TerminalInput::Resize(columns, rows) => Self::Resize(columns, rows),
            TerminalInput::Paste(text) => Self::Paste(text),
            TerminalInput::Mouse(input) => Self::Mouse(input),
        }
    }
}

/// Returns the screen as text.
fn text(picture: &Buffer) -> String {
    let mut text = String::new();
    for row in picture.content.chunks(usize::from(picture.area.width.max(1))) {
        let line: String = row.iter().map(Cell::symbol).collect();
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}
