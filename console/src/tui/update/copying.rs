//! Copying: a text is sent to the terminal, which may put it into the clipboard.

use hourlog::Offset;

use crate::{
    output::{human_bytes, to_json},
    shell,
    tui::{msg::Effect, state::State},
    when,
};

/// The most bytes of a text that terminals take for the clipboard.
const CLIPBOARD_BYTES_MAX: usize = 74_994;

/// Copies the command that reads the range, or else the event.
pub(super) fn copy(state: &mut State, effects: &mut Vec<Effect>) {
    let Some(log) = &state.log else { return };
    if let Some((from, last)) = log.range_times() {
        // `--until` is exclusive, and a range includes its last event.
        let until: Offset = last.saturating_add_nanos(1);
        let options = format!("{} --since {from} --until {until}", state.flags);
        let command = shell::command("read", &options, &log.id, "");
        send(state, effects, "the command that reads the range", command);
    } else if let Some(event) = log.detail_event() {
        let json = to_json(&hourlog::wire::json::JsonEvent::from(event));
        let time = when::show(event.position.offset, state.shown_zone());
        if json.len() <= CLIPBOARD_BYTES_MAX {
            return send(state, effects, &format!("the event of {time}"), json);
        }
        let options = format!("{} --position {}", state.flags, event.position);
        let command = shell::command("read", &options, &log.id, "");
        send(state, effects, "the event is too large for the terminal: the command that reads it", command);
    }
}

/// Sends a text to the terminal, which may put it into the clipboard. It does not say if it has.
pub(super) fn send(state: &mut State, effects: &mut Vec<Effect>, name: &str, text: String) {
    let bytes = human_bytes(text.len() as u64);
    effects.push(Effect::Copy(text));
    state.say(format!("{name} was sent to the terminal ({bytes}, OSC 52)"));
}
