//! What keys do. The help, the footer and the tests' key strings are made from this table, so none of them is ever stale.

use std::{fmt, str::FromStr};

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use crate::tui::state::State;

/// A key with what is held beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key {
    /// The key. A letter is what was typed: `G` has no Shift.
    pub code: KeyCode,
    /// Ctrl, Alt, and for keys that are no letters Shift.
    pub modifiers: KeyModifiers,
}

/// What a key asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Leave the console.
    Quit,
    /// Show what keys do.
    Help,
    /// Choose among everything that can be done.
    Palette,
    /// Leave what is shown: a help, a prompt, a log.
    Back,
    /// Open what the cursor is on.
    Open,
    /// The next row.
    Down,
    /// The row before.
    Up,
    /// A page of rows on.
    PageDown,
    /// A page of rows back.
    PageUp,
    /// To the first row, or the oldest event.
    First,
    /// To the last row; in a log to the newest event, which is then followed.
    Last,
    /// A bin of the scrubber back.
    BinBack,
    /// A bin on.
    BinOn,
    /// Ten bins back.
    TenBinsBack,
    /// Ten bins on.
    TenBinsOn,
    /// Half as much time.
    ZoomIn,
    /// Twice as much time.
    ZoomOut,
    /// The whole log.
    ZoomAll,
    /// Choose how much time the scrubber shows.
    Window,
    /// Go to a time.
    GoTo,
    /// Show times another way.
    TimeStyle,
    /// Set, or take away, a mark at the playhead.
    Mark,
    /// Choose among the marks.
    Marks,
    /// To the mark before.
    MarkBack,
    /// To the next mark.
    MarkOn,
    /// To the stretch without events, or the one with many, before.
    GapBack,
    /// To the next one.
    GapOn,
    /// Undo the last jump.
    Undo,
    /// Jump again.
    Redo,
    /// Follow what comes, or stop.
    Follow,
    /// Play, or pause.
    Play,
    /// Twice as fast.
    Faster,
    /// Half as fast.
    Slower,
    /// Skip stretches without events, or do not.
    SkipSilence,
    /// Search.
    Search,
    /// To the next hit.
    HitOn,
    /// To the hit before.
    HitBack,
    /// Hide what does not match.
    Filter,
    /// Search and filter no longer.
    AllOff,
    /// Begin a range of time, end it, or take it away.
    Range,
    /// Show the next kind of detail.
    Tab,
    /// What events hold, further right.
    Right,
    /// What events hold, further left.
    Left,
    /// The event's text, further down.
    TextDown,
    /// The event's text, further up.
    TextUp,
    /// Break the event's long lines, or do not.
    Wrap,
    /// Copy the event.
    Copy,
}

/// Where a key has a meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Everywhere, also while something is typed.
    Always,
    /// Wherever nothing is typed.
    Everywhere,
    /// In the list of logs.
    Logs,
    /// In a log.
    Log,
}

impl Place {
    /// Where one is.
    pub(crate) fn of(state: &State) -> Self {
        if state.log.is_some() { Self::Log } else { Self::Logs }
    }
}

/// A line of the table.
#[derive(Debug, Clone, Copy)]
pub struct Binding {
    /// Where.
    pub place: Place,
    /// The keys, as [`Key`] reads them.
    pub keys: &'static [&'static str],
    /// What they ask for.
    pub action: Action,
    /// A word or two, for the footer; empty for what is not shown there.
    pub hint: &'static str,
    /// A sentence, for the help.
    pub help: &'static str,
}

const fn binding(
    place: Place,
    keys: &'static [&'static str],
    action: Action,
    hint: &'static str,
    help: &'static str,
) -> Binding {
    Binding { place, keys, action, hint, help }
}

/// All of them, in the order in which the help shows them.
pub const KEYMAP: &[Binding] = &[
    binding(Place::Logs, &["enter", "right", "l"], Action::Open, "open", "open the log under the cursor"),
    binding(Place::Logs, &["down", "j"], Action::Down, "", "the next log"),
    binding(Place::Logs, &["up", "k"], Action::Up, "", "the log before"),
    binding(Place::Logs, &["pgdn", "ctrl-d"], Action::PageDown, "", "a page on"),
    binding(Place::Logs, &["pgup", "ctrl-u"], Action::PageUp, "", "a page back"),
    binding(Place::Logs, &["home", "g"], Action::First, "", "the first log"),
    binding(Place::Logs, &["end", "G"], Action::Last, "", "the last log"),
    binding(Place::Logs, &["/"], Action::Search, "find", "find a log: some of its letters, in order"),
    binding(Place::Log, &["left"], Action::BinBack, "scrub", "scrub: a bar of the scrubber back"),
    binding(Place::Log, &["right"], Action::BinOn, "", "scrub: a bar on"),
    binding(Place::Log, &["shift-left"], Action::TenBinsBack, "", "scrub: ten bars back"),
    binding(Place::Log, &["shift-right"], Action::TenBinsOn, "", "scrub: ten bars on"),
    binding(Place::Log, &["space"], Action::Play, "play", "play from here, or pause"),
    binding(
        Place::Log,
        &["t"],
        Action::GoTo,
        "go to",
        "go to a time: 14:05, 2h ago, yesterday 9:00, 2018-02-04T21:56:42Z",
    ),
    binding(Place::Log, &["f"], Action::Follow, "follow", "follow what comes, or stop"),
    binding(Place::Log, &["+", "="], Action::ZoomIn, "zoom", "half as much time in the scrubber, about the playhead"),
    binding(Place::Log, &["-"], Action::ZoomOut, "", "twice as much time"),
    binding(Place::Log, &["0"], Action::ZoomAll, "", "the whole log"),
    binding(Place::Log, &["W"], Action::Window, "", "choose how much: then 1 (1m) 2 (5m) 3 (1h) 4 (6h) 5 (1d) 6 (7d)"),
    binding(
        Place::Log,
        &["enter"],
        Action::Open,
        "",
        "the event over the whole width, where there is no room beside the list",
    ),
    binding(Place::Log, &["down", "j", "."], Action::Down, "", "the next event"),
    binding(Place::Log, &["up", "k", ","], Action::Up, "", "the event before"),
    binding(Place::Log, &["pgdn", "ctrl-d"], Action::PageDown, "", "a page of events on"),
    binding(Place::Log, &["pgup", "ctrl-u"], Action::PageUp, "", "a page of events back"),
    binding(Place::Log, &["home", "g"], Action::First, "", "the oldest event"),
    binding(Place::Log, &["end", "G"], Action::Last, "", "the newest event, and follow"),
    binding(Place::Log, &[">"], Action::Faster, "", "play twice as fast"),
    binding(Place::Log, &["<"], Action::Slower, "", "play half as fast"),
    binding(
        Place::Log,
        &["i"],
        Action::SkipSilence,
        "",
        "skip silence while playing: what would take more than two seconds takes two",
    ),
    binding(
        Place::Log,
        &["/"],
        Action::Search,
        "search",
        "search: small letters match both cases, re: begins a regular expression",
    ),
    binding(Place::Log, &["n"], Action::HitOn, "", "the next hit"),
    binding(Place::Log, &["N"], Action::HitBack, "", "the hit before"),
    binding(Place::Log, &["&"], Action::Filter, "", "hide events without a text, or a regular expression behind re:"),
    binding(Place::Log, &["ctrl-f"], Action::AllOff, "", "search and hide no longer"),
    binding(Place::Log, &["m"], Action::Mark, "", "mark this place, or take the mark away"),
    binding(Place::Log, &["'"], Action::Marks, "", "all marks, to go to one"),
    binding(Place::Log, &["["], Action::MarkBack, "", "the mark before"),
    binding(Place::Log, &["]"], Action::MarkOn, "", "the next mark"),
    binding(Place::Log, &["{"], Action::GapBack, "", "the burst before: where events begin after a stretch without"),
    binding(Place::Log, &["}"], Action::GapOn, "", "the next burst"),
    binding(Place::Log, &["v"], Action::Range, "", "begin a range of time here, end it here, take it away"),
    binding(Place::Log, &["u"], Action::Undo, "", "back to before the last jump"),
    binding(Place::Log, &["U"], Action::Redo, "", "jump again"),
    binding(Place::Log, &["T"], Action::TimeStyle, "", "times as local, UTC, how long ago, since the event before"),
    binding(Place::Log, &["tab"], Action::Tab, "", "the event as pretty, raw, hex, headers"),
    binding(Place::Log, &["J"], Action::TextDown, "", "the event's text, further down"),
    binding(Place::Log, &["K"], Action::TextUp, "", "the event's text, further up"),
    binding(Place::Log, &["l"], Action::Right, "", "what events hold, further right"),
    binding(Place::Log, &["h"], Action::Left, "", "what events hold, further left"),
    binding(Place::Log, &["w"], Action::Wrap, "", "break the event's long lines, or do not"),
    binding(
        Place::Log,
        &["y"],
        Action::Copy,
        "",
        "copy the event as JSON, or where there is a range, the command that reads it",
    ),
    binding(Place::Everywhere, &["esc", "backspace"], Action::Back, "", "back: out of a prompt, a help, a log"),
    binding(Place::Everywhere, &["?"], Action::Help, "help", "what keys do"),
    binding(
        Place::Everywhere,
        &[":", "ctrl-p"],
        Action::Palette,
        "all",
        "everything that can be done, and every log, by some of its letters",
    ),
    binding(Place::Everywhere, &["q"], Action::Quit, "quit", "leave"),
    binding(Place::Always, &["ctrl-c"], Action::Quit, "", "leave, also while something is typed"),
];

/// What can be done in `place`, in the order of the table.
pub(crate) fn bindings(place: Place) -> impl Iterator<Item = &'static Binding> {
    let is_there = move |binding: &&Binding| match binding.place {
        Place::Always => true,
        Place::Everywhere => place != Place::Always,
        own => own == place,
    };
    KEYMAP.iter().filter(is_there)
}

/// What `key` asks for in `place`.
pub fn action(place: Place, key: Key) -> Option<Action> {
    let meant = |binding: &&Binding| binding.keys.iter().any(|text| text.parse() == Ok(key));
    bindings(place).find(meant).map(|binding| binding.action)
}

impl From<char> for Key {
    /// A letter that is typed, or pasted.
    fn from(letter: char) -> Self {
        Self { code: KeyCode::Char(letter), modifiers: KeyModifiers::NONE }
    }
}

impl From<KeyEvent> for Key {
    fn from(event: KeyEvent) -> Self {
        let mut modifiers = event.modifiers & (KeyModifiers::CONTROL | KeyModifiers::ALT | KeyModifiers::SHIFT);
        if matches!(event.code, KeyCode::Char(_) | KeyCode::BackTab) {
            modifiers -= KeyModifiers::SHIFT;
        }
        Self { code: event.code, modifiers }
    }
}

const PREFIXES: [(&str, KeyModifiers); 3] =
    [("ctrl-", KeyModifiers::CONTROL), ("alt-", KeyModifiers::ALT), ("shift-", KeyModifiers::SHIFT)];
const NAMES: [(&str, KeyCode); 15] = [
    ("enter", KeyCode::Enter),
    ("esc", KeyCode::Esc),
    ("tab", KeyCode::Tab),
    ("backspace", KeyCode::Backspace),
    ("space", KeyCode::Char(' ')),
    ("left", KeyCode::Left),
    ("right", KeyCode::Right),
    ("up", KeyCode::Up),
    ("down", KeyCode::Down),
    ("home", KeyCode::Home),
    ("end", KeyCode::End),
    ("pgup", KeyCode::PageUp),
    ("pgdn", KeyCode::PageDown),
    ("del", KeyCode::Delete),
    ("ins", KeyCode::Insert),
];

impl FromStr for Key {
    type Err = ();

    /// `j`, `G`, `enter`, `shift-left`, `ctrl-d`.
    fn from_str(text: &str) -> Result<Self, ()> {
        let (mut rest, mut modifiers) = (text, KeyModifiers::NONE);
        for (prefix, modifier) in PREFIXES {
            if let Some(behind) = rest.strip_prefix(prefix) {
                rest = behind;
                modifiers |= modifier;
            }
        }
        let mut letters = rest.chars();
        let code = match (letters.next(), letters.next()) {
            (Some(letter), None) => KeyCode::Char(letter),
            _ => NAMES.iter().find(|(name, _)| *name == rest).map(|(_, code)| *code).ok_or(())?,
        };
        Ok(Self { code, modifiers })
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, modifier) in PREFIXES {
            if self.modifiers.contains(modifier) {
                f.write_str(name)?;
            }
        }
        match (NAMES.iter().find(|(_, code)| *code == self.code), self.code) {
            (Some((name, _)), _) => f.write_str(name),
            (None, KeyCode::Char(letter)) => write!(f, "{letter}"),
            (None, code) => write!(f, "{code}"),
        }
    }
}
