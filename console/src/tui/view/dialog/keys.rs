//! The keys of the dialogs for an export and a replay.

use crate::tui::state::{Dialog, Prompt, PromptKind, Stage};

use super::super::looks::Looks;

/// Returns the keys that are possible now, with a word for each.
pub(in crate::tui::view) fn possible(dialog: &Dialog, prompt: &Prompt, looks: Looks) -> Vec<(String, &'static str)> {
    let is_export = prompt.kind == PromptKind::Export;
    let key = |name: &str, word: &'static str| (looks.key(name), word);
    if dialog.is_busy() {
        return vec![key("esc", "stops"), key("y", "command")];
    }
    let enter = match &dialog.stage {
        Stage::Done(_) => "closes",
        Stage::Blocked(_) => "replaces",
        Stage::Planned(_) => "publishes",
        _ if is_export => "writes",
        _ => "dry run",
    };
    if dialog.is_editing {
        return vec![key("enter", enter), key("tab", "done with it"), key("esc", "back")];
    }
    let mut keys = vec![key("enter", enter), key("tab", if is_export { "name" } else { "subject" })];
    if !is_export {
        keys.push((["left", "right"].map(|name| looks.key(name)).join(looks.drawn("", " ")), "speed"));
        keys.push(key("i", "into a log"));
    }
    keys.extend([key("y", "copy"), key("esc", "back")]);
    keys
}
