//! The keymap. Help, footer, palette and the tests' key strings are made from this table, so none
//! of them goes stale.

use crate::tui::key::Key;

/// An action that a key asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Leave the console.
    Quit,
    /// Leave the log.
    Leave,
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
    /// Show half as much time.
    ZoomIn,
    /// Show twice as much time.
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
    /// Scroll the detail down.
    DetailDown,
    /// Scroll the detail up.
    DetailUp,
    /// Turn wrapping of long lines in the detail on or off.
    Wrap,
    /// Copy the event, or the command that reads the range.
    Copy,
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
    /// A word or two for the footer; empty if the footer does not show the binding.
    pub hint: &'static str,
    /// A sentence for the help.
    pub help: &'static str,
}

const fn binding(
    scope: KeyScope,
    keys: &'static [&'static str],
    action: Action,
    hint: &'static str,
    help: &'static str,
) -> Binding {
    Binding { scope, keys, action, hint, help }
}

/// All bindings, in the order in which the help shows them.
pub const KEYMAP: &[Binding] = &[
    binding(KeyScope::Logs, &["enter", "right", "l"], Action::Open, "open", "open the log under the cursor"),
    binding(KeyScope::Logs, &["down", "j"], Action::Down, "", "the next log"),
    binding(KeyScope::Logs, &["up", "k"], Action::Up, "", "the previous log"),
    binding(KeyScope::Logs, &["pgdn", "ctrl-d"], Action::PageDown, "", "a page down"),
    binding(KeyScope::Logs, &["pgup", "ctrl-u"], Action::PageUp, "", "a page up"),
    binding(KeyScope::Logs, &["home", "g"], Action::First, "", "the first log"),
    binding(KeyScope::Logs, &["end", "G"], Action::Last, "", "the last log"),
    binding(KeyScope::Logs, &["/"], Action::Search, "find", "find a log by some of its letters, in order"),
    binding(KeyScope::Log, &["left"], Action::ScrubBack, "scrub", "scrub one bar back"),
    binding(KeyScope::Log, &["right"], Action::ScrubForward, "", "scrub one bar forward"),
    binding(KeyScope::Log, &["shift-left"], Action::ScrubBackTen, "", "scrub ten bars back"),
    binding(KeyScope::Log, &["shift-right"], Action::ScrubForwardTen, "", "scrub ten bars forward"),
    binding(KeyScope::Log, &["space"], Action::Play, "play", "play from here, or pause"),
    binding(
        KeyScope::Log,
        &["t"],
        Action::GoTo,
        "go to",
        "go to a time: 14:05, 2h ago, yesterday 9:00, 2018-02-04T21:56:42Z, first, last, end",
    ),
    binding(KeyScope::Log, &["f"], Action::Follow, "follow", "follow incoming events, or stop following"),
    binding(KeyScope::Log, &["+", "="], Action::ZoomIn, "zoom", "zoom in: show half as much time"),
    binding(KeyScope::Log, &["-"], Action::ZoomOut, "", "zoom out: show twice as much time"),
    binding(KeyScope::Log, &["0"], Action::ZoomAll, "", "the whole log"),
    binding(
        KeyScope::Log,
        &["W"],
        Action::ChooseWindow,
        "",
        "show this much time: then 1 (1m) 2 (5m) 3 (1h) 4 (6h) 5 (1d) 6 (7d)",
    ),
    binding(
        KeyScope::Log,
        &["enter"],
        Action::Open,
        "",
        "show the event over the whole width, if the screen is too narrow for both",
    ),
    binding(KeyScope::Log, &["down", "j", "."], Action::Down, "", "the next event"),
    binding(KeyScope::Log, &["up", "k", ","], Action::Up, "", "the previous event"),
    binding(KeyScope::Log, &["pgdn", "ctrl-d"], Action::PageDown, "", "a page of events down"),
    binding(KeyScope::Log, &["pgup", "ctrl-u"], Action::PageUp, "", "a page of events up"),
    binding(KeyScope::Log, &["home", "g"], Action::First, "", "the oldest event"),
    binding(KeyScope::Log, &["end", "G"], Action::Last, "", "the newest event up to now, and follow"),
    binding(KeyScope::Log, &[">"], Action::Faster, "", "play twice as fast"),
    binding(KeyScope::Log, &["<"], Action::Slower, "", "play half as fast"),
    binding(
        KeyScope::Log,
        &["i"],
        Action::SkipSilence,
        "",
        "skip silence while playing: longer pauses between events take two seconds",
    ),
    binding(
        KeyScope::Log,
        &["/"],
        Action::Search,
        "search",
        "search: lowercase matches both cases, re: begins a regular expression",
    ),
    binding(KeyScope::Log, &["n"], Action::NextHit, "", "the next hit"),
    binding(KeyScope::Log, &["N"], Action::PreviousHit, "", "the previous hit"),
    binding(
        KeyScope::Log,
        &["&"],
        Action::Filter,
        "",
        "hide events that do not match a text, or a regular expression after re:",
    ),
    binding(KeyScope::Log, &["ctrl-f"], Action::ClearPatterns, "", "end search and filter"),
    binding(KeyScope::Log, &["m"], Action::Mark, "", "mark this event, or remove the mark"),
    binding(KeyScope::Log, &["'"], Action::Marks, "", "choose from all marks"),
    binding(KeyScope::Log, &["["], Action::PreviousMark, "", "the previous mark"),
    binding(KeyScope::Log, &["]"], Action::NextMark, "", "the next mark"),
    binding(
        KeyScope::Log,
        &["{"],
        Action::PreviousBurst,
        "",
        "the previous burst: where events begin after a time without any",
    ),
    binding(KeyScope::Log, &["}"], Action::NextBurst, "", "the next burst"),
    binding(KeyScope::Log, &["v"], Action::Range, "", "begin a range of time here, end it here, remove it"),
    binding(KeyScope::Log, &["u"], Action::Undo, "", "undo the last jump"),
    binding(KeyScope::Log, &["U"], Action::Redo, "", "redo the jump"),
    binding(
        KeyScope::Log,
        &["T"],
        Action::NextTimeStyle,
        "",
        "times as local, UTC, how long ago, since the previous event",
    ),
    binding(KeyScope::Log, &["tab"], Action::NextTab, "", "the event as pretty, raw, hex, headers"),
    binding(KeyScope::Log, &["J"], Action::DetailDown, "", "scroll the event's text down"),
    binding(KeyScope::Log, &["K"], Action::DetailUp, "", "scroll the event's text up"),
    binding(KeyScope::Log, &["l"], Action::Right, "", "scroll the events' data right"),
    binding(KeyScope::Log, &["h"], Action::Left, "", "scroll the events' data left"),
    binding(KeyScope::Log, &["w"], Action::Wrap, "", "wrap long lines of the event, or cut them"),
    binding(
        KeyScope::Log,
        &["y"],
        Action::Copy,
        "",
        "copy the event as JSON, or the command that reads the range if there is one",
    ),
    binding(
        KeyScope::Everywhere,
        &["esc", "backspace"],
        Action::Back,
        "",
        "take away the newest thing: help, prompt, search, range, filter",
    ),
    binding(KeyScope::Everywhere, &["?"], Action::Help, "help", "show all keys"),
    binding(
        KeyScope::Everywhere,
        &[":", "ctrl-p"],
        Action::Palette,
        "all",
        "find any action, mark or log by some of its letters",
    ),
    binding(KeyScope::Log, &["q"], Action::Leave, "back", "back to the list of logs"),
    binding(KeyScope::Logs, &["q"], Action::Quit, "quit", "quit"),
    binding(KeyScope::Always, &["ctrl-c"], Action::Quit, "", "quit, even while typing"),
    binding(KeyScope::Always, &["ctrl-z"], Action::Suspend, "", "back to the shell; fg goes on"),
    binding(KeyScope::Always, &["ctrl-l"], Action::Redraw, "", "draw the screen again"),
];

/// Returns the bindings that work in `scope`, in the order of the table.
pub(crate) fn bindings(scope: KeyScope) -> impl Iterator<Item = &'static Binding> {
    let works = move |binding: &&Binding| match binding.scope {
        KeyScope::Always => true,
        KeyScope::Everywhere => scope != KeyScope::Always,
        own => own == scope,
    };
    KEYMAP.iter().filter(works)
}

/// Returns the action that `key` asks for in `scope`.
pub(crate) fn action(scope: KeyScope, key: Key) -> Option<Action> {
    let has_key = |binding: &&Binding| binding.keys.iter().any(|name| name.parse() == Ok(key));
    bindings(scope).find(has_key).map(|binding| binding.action)
}
