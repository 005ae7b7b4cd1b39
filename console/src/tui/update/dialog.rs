//! The dialogs for an export and a replay.

use crossterm::event::KeyCode;
use hourlog::Result;

use crate::{
    output::{counted, human_bytes},
    tui::{
        excerpt::{Excerpt, Total},
        key::Key,
        msg::{Effect, Request},
        state::{Dialog, Prompt, PromptKind, RequestKind, Stage, State},
        work::{Export, Obstacle, Progress, Replay, Replayed, Work, Worked},
    },
};

use super::copying;

/// Opens the dialog for an export or a replay of the range, or else of the whole log.
pub(super) fn open(state: &mut State, kind: PromptKind, effects: &mut Vec<Effect>) {
    let Some(log) = &state.log else { return };
    if log.filters_wanted.is_some() {
        return state.say("the service is checking a filter; again in a moment");
    }
    let range = log.range_times();
    // A range includes its last event. A replay ends at now, as events may come in faster than they are sent.
    let until = match range {
        Some((_, last)) => Some(last.saturating_add_nanos(1)),
        None => (kind == PromptKind::Replay).then(|| state.service_now()),
    };
    let (lanes, from, selection) = (log.lanes.clone(), range.map(|(from, _)| from), log.selection());
    let excerpt = Excerpt { lanes, from, until, selection };
    let text = match kind {
        PromptKind::Export => excerpt.file_name(state.shown_zone()),
        _ => state.history.get(&kind).and_then(|texts| texts.last()).cloned().unwrap_or_default(),
    };
    let number = state.requests.asked(RequestKind::Total, state.now);
    effects.push(Effect::Ask(Request::Total { number, excerpt: excerpt.clone() }));
    // A subject is typed each time, so that nothing is sent to that of the last replay by mistake.
    state.dialog = Some(Dialog::new(excerpt, text.is_empty() || kind == PromptKind::Replay));
    state.prompt = Some(Prompt::new(kind, text));
}

/// Handles a key.
pub(super) fn press(state: &mut State, key: Key, effects: &mut Vec<Effect>) {
    let (Some(dialog), Some(prompt)) = (&mut state.dialog, &mut state.prompt) else { return };
    let is_replay = prompt.kind == PromptKind::Replay;
    if dialog.is_busy() {
        match (key.code, &dialog.stage) {
            (KeyCode::Esc, Stage::Stopping) => close(state),
            (KeyCode::Esc, _) => {
                dialog.stage = Stage::Stopping;
                effects.push(Effect::StopWork);
            }
            (KeyCode::Char('y'), _) => copy(state, effects),
            _ => {}
        }
        return;
    }
    match key.code {
        KeyCode::Enter if matches!(dialog.stage, Stage::Done(_)) => close(state),
        KeyCode::Enter => begin(state, effects),
        KeyCode::Tab => dialog.is_editing = !dialog.is_editing,
        KeyCode::Esc if dialog.is_editing && !prompt.text.is_empty() => dialog.is_editing = false,
        KeyCode::Esc => close(state),
        _ if dialog.is_editing => edit(dialog, prompt, key),
        KeyCode::Char('q') => close(state),
        KeyCode::Char('y') => copy(state, effects),
        KeyCode::Left if is_replay => dialog.change_speed(-1),
        KeyCode::Right if is_replay => dialog.change_speed(1),
        KeyCode::Char('i') if is_replay => {
            dialog.is_into_log = !dialog.is_into_log;
            dialog.stage = Stage::Choosing;
        }
        // Other letters are meant for the text. Enter must not begin what was planned for the one of before.
        KeyCode::Char(_) => {
            dialog.is_editing = true;
            edit(dialog, prompt, key);
        }
        _ => {}
    }
}

/// Changes the text as a key asks for. What was found out about the text before does not hold any more.
fn edit(dialog: &mut Dialog, prompt: &mut Prompt, key: Key) {
    if prompt.edit(key) {
        dialog.stage = Stage::Choosing;
    }
}

/// Puts a pasted line into the text, if the cursor is there.
pub(super) fn paste(state: &mut State, line: &str) {
    if let (Some(dialog), Some(prompt)) = (&mut state.dialog, &mut state.prompt)
        && dialog.is_editing
        && !dialog.is_busy()
    {
        prompt.insert(line);
        dialog.stage = Stage::Choosing;
    }
}

fn close(state: &mut State) {
    (state.dialog, state.prompt) = (None, None);
    for kind in [RequestKind::Total, RequestKind::Work] {
        state.requests.forget(kind);
    }
}

fn copy(state: &mut State, effects: &mut Vec<Effect>) {
    let (Some(dialog), Some(prompt)) = (&state.dialog, &state.prompt) else { return };
    let command = match prompt.kind {
        PromptKind::Export => dialog.export_command(&state.flags, &prompt.text),
        _ => dialog.replay_command(&state.flags, &prompt.text),
    };
    copying::send(state, effects, "the command", command);
}

/// Begins the work that the dialog is for. A replay begins with a dry run.
fn begin(state: &mut State, effects: &mut Vec<Effect>) {
    let (Some(dialog), Some(prompt)) = (&mut state.dialog, &state.prompt) else { return };
    let (kind, text, excerpt) = (prompt.kind, prompt.text.trim().to_owned(), dialog.excerpt.clone());
    let is_export = kind == PromptKind::Export;
    if text.is_empty() {
        let missing = if is_export { "a file needs a name" } else { "a replay needs a subject, such as test.>" };
        (dialog.stage, dialog.is_editing) = (Stage::Failed(missing.to_owned()), true);
        return;
    }
    let work = if is_export {
        Work::Export(Export { excerpt, path: text.clone(), replaces: matches!(dialog.stage, Stage::Blocked(_)) })
    } else {
        let (speed, is_into_log) = (dialog.speed(), dialog.is_into_log);
        let replay = Replay { excerpt, to: text.clone(), speed, is_into_log };
        if matches!(dialog.stage, Stage::Planned(_)) { Work::Replay(replay) } else { Work::DryRun(replay) }
    };
    let is_dry_run = matches!(work, Work::DryRun(_));
    dialog.is_editing = false;
    dialog.stage = Stage::Running { progress: Progress::default(), is_dry_run };
    if !is_export {
        state.remember(kind, &text);
    }
    let number = state.requests.asked(RequestKind::Work, state.now);
    effects.push(Effect::Work { number, work });
}

/// Takes in the number of events.
pub(super) fn counted_total(state: &mut State, number: u64, total: Result<Total>) {
    if !state.requests.waits_for(RequestKind::Total, number) {
        return;
    }
    state.requests.forget(RequestKind::Total);
    if let Some(dialog) = &mut state.dialog {
        dialog.total = Some(total.map_err(|error| error.to_string()));
    }
}

/// Takes in a report on the work.
pub(super) fn worked(state: &mut State, number: u64, worked: Worked) {
    if !state.requests.waits_for(RequestKind::Work, number) {
        return;
    }
    let (Some(dialog), Some(prompt)) = (&mut state.dialog, &state.prompt) else { return };
    let stage = match worked {
        Worked::Progress(so_far) => {
            if let Stage::Running { progress, .. } = &mut dialog.stage {
                *progress = so_far;
            }
            return;
        }
        Worked::Exported(Ok(written)) => {
            let (events, bytes) = (counted(written.events, "event"), human_bytes(written.bytes));
            Stage::Done(format!("wrote {events} ({bytes}) to {}", placed(prompt.text.trim())))
        }
        Worked::Exported(Err(Obstacle::InTheWay(what))) => Stage::Blocked(what),
        Worked::Exported(Err(Obstacle::Failed(why) | Obstacle::Stopped(why))) => Stage::Failed(why),
        Worked::Planned(Ok(plan)) => Stage::Planned(plan),
        Worked::Planned(Err(why)) => Stage::Failed(why),
        Worked::Replayed(replayed) => outcome(replayed),
    };
    dialog.stage = stage;
    state.requests.forget(RequestKind::Work);
}

/// Returns a path that says that it is one of the working directory, if it is.
fn placed(path: &str) -> String {
    if path.contains('/') { path.to_owned() } else { format!("./{path}") }
}

/// Returns what has come of a replay.
fn outcome(replayed: Replayed) -> Stage {
    let Replayed { published, refused, first_refusal, failure, is_stopped } = replayed;
    let mut sentence = format!("published {}", counted(published, "event"));
    if let Some(reason) = first_refusal {
        sentence += &format!(", refused {refused}: {reason}");
    }
    match failure {
        Some(failure) => Stage::Failed(format!("{sentence}, and then failed: {failure}")),
        None if is_stopped => Stage::Failed(format!("stopped: {sentence}")),
        None => Stage::Done(sentence),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outcome_of_a_replay_is_exact() {
        let whole = Replayed { published: 168, ..Replayed::default() };
        assert_eq!(outcome(whole.clone()), Stage::Done("published 168 events".to_owned()));
        let refused = Replayed { refused: 2, first_refusal: Some("it is too large".to_owned()), ..whole.clone() };
        assert_eq!(outcome(refused), Stage::Done("published 168 events, refused 2: it is too large".to_owned()));
        let stopped = Replayed { is_stopped: true, published: 1, ..whole.clone() };
        assert_eq!(outcome(stopped), Stage::Failed("stopped: published 1 event".to_owned()));
        let failed = Replayed { failure: Some("the connection was lost".to_owned()), ..whole };
        let said = "published 168 events, and then failed: the connection was lost";
        assert_eq!(outcome(failed), Stage::Failed(said.to_owned()));
    }

    #[test]
    fn a_file_of_the_working_directory_is_shown_as_one() {
        assert_eq!([placed("a.jsonl"), placed("/tmp/a"), placed("b/a")], ["./a.jsonl", "/tmp/a", "b/a"]);
    }
}
