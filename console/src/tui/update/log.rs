//! An open log: performs actions.

use crate::tui::{
    detail_text,
    keymap::Action,
    layout,
    msg::Effect,
    palette,
    rows::{Row, rows},
    scan::Direction,
    state::{DetailTab, Goal, Heights, Mode, Prompt, PromptKind, RequestKind, State, Tail, TimeRange},
};

use super::{
    detail, dialog, finding, play, search, selection, surveys,
    travel::{follow, go, jump_to_goal, mark, other, scrub, step, zoom, zoom_all, zoom_range},
};

/// Columns of one step sideways.
const SIDEWAYS: usize = 8;
/// Limit of all steps sideways.
const SIDEWAYS_MAX: usize = 400;

pub(super) fn perform(state: &mut State, action: Action, effects: &mut Vec<Effect>) {
    if detail::perform(state, action, effects) {
        return;
    }
    if surveys::perform(state, action) {
        return;
    }
    let rows = layout::list_rows(state);
    let scrolled = if action == Action::DetailDown { detail_text::scrolled_down(state, rows / 2) } else { 0 };
    match action {
        Action::Back => return back(state, effects),
        Action::Leave => return leave(state, effects),
        Action::ClearPatterns => return clear_patterns(state, effects),
        Action::Down => return step(state, 1),
        Action::Up => return step(state, -1),
        Action::PageDown => return step(state, rows as i64),
        Action::PageUp => return step(state, -(rows as i64)),
        Action::ScrubBack => return scrub(state, -1),
        Action::ScrubForward => return scrub(state, 1),
        Action::ScrubBackTen => return scrub(state, -10),
        Action::ScrubForwardTen => return scrub(state, 10),
        Action::ZoomIn => return zoom(state, -1),
        Action::ZoomOut => return zoom(state, 1),
        Action::ZoomAll => return zoom_all(state),
        Action::ZoomRange => return zoom_range(state),
        Action::First => return jump_to_goal(state, Goal::Oldest),
        Action::Last => return follow(state, true, effects),
        Action::Follow => return turn_following(state, effects),
        Action::NextHit => return search::find(state, Direction::Forward, effects),
        Action::PreviousHit => return search::find(state, Direction::Backward, effects),
        Action::Play => return play::play(state),
        Action::Faster => return play::change_speed(state, 1),
        Action::Slower => return play::change_speed(state, -1),
        Action::PreviousMark => return mark(state, Direction::Backward),
        Action::NextMark => return mark(state, Direction::Forward),
        Action::PreviousBurst => return finding::burst(state, Direction::Backward, effects),
        Action::NextBurst => return finding::burst(state, Direction::Forward, effects),
        Action::PreviousError => return finding::error(state, Direction::Backward, effects),
        Action::NextError => return finding::error(state, Direction::Forward, effects),
        Action::NextOther => return other(state, Direction::Forward),
        Action::PreviousOther => return other(state, Direction::Backward),
        Action::NextTimeStyle => return next_time_style(state),
        Action::Copy => return state.prompt = Some(Prompt::new(PromptKind::Copy, "")),
        Action::Open if open_fold(state) => return,
        Action::Open => return detail::enter(state),
        Action::Export => return dialog::open(state, PromptKind::Export, effects),
        Action::Replay => return dialog::open(state, PromptKind::Replay, effects),
        _ => {}
    }
    let Some(log) = &mut state.log else { return };
    match action {
        Action::Folds => {
            log.folds = !log.folds;
            log.opened.clear();
            let folds = log.folds;
            state.say(if folds { "equal events are one row" } else { "each event has a row" });
        }
        Action::Lanes => log.shows_lanes = !log.shows_lanes,
        Action::Columns => state.prompt = Some(Prompt::new(PromptKind::Columns, "")),
        Action::ChooseWindow => state.prompt = Some(Prompt::new(PromptKind::Window, "")),
        Action::GoTo => state.prompt = Some(Prompt::new(PromptKind::GoTo, "")),
        Action::Search => {
            let text = log.search.as_ref().map_or("", |search| search.pattern().typed());
            state.prompt = Some(Prompt::new(PromptKind::Search, text));
        }
        Action::Filter => {
            let text = log.filters.last().map_or("", |filter| &filter.typed);
            state.prompt = Some(Prompt::new(PromptKind::Filter, text));
        }
        Action::Heights => {
            let (heights, name) = match log.scrubber.heights {
                Heights::Automatic => (Heights::Linear, "linear"),
                Heights::Linear => (Heights::Root, "by the square root"),
                Heights::Root => (Heights::Logarithm, "logarithmic"),
                Heights::Logarithm => (Heights::Automatic, "chosen by the counts"),
            };
            log.scrubber.heights = heights;
            state.say(format!("the height of bars is {name}"));
        }
        Action::SkipSilence => {
            let skips = !log.skips_silence();
            log.skips_silence = Some(skips);
            state.say(if skips { "silence is skipped" } else { "silence is played" });
        }
        Action::Mark if log.marks.remove(&log.playhead) => {}
        Action::Mark => drop(log.marks.insert(log.playhead)),
        Action::Marks => state.prompt = Some(Prompt::new(PromptKind::Palette, palette::MARK)),
        Action::Undo => {
            if let Some(to) = log.jumps.undo(log.place()) {
                go(state, to);
            }
        }
        Action::Redo => {
            if let Some(to) = log.jumps.redo(log.place()) {
                go(state, to);
            }
        }
        Action::NextTab => log.detail.next_tab(),
        Action::Changes if log.detail.tab == DetailTab::Changes => log.detail.show(DetailTab::Pretty),
        Action::Changes => log.detail.show(DetailTab::Changes),
        Action::Range => {
            let here = log.playhead.offset;
            log.range = match log.range {
                None => Some(TimeRange::Open(here)),
                Some(TimeRange::Open(from)) => Some(TimeRange::Closed(from.min(here), from.max(here))),
                Some(TimeRange::Closed(..)) => None,
            };
        }
        Action::Right => log.sideways = (log.sideways + SIDEWAYS).min(SIDEWAYS_MAX),
        Action::Left => log.sideways = log.sideways.saturating_sub(SIDEWAYS),
        Action::DetailDown => log.scroll_detail(scrolled),
        Action::DetailUp => log.scroll_detail(log.detail_scroll().saturating_sub(rows / 2)),
        Action::Wrap => log.detail.wraps = !log.detail.wraps,
        Action::Toggle(index) => {
            if let Some(filter) = log.filters.get_mut(index) {
                filter.is_on = !filter.is_on;
                selection::selection_changed(state, effects);
            }
        }
        _ => {}
    }
}

/// Opens the row under the cursor, if it has several events.
fn open_fold(state: &mut State) -> bool {
    let Some(log) = &state.log else { return false };
    let drawn = rows(state, log);
    let Some(Row::Event(fold, _)) = drawn.rows.get(drawn.cursor).filter(|_| !log.detail.is_open) else { return false };
    if fold.count < 2 {
        return false;
    }
    let (first, last) = (fold.first.position, fold.last.position);
    if let Some(log) = &mut state.log {
        log.opened.push((first, last));
        log.playhead = first;
    }
    true
}

/// Takes away the newest thing: the running scan, the range, the detail, the search, the newest filter. Never leaves the
/// log.
fn back(state: &mut State, effects: &mut Vec<Effect>) {
    if search::stop(state, effects) || finding::stop(state, effects) || selection::stop_reading(state, effects) {
        return;
    }
    if surveys::back(state) {
        return;
    }
    let Some(log) = &mut state.log else { return };
    if log.plot.take().is_some() {
    } else if log.search.is_some() {
        log.search = None;
    } else if log.range.is_some() {
        log.range = None;
    } else if log.detail.is_open {
        log.detail.is_open = false;
    } else if log.filters.pop().is_some() {
        selection::selection_changed(state, effects);
        if state.log.as_ref().is_some_and(|log| !log.is_filtered()) {
            state.say("all events are shown");
        }
    } else {
        state.say("q goes back");
    }
}

fn clear_patterns(state: &mut State, effects: &mut Vec<Effect>) {
    search::stop(state, effects);
    let Some(log) = &mut state.log else { return };
    log.search = None;
    if !std::mem::take(&mut log.filters).is_empty() {
        selection::selection_changed(state, effects);
    }
    state.say("search and filters ended");
}

/// Goes back to the list of logs.
pub(super) fn leave(state: &mut State, effects: &mut Vec<Effect>) {
    search::stop(state, effects);
    state.close();
    effects.extend([Effect::StopFollowing, Effect::StopAsking]);
    effects.extend(surveys::stopped());
}

fn turn_following(state: &mut State, effects: &mut Vec<Effect>) {
    let Some(log) = &mut state.log else { return };
    if log.goal != Some(Goal::Newest) || log.tail == Tail::Stopped {
        return follow(state, true, effects);
    }
    log.tail = Tail::Stopped;
    log.mode = Mode::Paused;
    log.goal = None;
    if let Some(search) = &mut log.search {
        search.miss_events();
    }
    state.requests.forget(RequestKind::Arrivals);
    state.requests.is_well(RequestKind::Arrivals);
    effects.push(Effect::StopFollowing);
    state.say("incoming events are not followed any more; f follows them");
}

/// Shows times in the next style. Bars follow the days of the zone.
fn next_time_style(state: &mut State) {
    let before = state.bars_zone().clone();
    state.time_style = state.time_style.next();
    let zone = state.bars_zone().clone();
    let width = layout::bars_width(state.size);
    if zone != before
        && let Some(log) = &mut state.log
        && let Some(grid) = &mut log.scrubber.grid
    {
        *grid = grid.of_width(log.playhead.offset, width, &zone);
    }
}
