//! The palette: everything that can be done, and every log, by some of its letters.

use hourlog::{LogId, Position};

use crate::{
    tui::{
        fuzzy,
        keymap::{self, Action, Place},
        state::State,
    },
    when,
};

/// The choices that are shown.
pub(crate) const CHOICES_MAX: usize = 12;

/// Something that can be chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Choice {
    /// What it says.
    pub(crate) text: String,
    /// The key that does the same.
    pub(crate) key: &'static str,
    /// What it does.
    pub(crate) does: Does,
}

/// What a choice does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Does {
    Act(Action),
    Open(LogId),
    Go(Position),
}

impl AsRef<str> for Choice {
    fn as_ref(&self) -> &str {
        &self.text
    }
}

/// What there is to choose for `text`, the best first.
pub(crate) fn choices(state: &State, text: &str) -> Vec<Choice> {
    let bindings = keymap::bindings(Place::of(state))
        .filter(|binding| binding.place != Place::Always && binding.action != Action::Palette);
    let actions = bindings.map(|binding| Choice {
        text: binding.help.to_owned(),
        key: binding.keys[0],
        does: Does::Act(binding.action),
    });
    let ids = state.logs.rows.iter().flatten().filter_map(|row| row.log.parse::<LogId>().ok());
    let logs = ids.map(|id| Choice { text: format!("log {id}"), key: "", does: Does::Open(id) });
    let places = state.log.iter().flat_map(|log| &log.marks).map(|place| Choice {
        text: format!("mark {}", when::show(place.offset, &state.zone)),
        key: "",
        does: Does::Go(*place),
    });
    let mut found = fuzzy::find(places.chain(actions).chain(logs).collect(), text);
    found.truncate(CHOICES_MAX);
    found
}
