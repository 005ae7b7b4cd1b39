//! The choices of the palette: every action, mark and log, by its name or another word for it.

use std::cmp::Reverse;

use hourlog::{LogId, Position};

use crate::{
    tui::{
        fuzzy,
        keymap::{self, Action},
        state::State,
    },
    when,
};

/// Limit of the choices on the screen.
pub(crate) const CHOICES_MAX: usize = 12;

/// Beginning of the names of marks.
pub(crate) const MARK: &str = "mark ";
/// Beginning of the names of logs.
const LOG: &str = "log ";

/// A row of the palette.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Choice {
    /// The name, which is matched first.
    pub(crate) name: String,
    /// Other words for it.
    words: &'static str,
    /// A sentence about it, of which only whole words are matched.
    pub(crate) help: &'static str,
    /// The key that does the same; empty if there is none.
    pub(crate) key: &'static str,
    /// The target of the choice.
    pub(crate) target: Target,
}

/// The target of a choice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// Performs an action.
    Action(Action),
    /// Opens a log.
    Log(LogId),
    /// Jumps to a position.
    Position(Position),
}

/// Returns the choices that match `text`, best match first.
pub(crate) fn choices(state: &State, text: &str) -> Vec<Choice> {
    let bindings = keymap::bindings(state.key_scope()).filter(|binding| binding.action != Action::Palette);
    let actions = bindings.map(|binding| Choice {
        name: binding.name.to_owned(),
        words: binding.words,
        help: binding.help,
        key: binding.keys[0],
        target: Target::Action(binding.action),
    });
    let plain = |name: String, target: Target| Choice { name, words: "", help: "", key: "", target };
    let ids = state.logs.rows().into_iter().flatten().map(|row| row.log.clone());
    let logs = ids.map(|id| plain(format!("{LOG}{id}"), Target::Log(id)));
    let marks = state.log.iter().flat_map(|log| &log.marks).map(|position| {
        let time = when::show(position.offset, state.shown_zone());
        plain(format!("{MARK}{time}"), Target::Position(*position))
    });
    // After `mark` and a blank, only marks are meant; the same for logs.
    let mut matches = match (text.strip_prefix(MARK), text.strip_prefix(LOG)) {
        (Some(text), _) => ranked(marks, text.trim()),
        // `log of messages` is a name of an action.
        (_, Some(log)) => ranked(logs, log.trim()).into_iter().chain(ranked(actions, text.trim())).collect(),
        (None, None) => ranked(marks.chain(actions).chain(logs), text.trim()),
    };
    matches.truncate(CHOICES_MAX);
    matches
}

/// Returns the choices that match a text, best match first. An empty text returns all of them.
fn ranked(choices: impl Iterator<Item = Choice>, text: &str) -> Vec<Choice> {
    let mut matches: Vec<(i64, Choice)> = choices.filter_map(|choice| Some((score(&choice, text)?, choice))).collect();
    // The sort is stable: equal matches keep their order.
    matches.sort_by_key(|(score, _)| Reverse(*score));
    matches.into_iter().map(|(_, choice)| choice).collect()
}

/// Returns how well a choice matches: its name and other words before the sentence about it.
fn score(choice: &Choice, text: &str) -> Option<i64> {
    /// Scores of whole matches, above all that the matcher gives.
    const NAME: i64 = 40_000;
    const WORD: i64 = 30_000;
    const START: i64 = 20_000;
    const SENTENCE: i64 = -10_000;
    if text.is_empty() {
        return Some(0);
    }
    let lower = text.to_lowercase();
    let is_word = |words: &str| words.split([' ', ',', ';', ':']).any(|word| word.eq_ignore_ascii_case(&lower));
    if choice.name.eq_ignore_ascii_case(&lower) {
        return Some(NAME);
    }
    if choice.words.split(", ").any(|word| word.eq_ignore_ascii_case(&lower)) {
        return Some(WORD);
    }
    if choice.name.to_lowercase().starts_with(&lower) || is_word(&choice.name) {
        return Some(START);
    }
    let named = fuzzy::score(&choice.name, text);
    let other = choice.words.split(", ").filter_map(|word| fuzzy::score(word, text)).max();
    named.max(other).or_else(|| is_word(choice.help).then_some(SENTENCE))
}
