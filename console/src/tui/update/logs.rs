//! The list of logs.

use hourlog::{LogId, Result, wire::LogReply};

use crate::tui::{
    keymap::Action,
    layout,
    msg::{Ask, Effect},
    state::{Away, Log, Prompt, PromptKind, RATES_MAX, Stand, State},
};

/// How often the list is asked for.
const ASK_EVERY_NANOS: i64 = 2_000_000_000;

pub(super) fn ask(state: &mut State, effects: &mut Vec<Effect>) {
    let due = state.logs.answered.is_none_or(|at| state.since(at) >= ASK_EVERY_NANOS);
    if state.log.is_none() && !state.logs.asked && due {
        state.logs.asked = true;
        effects.push(Effect::Ask(Ask::Logs));
    }
}

pub(super) fn answered(state: &mut State, answer: Result<Vec<LogReply>>) {
    let logs = &mut state.logs;
    (logs.asked, logs.answered) = (false, Some(state.now));
    match answer {
        Ok(rows) => {
            for row in &rows {
                let rates = logs.rates.entry(row.log.clone()).or_default();
                rates.push_back(row.rate);
                if rates.len() > RATES_MAX {
                    rates.pop_front();
                }
            }
            // They come by id.
            logs.rates.retain(|id, _| rows.binary_search_by(|row| row.log.cmp(id)).is_ok());
            logs.away = None;
            logs.rows = Some(rows);
        }
        Err(error) => {
            logs.away = Some(Away::after(&error, logs.away.as_ref(), state.now));
        }
    }
}

pub(super) fn act(state: &mut State, action: Action, effects: &mut Vec<Effect>) {
    let page = layout::list_rows(state);
    let shown = state.logs.shown();
    let (at, count) = (state.logs.at(&shown), shown.len());
    let to = match action {
        Action::Down => at + 1,
        Action::Up => at.saturating_sub(1),
        Action::PageDown => at + page,
        Action::PageUp => at.saturating_sub(page),
        Action::First => 0,
        Action::Last => count,
        Action::Open => return open(state, effects),
        Action::Search => {
            let text = state.logs.find.clone();
            state.prompt = Some(Prompt::new(PromptKind::Find, text));
            return;
        }
        Action::Back => {
            state.logs.find.clear();
            return;
        }
        _ => return,
    };
    let to = to.min(count.saturating_sub(1));
    let cursor = shown.get(to).map(|row| row.log.clone());
    state.logs.cursor = cursor;
    state.logs.stand = match action {
        Action::Down | Action::Up => state.logs.stand.step(to as i64 - at as i64, page),
        Action::First => Stand::At(0),
        Action::Last => Stand::Bottom,
        _ => state.logs.stand,
    };
}

/// Opens the log under the cursor.
fn open(state: &mut State, effects: &mut Vec<Effect>) {
    let shown = state.logs.shown();
    let Some(id) = shown.get(state.logs.at(&shown)).and_then(|row| row.log.parse::<LogId>().ok()) else {
        return;
    };
    open_log(state, id, effects);
}

/// Opens a log.
pub(super) fn open_log(state: &mut State, id: LogId, effects: &mut Vec<Effect>) {
    state.logs.cursor = Some(id.as_str().to_owned());
    state.opened += 1;
    effects.push(Effect::StopScanning);
    effects.push(Effect::Follow { opened: state.opened, log: id.clone() });
    state.log = Some(Log::new(id, state.opened));
}
