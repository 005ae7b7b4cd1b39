//! The choices of the palette: every action, mark and log, by some of its letters.

use hourlog::{LogId, Position};

use crate::{
    tui::{
        fuzzy,
        keymap::{self, Action, KeyScope},
        state::State,
    },
    when,
};

/// Limit of the choices on the screen.
pub(crate) const CHOICES_MAX: usize = 12;

/// A row of the palette.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Choice {
    /// The text of the row, which is matched.
    pub(crate) text: String,
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

impl AsRef<str> for Choice {
    fn as_ref(&self) -> &str {
        &self.text
    }
}

/// Returns the choices that match `text`, best match first.
pub(crate) fn choices(state: &State, text: &str) -> Vec<Choice> {
    let bindings = keymap::bindings(state.key_scope())
        .filter(|binding| binding.scope != KeyScope::Always && binding.action != Action::Palette);
    let actions = bindings.map(|binding| Choice {
        text: binding.help.to_owned(),
        key: binding.keys[0],
        target: Target::Action(binding.action),
    });
    let ids = state.logs.rows().into_iter().flatten().map(|row| row.log.clone());
    let logs = ids.map(|id| Choice { text: format!("log {id}"), key: "", target: Target::Log(id) });
    let marks = state.log.iter().flat_map(|log| &log.marks).map(|position| Choice {
        text: format!("mark {}", when::show(position.offset, state.shown_zone())),
        key: "",
        target: Target::Position(*position),
    });
    let mut matches = fuzzy::find(marks.chain(actions).chain(logs).collect(), text);
    matches.truncate(CHOICES_MAX);
    matches
}
