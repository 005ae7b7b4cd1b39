//! The keymap. Help, footer, palette and the tests' key strings are made from this table, so none
//! of them goes stale.

use crate::tui::key::Key;

/// An action that a key asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Leave the console.
    Quit,
    /// Leave the log, or the screen over it.
    Leave,
    /// Show the list of logs.
    ShowLogs,
    /// Show the log that was open last.
    ShowLog,
    /// Show the service.
    ShowService,
    /// Show the messages of this session.
    ShowMessages,
    /// Copy the command that checks every part on the way to the archive.
    CopyDoctor,
    /// Stop the console, and give the terminal back to the shell until it goes on.
    Suspend,
    /// Draw the whole screen again.
    Redraw,
    /// Show the help.
    Help,
    /// Choose from the palette.
    Palette,
    /// Take away the newest thing: the help, the prompt, the search, the range, the filter.
    Back,
    /// Open the row under the cursor.
    Open,
    /// Go to the next row.
    Down,
    /// Go to the previous row.
    Up,
    /// Go a page of rows down.
    PageDown,
    /// Go a page of rows up.
    PageUp,
    /// Go to the first row, or the oldest event.
    First,
    /// Go to the last row. In a log: go to the newest event and follow the log.
    Last,
    /// Scrub one bar back.
    ScrubBack,
    /// Scrub one bar forward.
    ScrubForward,
    /// Scrub ten bars back.
    ScrubBackTen,
    /// Scrub ten bars forward.
    ScrubForwardTen,
    /// Show shorter bars.
    ZoomIn,
    /// Show longer bars.
    ZoomOut,
    /// Show the whole log.
    ZoomAll,
    /// Choose how much time the scrubber shows.
    ChooseWindow,
    /// Go to a time.
    GoTo,
    /// Show times in the next style.
    NextTimeStyle,
    /// Set or remove a mark at the playhead.
    Mark,
    /// Choose from the marks.
    Marks,
    /// Go to the previous mark.
    PreviousMark,
    /// Go to the next mark.
    NextMark,
    /// Go to the start of the previous burst.
    PreviousBurst,
    /// Go to the start of the next burst.
    NextBurst,
    /// Go to the previous error.
    PreviousError,
    /// Go to the next error.
    NextError,
    /// Undo the last jump.
    Undo,
    /// Redo the jump that was undone last.
    Redo,
    /// Follow the log, or stop following it.
    Follow,
    /// Play or pause.
    Play,
    /// Play twice as fast.
    Faster,
    /// Play half as fast.
    Slower,
    /// Turn skipping of silence on or off.
    SkipSilence,
    /// Search.
    Search,
    /// Go to the next hit.
    NextHit,
    /// Go to the previous hit.
    PreviousHit,
    /// Hide events that do not match.
    Filter,
    /// End search and filter.
    ClearPatterns,
    /// Begin, end or remove a range of time.
    Range,
    /// Show the next tab of the detail.
    NextTab,
    /// Shift the events' data to the right.
    Right,
    /// Shift the events' data to the left.
    Left,
    /// Show the differences from the event before, or no longer.
    Changes,
    /// Scroll the detail down.
    DetailDown,
    /// Scroll the detail up.
    DetailUp,
    /// Turn wrapping of long lines in the detail on or off.
    Wrap,
    /// Copy a value; in the list, choose what to copy.
    Copy,
    /// Choose how the height of a bar follows from its count.
    Heights,
    /// Turn the filter with this index on or off.
    Toggle(usize),
    /// Show only events with the value under the cursor.
    Only,
    /// Hide events with the value under the cursor.
    Except,
    /// Copy the path of the value under the cursor.
    CopyPath,
    /// Plot the number under the cursor over time, or no longer.
    Plot,
    /// Show the value under the cursor as a column, or no longer.
    AsColumn,
    /// Show an object or an array as one line.
    Fold,
    /// Show all lines of an object or an array.
    Unfold,
    /// Go to the list.
    ToList,
    /// Show the newest events of the log under the cursor, or no longer.
    Preview,
    /// Show the logs in the next order.
    NextOrder,
    /// Turn the order of the logs around.
    TurnOrder,
    /// Choose the columns of the list.
    Columns,
    /// Show equal events as one row, or each by itself.
    Folds,
    /// Pick a log, to open several as one.
    Pick,
    /// Show the bars of each lane, or of all together.
    Lanes,
    /// Go to the next event of another log.
    NextOther,
    /// Go to the previous event of another log.
    PreviousOther,
    /// Turn the mouse on or off.
    Mouse,
    /// Show the range in the scrubber.
    ZoomRange,
    /// Write the events of the range to a file.
    Export,
    /// Send the events of the range to subjects again.
    Replay,
}

/// The part of the console in which a key has a meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyScope {
    /// Everywhere, even while text is typed.
    Always,
    /// Everywhere, except while text is typed.
    Everywhere,
    /// The list of logs.
    Logs,
    /// An open log.
    Log,
    /// The instances of the service.
    Service,
    /// The messages of this session.
    Messages,
    /// The text of an event, with the cursor in it. Keys that mean nothing here are those of the log.
    Detail,
}

/// A group of actions in the help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// Moving from row to row.
    Move,
    /// Moving through time.
    Time,
    /// Playing and following.
    Play,
    /// Searching and filtering.
    Find,
    /// Marks and ranges.
    Marks,
    /// The text of an event.
    Event,
    /// Screens, help, and leaving.
    Screens,
}

impl Group {
    /// All groups, in the order of the help.
    const ALL: [Self; 7] = [Self::Move, Self::Time, Self::Play, Self::Find, Self::Marks, Self::Event, Self::Screens];

    /// Returns its title.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Move => "Move",
            Self::Time => "Time and zoom",
            Self::Play => "Play and follow",
            Self::Find => "Search and filter",
            Self::Marks => "Marks and ranges",
            Self::Event => "The event",
            Self::Screens => "Screens",
        }
    }
}

/// A line of the keymap.
#[derive(Debug, Clone, Copy)]
pub struct Binding {
    /// Scope in which the keys work.
    pub scope: KeyScope,
    /// The keys, by the names that [`Key`] parses.
    pub keys: &'static [&'static str],
    /// The action that the keys ask for.
    pub action: Action,
    /// Its group in the help.
    pub group: Group,
    /// Its name in the palette.
    pub name: &'static str,
    /// Other words for it, with commas between them.
    pub words: &'static str,
    /// A sentence for the help.
    pub help: &'static str,
}

const fn key(
    scope: KeyScope,
    group: Group,
    keys: &'static [&'static str],
    action: Action,
    (name, words): (&'static str, &'static str),
    help: &'static str,
) -> Binding {
    Binding { scope, keys, action, group, name, words, help }
}

use Group::{Event, Find, Marks, Move, Play, Screens, Time};
use KeyScope::{Always, Detail, Everywhere, Log, Logs, Messages, Service};

/// All bindings, in the order in which the help shows them.
#[rustfmt::skip]
pub const KEYMAP: &[Binding] = &[
    key(Detail, Event, &["down", "j"], Action::Down, ("next value", "down"), "the next value"),
    key(Detail, Event, &["up", "k"], Action::Up, ("previous value", "up"), "the previous value"),
    key(Detail, Event, &["="], Action::Only, ("only this value", "filter, equal"), "only events with this value; again on a number: at least, at most"),
    key(Detail, Event, &["!"], Action::Except, ("not this value", "hide, unequal"), "hide events with this value"),
    key(Detail, Event, &["c"], Action::AsColumn, ("as a column", "column"), "show this value as a column, or no longer"),
    key(Detail, Event, &["p"], Action::Plot, ("plot", "chart, graph, percentile, spread"), "plot this number over time in place of the bars, or no longer"),
    key(Detail, Find, &["n"], Action::NextHit, ("next other value", ""), "the next event with another value"),
    key(Detail, Find, &["N"], Action::PreviousHit, ("previous other value", ""), "the previous event with another value"),
    key(Detail, Event, &["y"], Action::Copy, ("copy the value", "yank, clipboard"), "copy this value"),
    key(Detail, Event, &["Y"], Action::CopyPath, ("copy the path", "yank path"), "copy the path of this value, as an expression has it"),
    key(Detail, Event, &["left", "h"], Action::Fold, ("fold", "collapse"), "show an object or an array as one line"),
    key(Detail, Event, &["right", "l"], Action::Unfold, ("unfold", "expand"), "show all lines of it"),
    key(Detail, Event, &["enter"], Action::ToList, ("to the list", "close"), "back to the list; esc, too"),
    key(Logs, Move, &["enter"], Action::Open, ("open", "enter"), "open the log under the cursor; fold or unfold a group"),
    key(Logs, Move, &["right", "l"], Action::Unfold, ("unfold", "expand"), "show the logs of a group"),
    key(Logs, Move, &["left", "h"], Action::Fold, ("fold", "collapse"), "show a group as one row"),
    key(Logs, Move, &["down", "j"], Action::Down, ("next log", "down"), "the next log"),
    key(Logs, Move, &["up", "k"], Action::Up, ("previous log", "up"), "the previous log"),
    key(Logs, Move, &["pgdn", "ctrl-d"], Action::PageDown, ("page down", ""), "a page down"),
    key(Logs, Move, &["pgup", "ctrl-u"], Action::PageUp, ("page up", ""), "a page up"),
    key(Logs, Move, &["home", "g"], Action::First, ("first log", "start, top"), "the first log"),
    key(Logs, Move, &["end", "G"], Action::Last, ("last log", "end, bottom"), "the last log"),
    key(Logs, Time, &["W"], Action::ChooseWindow, ("window", "hour, day, minute"), "show this much time in the strips: then 1 (1m) 2 (5m) 3 (1h) 4 (6h) 5 (1d) 6 (7d)"),
    key(Logs, Move, &["space"], Action::Pick, ("pick", "select, lanes, several, merge"), "pick the log, or all of a group; enter opens all that are picked as one"),
    key(Logs, Move, &["o"], Action::NextOrder, ("order", "sort"), "order by name, last event, rate, events, bytes"),
    key(Logs, Move, &["O"], Action::TurnOrder, ("turn the order", "reverse"), "turn the order around"),
    key(Logs, Screens, &["p"], Action::Preview, ("preview", "peek, describe"), "the bars and the newest events of the log under the cursor, or no longer"),
    key(Logs, Find, &["/"], Action::Search, ("find", "search, filter"), "find a log by some of its letters, in order"),
    key(Log, Move, &["down", "j", "."], Action::Down, ("next event", "down"), "the next event"),
    key(Log, Move, &["up", "k", ","], Action::Up, ("previous event", "up"), "the previous event"),
    key(Log, Move, &["pgdn", "ctrl-d"], Action::PageDown, ("page down", ""), "a page of events down"),
    key(Log, Move, &["pgup", "ctrl-u"], Action::PageUp, ("page up", ""), "a page of events up"),
    key(Log, Move, &["home", "g"], Action::First, ("oldest event", "first, start, top"), "the oldest event"),
    key(Log, Move, &["end", "G"], Action::Last, ("newest event", "last, end, bottom"), "the newest event up to now, and follow"),
    key(Log, Time, &["left"], Action::ScrubBack, ("scrub back", "earlier"), "one bar back"),
    key(Log, Time, &["right"], Action::ScrubForward, ("scrub forward", "later"), "one bar forward"),
    key(Log, Time, &["shift-left"], Action::ScrubBackTen, ("scrub ten back", ""), "ten bars back"),
    key(Log, Time, &["shift-right"], Action::ScrubForwardTen, ("scrub ten forward", ""), "ten bars forward"),
    key(Log, Time, &["t"], Action::GoTo, ("go to a time", "goto, jump, time"), "go to a time: 14:05 of that day, +1h, -1d, 2h ago, monday 9:00, feb 4 10:00, 2018-02-04T21:56:42Z, first, last, end"),
    key(Log, Time, &["+", "="], Action::ZoomIn, ("zoom in", "zoom, shorter bars"), "the next shorter bars"),
    key(Log, Time, &["-"], Action::ZoomOut, ("zoom out", "longer bars"), "the next longer bars"),
    key(Log, Time, &["0"], Action::ZoomAll, ("whole log", "zoom all, fit"), "show the whole log"),
    key(Log, Time, &["W"], Action::ChooseWindow, ("window", "hour, day, minute"), "show this much time: then 1 (1m) 2 (5m) 3 (1h) 4 (6h) 5 (1d) 6 (7d)"),
    key(Log, Time, &["S"], Action::Heights, ("scale", "linear, log scale, square root, heights"), "the height of bars: chosen by the counts, linear, by the square root, logarithmic"),
    key(Log, Time, &["L"], Action::Lanes, ("lanes", "several logs"), "of several logs: bars of each, or of all together"),
    key(Log, Move, &["a"], Action::NextOther, ("next of another log", ""), "of several logs: the next event of another one"),
    key(Log, Move, &["A"], Action::PreviousOther, ("previous of another log", ""), "of several logs: the previous event of another one"),
    key(Log, Time, &["{"], Action::PreviousBurst, ("previous burst", "peak"), "the previous burst: a bar of five times the ones before, or the first one after a silence"),
    key(Log, Time, &["}"], Action::NextBurst, ("next burst", "burst"), "the next burst"),
    key(Log, Find, &["e"], Action::NextError, ("next error", "error, failure, level"), "the next error: by level, severity or status, or a word such as ERROR"),
    key(Log, Find, &["E"], Action::PreviousError, ("previous error", ""), "the previous error"),
    key(Log, Time, &["u"], Action::Undo, ("undo", "back to where I was"), "undo the last jump"),
    key(Log, Time, &["U"], Action::Redo, ("redo", ""), "redo the jump"),
    key(Log, Time, &["T"], Action::NextTimeStyle, ("time style", "utc, timezone, tz, zone, age"), "times in the zone, in UTC, as ages, since the previous event"),
    key(Log, Play, &["space"], Action::Play, ("play", "pause, stop"), "play from the playhead, or pause"),
    key(Log, Play, &[">"], Action::Faster, ("faster", "speed, speed up"), "the next faster speed"),
    key(Log, Play, &["<"], Action::Slower, ("slower", "slow down"), "the next slower speed"),
    key(Log, Play, &["i"], Action::SkipSilence, ("skip silence", "gaps"), "play long pauses in two seconds, or in full"),
    key(Log, Play, &["f"], Action::Follow, ("follow", "live, tail"), "follow incoming events, or stop following"),
    key(Log, Find, &["/"], Action::Search, ("search", "find, grep"), "search: lowercase matches both cases, re: begins a regular expression"),
    key(Log, Find, &["n"], Action::NextHit, ("next hit", ""), "the next hit"),
    key(Log, Find, &["N"], Action::PreviousHit, ("previous hit", ""), "the previous hit"),
    key(Log, Find, &["&"], Action::Filter, ("filter", "only, where, hide"), "only events for which an expression is true (json.mag >= 4.5), or that have a text"),
    key(Log, Find, &["alt-1", "alt-2", "alt-3", "alt-4", "alt-5", "alt-6", "alt-7", "alt-8", "alt-9"], Action::Toggle(0), ("turn a filter on or off", "toggle"), "turn a filter on or off"),
    key(Log, Find, &["ctrl-f"], Action::ClearPatterns, ("clear search and filters", "clear, all events"), "end the search and all filters"),
    key(Log, Marks, &["m"], Action::Mark, ("mark", "bookmark"), "mark the playhead, or remove the mark"),
    key(Log, Marks, &["'"], Action::Marks, ("marks", "bookmarks"), "choose from all marks"),
    key(Log, Marks, &["["], Action::PreviousMark, ("previous mark", ""), "the previous mark"),
    key(Log, Marks, &["]"], Action::NextMark, ("next mark", ""), "the next mark"),
    key(Log, Marks, &["z"], Action::ZoomRange, ("zoom to the range", ""), "show the range in the whole scrubber"),
    key(Log, Marks, &["v"], Action::Range, ("range", "select"), "begin a range of time at the playhead, end it there, remove it"),
    key(Log, Marks, &["X"], Action::Export, ("export…", "save, write, file, download"), "write the events of the range, or else of the log, that pass the filters to a file"),
    key(Log, Marks, &["P"], Action::Replay, ("replay…", "publish again, resend"), "send these events to other subjects again, after a dry run that sends nothing"),
    key(Log, Event, &["enter"], Action::Open, ("event's text", "json, detail"), "put the cursor into the event's text; on a narrow screen, show it"),
    key(Log, Event, &["c"], Action::Columns, ("columns", "fields, table, sort"), "choose the columns of the list, or sort the window by one"),
    key(Log, Event, &["F"], Action::Folds, ("fold equal events", "fold rows, repeated, duplicates"), "equal events at the same time as one row, or each by itself; enter opens such a row"),
    key(Log, Event, &["tab"], Action::NextTab, ("pretty, raw, hex", "tab"), "the event as pretty, raw, hex, or its changes"),
    key(Log, Event, &["d"], Action::Changes, ("compare", "changes, diff, difference"), "the differences from the event before, or all of it again"),
    key(Log, Event, &["J"], Action::DetailDown, ("scroll text down", ""), "scroll the event's text down"),
    key(Log, Event, &["K"], Action::DetailUp, ("scroll text up", ""), "scroll the event's text up"),
    key(Log, Event, &["l"], Action::Right, ("scroll right", ""), "scroll long rows to the right"),
    key(Log, Event, &["h"], Action::Left, ("scroll left", ""), "scroll long rows to the left"),
    key(Log, Event, &["w"], Action::Wrap, ("wrap", "lines"), "wrap long lines of the event, or cut them"),
    key(Log, Event, &["y"], Action::Copy, ("copy", "yank, clipboard"), "copy: then y (data) e (event as JSON) t (time) l (line that opens this view) r (command that reads the range)"),
    key(Service, Move, &["down", "j"], Action::Down, ("next instance", "down"), "the next instance"),
    key(Service, Move, &["up", "k"], Action::Up, ("previous instance", "up"), "the previous instance"),
    key(Service, Move, &["home", "g"], Action::First, ("first instance", "start, top"), "the first instance"),
    key(Service, Move, &["end", "G"], Action::Last, ("last instance", "end, bottom"), "the last instance"),
    key(Service, Screens, &["d"], Action::CopyDoctor, ("copy doctor", "copy, yank, check, doctor"), "copy the command that checks every part on the way"),
    key(Messages, Move, &["down", "j"], Action::Down, ("older message", "down"), "the next older message"),
    key(Messages, Move, &["up", "k"], Action::Up, ("newer message", "up"), "the next newer message"),
    key(Messages, Move, &["pgdn", "ctrl-d"], Action::PageDown, ("page down", ""), "a page down"),
    key(Messages, Move, &["pgup", "ctrl-u"], Action::PageUp, ("page up", ""), "a page up"),
    key(Messages, Move, &["home", "g"], Action::First, ("newest message", "first, start, top"), "the newest message"),
    key(Messages, Move, &["end", "G"], Action::Last, ("oldest message", "last, end, bottom"), "the oldest message"),
    key(Messages, Find, &["/"], Action::Search, ("find", "search, filter"), "only messages with a text; lowercase matches both cases"),
    key(Messages, Find, &["y"], Action::Copy, ("copy", "yank, clipboard"), "copy the message under the cursor, with its time"),
    key(Everywhere, Screens, &["1"], Action::ShowLogs, ("list of logs", "all logs"), "the list of logs"),
    key(Everywhere, Screens, &["2"], Action::ShowLog, ("open log", "last log"), "the log that was open last"),
    key(Everywhere, Screens, &["3"], Action::ShowService, ("service", "instances, status, endpoints, archive, lag, stream"), "the service: its instances, their endpoints, and what waits for the archive"),
    key(Everywhere, Screens, &["4"], Action::ShowMessages, ("messages", "errors, notices, outages, log of messages"), "the messages of this session: notices, errors, outages and recoveries"),
    key(Everywhere, Screens, &["esc", "backspace"], Action::Back, ("take away", ""), "take away the newest thing: help, prompt, search, range, filter"),
    key(Everywhere, Screens, &["?"], Action::Help, ("help", "keys"), "show all keys"),
    key(Everywhere, Screens, &[":", "ctrl-p"], Action::Palette, ("commands", ""), "find any action, mark or log by some of its letters"),
    key(Log, Screens, &["q"], Action::Leave, ("back to the logs", "back, logs, close"), "back to the list of logs"),
    key(Service, Screens, &["q"], Action::Leave, ("back", "close"), "back to where you were"),
    key(Messages, Screens, &["q"], Action::Leave, ("back", "close"), "back to where you were"),
    key(Logs, Screens, &["q"], Action::Quit, ("quit", "exit, back"), "quit"),
    key(Always, Screens, &["ctrl-c"], Action::Quit, ("quit", "exit"), "quit, even while typing"),
    key(Always, Screens, &["ctrl-z"], Action::Suspend, ("suspend", "shell"), "back to the shell; fg goes on"),
    key(Everywhere, Screens, &["f2"], Action::Mouse, ("mouse", "click"), "turn the mouse on or off: clicks go to rows and bars, dragging over bars makes a range"),
    key(Always, Screens, &["ctrl-l"], Action::Redraw, ("redraw", ""), "draw the screen again"),
];

/// Returns the groups of the help, each with its bindings.
pub(crate) fn groups(scope: KeyScope) -> Vec<(Group, Vec<&'static Binding>)> {
    let of = |group: Group| bindings(scope).filter(move |binding| binding.group == group).collect::<Vec<_>>();
    Group::ALL.into_iter().map(|group| (group, of(group))).filter(|(_, bindings)| !bindings.is_empty()).collect()
}

/// Returns the bindings that work in `scope`, in the order of the table.
pub(crate) fn bindings(scope: KeyScope) -> impl Iterator<Item = &'static Binding> {
    let works = move |binding: &&Binding| match binding.scope {
        KeyScope::Always => true,
        KeyScope::Everywhere => scope != KeyScope::Always,
        KeyScope::Log if scope == KeyScope::Detail => !is_taken(binding),
        own => own == scope,
    };
    KEYMAP.iter().filter(works)
}

/// Returns true for a binding of the log whose first key means something else in the detail.
fn is_taken(binding: &Binding) -> bool {
    KEYMAP.iter().any(|other| other.scope == KeyScope::Detail && other.keys.contains(&binding.keys[0]))
}

/// Returns the action that `key` asks for in `scope`.
pub(crate) fn action(scope: KeyScope, key: Key) -> Option<Action> {
    let index = |binding: &Binding| binding.keys.iter().position(|name| name.parse() == Ok(key));
    let (action, index) = bindings(scope).find_map(|binding| Some((binding.action, index(binding)?)))?;
    // Each of its keys is for a filter of its own.
    Some(if let Action::Toggle(_) = action { Action::Toggle(index) } else { action })
}
