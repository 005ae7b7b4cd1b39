//! Copying: a text is sent to the terminal, which may put it into the clipboard.

use hourlog::Offset;

use crate::{
    output::{human_bytes, to_json},
    shell,
    tui::{
        filter::Filter,
        msg::Effect,
        prompt::Copied,
        state::{Log, State},
    },
};

/// The most bytes of a text that terminals take for the clipboard.
const CLIPBOARD_BYTES_MAX: usize = 74_994;

/// Copies a text of the open log.
pub(super) fn copy(state: &mut State, what: Copied, effects: &mut Vec<Effect>) {
    let Some(log) = &state.log else { return };
    match what {
        Copied::Range => match log.range_times() {
            None => state.say("v begins a range"),
            Some((from, last)) => {
                // `--until` is exclusive, and a range includes its last event.
                let until: Offset = last.saturating_add_nanos(1);
                let command = command(state, log, "read", &format!(" --since {from} --until {until}"));
                send(state, effects, "the command", command);
            }
        },
        Copied::View => {
            let command = command(state, log, "console", &format!(" --at {}", log.playhead.offset));
            send(state, effects, "the line", command);
        }
        Copied::Time => {
            let time = log.playhead.offset.to_string();
            send(state, effects, "the time", time);
        }
        Copied::Data | Copied::Event => {
            let Some(event) = log.detail_event() else { return state.say("no event is here") };
            let text = match what {
                Copied::Data => String::from_utf8_lossy(&event.record.data).into_owned(),
                _ => to_json(&hourlog::wire::json::JsonEvent::from(event)),
            };
            if text.len() <= CLIPBOARD_BYTES_MAX {
                let name = if what == Copied::Data { "the data" } else { "the event" };
                return send(state, effects, name, text);
            }
            let options = format!("{} --position {}", state.flags, event.position);
            let command = shell::command("read", &options, &event.log, "");
            send(state, effects, "too large for the terminal: the command", command);
        }
    }
}

/// Returns a command about all logs that are open, with the filters that are on.
fn command(state: &State, log: &Log, verb: &str, options: &str) -> String {
    let filters: Vec<String> = log.filters.iter().filter(|filter| filter.is_on).map(Filter::expression).collect();
    let condition = match &filters[..] {
        [] => String::new(),
        [only] => format!(" --where {}", shell::quoted(only)),
        several => {
            let all: Vec<String> = several.iter().map(|filter| format!("({filter})")).collect();
            format!(" --where {}", shell::quoted(&all.join(" && ")))
        }
    };
    let others = log.lanes.logs().iter().skip(1).map(|log| format!(" {}", shell::quoted(log.as_str())));
    let options = format!("{}{options}{condition}", state.flags);
    shell::command(verb, &options, log.lanes.first(), &others.collect::<String>())
}

/// Sends a text to the terminal, which may put it into the clipboard. It does not say if it has.
pub(super) fn send(state: &mut State, effects: &mut Vec<Effect>, name: &str, text: String) {
    let bytes = human_bytes(text.len() as u64);
    effects.push(Effect::Copy(text));
    state.say(format!("{name} was sent to the terminal ({bytes}, OSC 52)"));
}
