//! Surveys of the window: sorts the list by a field, and reads the numbers that are plotted.

use hourlog::Result;

use crate::tui::{
    keymap::Action,
    msg::Effect,
    state::{CursorRow, Goal, Log, Mode, Numbers, RequestKind, Sorted, State, Tail},
    survey::{Survey, SurveyKind, Surveyed},
};

use super::{
    detail,
    travel::{go, keep_in_window, step},
};

/// Shortest time between two surveys of numbers.
const REST_NANOS: i64 = 250_000_000;
/// Time after which the numbers of a followed window are read again.
const AGAIN_NANOS: i64 = 5_000_000_000;

/// Returns the effects that stop both surveys.
pub(super) fn stopped() -> [Effect; 2] {
    [false, true].map(|numbers| Effect::StopSurvey { numbers })
}

/// Sorts the events of the window by a field: the greatest values first; asked again, the least.
pub(super) fn sort(state: &mut State, path: String, effects: &mut Vec<Effect>) {
    let Some(log) = &mut state.log else { return };
    let known = log.sorted.take();
    let is_falling = known.as_ref().is_some_and(|sorted| sorted.survey.path == path && sorted.is_falling());
    let kind = if is_falling { SurveyKind::Least } else { SurveyKind::Greatest };
    let back = known.map_or_else(|| log.place(), |sorted| sorted.back);
    let Some(survey) = survey(log, path, kind) else { return };
    log.sorted = Some(Sorted::new(survey.clone(), back));
    (log.mode, log.goal, log.cursor_row) = (Mode::Paused, None, CursorRow::At(0));
    let number = state.requests.asked(RequestKind::Sort, state.now);
    effects.push(Effect::Survey { number, survey });
}

fn survey(log: &Log, path: String, kind: SurveyKind) -> Option<Survey> {
    let window = log.scrubber.grid.as_ref()?.window();
    Some(Survey { lanes: log.lanes.clone(), window, selection: log.selection(), path, kind })
}

/// Performs an action in a sorted list. Returns false if it means the same as in a list by time.
pub(super) fn perform(state: &mut State, action: Action) -> bool {
    let Some(log) = state.log.as_mut().filter(|log| log.sorted.is_some()) else { return false };
    match action {
        Action::First => step(state, i64::MIN + 1),
        Action::Last => step(state, i64::MAX),
        // The list is by time again, at this event.
        Action::Open => {
            log.sorted = None;
            log.cursor_row = CursorRow::Middle;
            keep_in_window(state);
        }
        _ => return false,
    }
    true
}

/// Ends a sorted list, or the survey that still fills it. Returns false if there is none.
pub(super) fn back(state: &mut State) -> bool {
    let Some(log) = &mut state.log else { return false };
    let Some(sorted) = &mut log.sorted else { return false };
    if std::mem::take(&mut sorted.result.goes_on) {
        sorted.result.is_cut = true;
        state.say("sorting was stopped; these are the first of what was read");
        return true;
    }
    let back = sorted.back.clone();
    log.sorted = None;
    go(state, back);
    if let Some(log) = state.log.as_mut().filter(|log| log.goal == Some(Goal::Newest)) {
        log.mode = Mode::Live;
    }
    true
}

/// Starts the survey of the numbers that are shown, and stops surveys that nothing shows.
pub(super) fn ask(state: &mut State, effects: &mut Vec<Effect>) {
    let now = state.now;
    let Some(log) = &mut state.log else { return };
    let is_sorting = log.sorted.as_ref().is_some_and(|sorted| sorted.result.goes_on);
    let path = log.plot.clone().or_else(|| detail::number_path(log));
    let wanted = path.and_then(|path| survey(log, path, SurveyKind::Numbers));
    let starts = match (&log.numbers, wanted) {
        (_, None) => {
            log.numbers = None;
            None
        }
        (Some(known), Some(wanted)) if known.survey == wanted => None,
        (Some(known), Some(wanted)) => {
            let is_moved = Survey { window: wanted.window, ..known.survey.clone() } == wanted;
            let is_recent = known.result.goes_on || now.nanos().saturating_sub(known.begun.nanos()) < AGAIN_NANOS;
            // A followed window moves with every bar.
            let is_followed = log.tail != Tail::Stopped && log.mode == Mode::Live && is_moved && is_recent;
            // A held key asks for the numbers of where it ends.
            let is_hasty = now.nanos().saturating_sub(known.begun.nanos()) < REST_NANOS;
            (!is_followed && !is_hasty).then_some(wanted)
        }
        (None, Some(wanted)) => Some(wanted),
    };
    if let Some(survey) = starts {
        log.numbers = Some(Numbers::new(survey.clone(), now));
        let number = state.requests.asked(RequestKind::Numbers, now);
        effects.push(Effect::Survey { number, survey });
    }
    let is_reading = state.log.as_ref().and_then(|log| log.numbers.as_ref()).is_some_and(|known| known.result.goes_on);
    for (kind, is_needed) in [(RequestKind::Sort, is_sorting), (RequestKind::Numbers, is_reading)] {
        if !is_needed && state.requests.asked_at(kind).is_some() {
            state.requests.forget(kind);
            effects.push(Effect::StopSurvey { numbers: kind == RequestKind::Numbers });
        }
    }
}

/// Takes in a page of a survey.
pub(super) fn surveyed(state: &mut State, number: u64, page: Result<Surveyed>) {
    let kinds = [RequestKind::Sort, RequestKind::Numbers];
    let Some(kind) = kinds.into_iter().find(|kind| state.requests.waits_for(*kind, number)) else { return };
    let Some(log) = &mut state.log else { return };
    let known = match kind {
        RequestKind::Sort => log.sorted.as_mut().map(|sorted| (&sorted.survey, &mut sorted.result)),
        _ => log.numbers.as_mut().map(|numbers| (&numbers.survey, &mut numbers.result)),
    };
    let Some((survey, result)) = known else { return };
    match page {
        Ok(page) => {
            let goes_on = page.goes_on;
            result.add(survey.kind, &survey.path, page);
            if !goes_on {
                state.requests.succeeded(kind, state.now);
            }
        }
        Err(error) => {
            (result.goes_on, result.is_cut) = (false, true);
            state.requests.forget(kind);
            state.say(format!("reading the window stopped: {error}"));
        }
    }
    let Some(log) = &mut state.log else { return };
    if let Some(numbers) = log.numbers.as_mut().filter(|_| kind == RequestKind::Numbers) {
        numbers.sort();
    }
    if let Some(sorted) = log.sorted.as_ref().filter(|sorted| sorted.stays_first && kind == RequestKind::Sort)
        && let Some(first) = sorted.result.events.first()
    {
        log.playhead = first.position;
        keep_in_window(state);
    }
}
