//! The list of logs.

use hourlog::{
    LogId, Result,
    wire::{LogsOrder, LogsReply, STRIP_BINS_MAX, StripReply},
};

use crate::tui::{
    keymap::Action,
    lanes::{LANES_MAX, Lanes},
    layout,
    msg::{Effect, Request, StripsRequest},
    state::{CursorRow, LogRow, Prompt, PromptKind, RequestKind, RowKey, State, Tail},
};

use super::{following::start_following, surveys};

/// The most logs whose strips are asked for at a time.
const STRIPS_MAX: usize = 60;

/// Asks for the list of logs and the strips of those on the screen, while it is there.
pub(super) fn ask(state: &mut State, effects: &mut Vec<Effect>) {
    if !state.lists_logs() {
        return;
    }
    if state.requests.is_due(RequestKind::Logs, state.now) {
        state.requests.asked(RequestKind::Logs, state.now);
        effects.push(Effect::Ask(Request::Logs));
    }
    let bins = layout::strip_columns(state.size).min(STRIP_BINS_MAX as usize);
    if bins == 0 || !state.requests.is_due(RequestKind::Strips, state.now) {
        return;
    }
    let Some(axis) = state.logs.strip_axis(state.service_now()) else { return };
    let logs = seen(state);
    if !logs.is_empty() {
        let number = state.requests.asked(RequestKind::Strips, state.now);
        let bins = u32::try_from(bins).unwrap_or(STRIP_BINS_MAX);
        effects.push(Effect::Ask(Request::Strips(StripsRequest { number, logs, axis, bins })));
    }
}

/// Returns the logs on the screen, and those of the groups on it.
fn seen(state: &State) -> Vec<LogId> {
    let (shown, rows) = (state.logs.shown(), layout::list_rows(state));
    let index = state.logs.cursor_index(&shown);
    let first = state.logs.cursor_row.first(index, rows, shown.len());
    let logs = shown.iter().skip(first).take(rows).filter_map(|row| match row {
        LogRow::Log(log, _) => Some(log.log.clone()),
        LogRow::Group(_) => None,
    });
    logs.take(STRIPS_MAX).collect()
}

pub(super) fn answered(state: &mut State, answer: Result<LogsReply>) {
    match answer {
        Ok(reply) => {
            state.requests.succeeded(RequestKind::Logs, state.now);
            state.learn_time(reply.now);
            state.logs.replace(reply.logs);
        }
        Err(error) => drop(state.requests.failed(RequestKind::Logs, &error, state.now)),
    }
}

/// Takes in the strips of logs.
pub(super) fn stripped(state: &mut State, request: &StripsRequest, strips: Result<Vec<(LogId, StripReply)>>) {
    if !state.requests.waits_for(RequestKind::Strips, request.number) {
        return;
    }
    match strips {
        Ok(strips) => {
            state.requests.succeeded(RequestKind::Strips, state.now);
            state.logs.add_strips(request.axis, strips);
        }
        Err(error) => drop(state.requests.failed(RequestKind::Strips, &error, state.now)),
    }
}

pub(super) fn perform(state: &mut State, action: Action, effects: &mut Vec<Effect>) {
    let page = layout::list_rows(state);
    let shown = state.logs.shown();
    let (index, count) = (state.logs.cursor_index(&shown), shown.len());
    let here = shown.get(index).map(LogRow::key);
    let to = match action {
        Action::Down => index + 1,
        Action::Up => index.saturating_sub(1),
        Action::PageDown => index + page,
        Action::PageUp => index.saturating_sub(page),
        Action::First => 0,
        Action::Last => count,
        Action::Open => {
            match (here, shown.get(index)) {
                (Some(_), _) if !state.logs.picked.is_empty() => {
                    let picked = std::mem::take(&mut state.logs.picked);
                    if let Some(lanes) = Lanes::new(picked) {
                        open(state, lanes, effects);
                    }
                }
                (Some(RowKey::Log(id)), _) => open(state, id.into(), effects),
                (Some(RowKey::Group(name)), Some(LogRow::Group(group))) => {
                    let is_folded = !group.is_folded;
                    state.logs.fold(&name, is_folded);
                }
                _ => {}
            }
            return;
        }
        Action::Fold | Action::Unfold => {
            if let Some(here) = here {
                let group = state.logs.group(&here);
                state.logs.fold(&group, action == Action::Fold);
                if action == Action::Fold {
                    state.logs.cursor = Some(RowKey::Group(group));
                }
            }
            return;
        }
        Action::Pick => return pick(state, here),
        Action::NextOrder => {
            let orders = LogsOrder::ALL;
            let at = orders.iter().position(|(_, order)| *order == state.logs.order).unwrap_or(0);
            state.logs.order = orders[(at + 1) % orders.len()].1;
            return;
        }
        Action::TurnOrder => {
            state.logs.is_turned = !state.logs.is_turned;
            return;
        }
        Action::Preview => {
            state.logs.shows_preview = !state.logs.shows_preview;
            if state.logs.shows_preview && layout::logs_areas(state).preview.is_none() {
                state.say("the preview needs a higher terminal");
            }
            return;
        }
        Action::ChooseWindow => {
            state.prompt = Some(Prompt::new(PromptKind::Window, ""));
            return;
        }
        Action::Search => {
            let text = state.logs.find.clone();
            state.prompt = Some(Prompt::new(PromptKind::Find, text));
            return;
        }
        Action::Back if !state.logs.find.is_empty() => return state.logs.find.clear(),
        Action::Back if state.logs.picked.is_empty() => return state.say("q quits"),
        Action::Back => return state.logs.picked.clear(),
        _ => return,
    };
    let to = to.min(count.saturating_sub(1));
    let cursor = shown.get(to).map(LogRow::key);
    state.logs.cursor = cursor;
    state.logs.cursor_row = match action {
        Action::Down | Action::Up => state.logs.cursor_row.step(to as i64 - index as i64, page),
        Action::First => CursorRow::At(0),
        Action::Last => CursorRow::Bottom,
        _ => state.logs.cursor_row,
    };
}

/// Picks the log under the cursor or all of a group, or no longer. Goes to the next row.
fn pick(state: &mut State, here: Option<RowKey>) {
    let logs: Vec<LogId> = match &here {
        Some(RowKey::Log(log)) => vec![log.clone()],
        Some(RowKey::Group(group)) => state.logs.members(group),
        None => return,
    };
    let picked = &mut state.logs.picked;
    if logs.iter().all(|log| picked.contains(log)) {
        picked.retain(|log| !logs.contains(log));
    } else if picked.len() + logs.len() > LANES_MAX {
        return state.say(format!("at most {LANES_MAX} logs are opened as one"));
    } else {
        picked.extend(logs);
    }
    let shown = state.logs.shown();
    let index = state.logs.cursor_index(&shown);
    if let Some(next) = shown.get(index + 1).map(LogRow::key) {
        state.logs.cursor = Some(next);
    }
}

/// Shows `nanos` of time in all strips.
pub(super) fn show_around(state: &mut State, nanos: i64) {
    state.logs.strip_nanos = nanos;
    state.requests.forget(RequestKind::Strips);
}

/// Opens a log as the user left it, and follows it unless they have stopped that.
pub(super) fn open(state: &mut State, lanes: Lanes, effects: &mut Vec<Effect>) {
    state.open(lanes);
    effects.extend([Effect::StopScanning, Effect::StopFollowing, Effect::StopAsking]);
    effects.extend(surveys::stopped());
    if state.log.as_ref().is_some_and(|log| log.tail != Tail::Stopped) {
        start_following(state, effects);
    }
}
