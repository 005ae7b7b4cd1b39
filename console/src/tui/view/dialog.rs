//! The dialogs for an export and a replay, over the last rows of the screen.

pub(super) mod keys;

use std::borrow::Cow;

use hourlog::Offset;
use ratatui::{buffer::Buffer, layout::Rect, style::Style};
use textwrap::WordSplitter;

use crate::{
    output::{counted, human_bytes, human_count},
    sanitize::sanitize,
    tui::{
        excerpt::{Excerpt, Total},
        state::{Dialog, Prompt, PromptKind, Stage, State},
        times,
        work::{Plan, Progress},
    },
    when,
};

use super::{
    footer,
    looks::{Looks, Role},
    overlay,
    pen::{self, Pen},
};

/// Width of the names at the left.
const NAME_COLUMNS: usize = 10;
/// Limit of the rows of one text.
const TEXT_ROWS_MAX: usize = 4;
/// Width of the bar that shows how far the work is.
const BAR_COLUMNS: u64 = 20;

/// A part of a dialog: a name, and a text of one or more rows.
struct Part {
    name: &'static str,
    text: String,
    role: Role,
}

impl Part {
    fn new(name: &'static str, text: impl Into<String>, role: Role) -> Self {
        Self { name, text: text.into(), role }
    }
}

pub(super) fn draw(state: &State, dialog: &Dialog, prompt: &Prompt, looks: Looks, buffer: &mut Buffer, area: Rect) {
    let (above, below) = parts(state, dialog, prompt, looks);
    let width = usize::from(area.width).saturating_sub(NAME_COLUMNS + 2).max(1);
    // The title and the text have a row each.
    let room = usize::from(area.height).saturating_sub(2);
    let rows = rows([above, below], width, room, looks);
    let height = (rows.len() + 1).min(usize::from(area.height)) as u16;
    let area = Rect { y: area.bottom() - height, height, ..area };
    overlay::clear(buffer, area);
    let mut pen = Pen::new(buffer, area, 0);
    let title = if prompt.kind == PromptKind::Export { " export " } else { " replay " };
    pen.put(title, looks.name()).foreign(&dialog.excerpt.lanes.to_string(), looks.name()).put(" ", Style::new());
    pen.rest(looks.drawn("─", "-"), looks.aside());
    for (number, row) in rows.into_iter().enumerate() {
        let mut pen = Pen::new(buffer, area, number as u16 + 1);
        match row {
            Row::Text => {
                let name = if prompt.kind == PromptKind::Export { "file" } else { "to" };
                put_name(&mut pen, name, looks);
                if dialog.is_editing {
                    footer::draw_text(prompt, looks, &mut pen);
                } else {
                    pen.foreign(&prompt.text, Style::new());
                }
            }
            Row::Part { name, text, role } => {
                put_name(&mut pen, name, looks);
                pen.foreign(&text, looks.style(role));
            }
        }
    }
}

fn put_name(pen: &mut Pen<'_>, name: &str, looks: Looks) {
    pen.put(&format!(" {name:NAME_COLUMNS$}"), looks.aside());
}

/// A row of a dialog.
#[derive(Debug, PartialEq, Eq)]
enum Row {
    /// The text with the cursor.
    Text,
    Part {
        name: &'static str,
        text: String,
        role: Role,
    },
}

/// Wraps the parts above and below the text. If there is no room for all rows, the last rows of the longest part go first,
/// then secondary parts, and then those at the top: what Enter does stands at the end.
fn rows(parts: [Vec<Part>; 2], width: usize, room: usize, looks: Looks) -> Vec<Row> {
    let options = textwrap::Options::new(width).word_splitter(WordSplitter::NoHyphenation);
    let wrap = |part: Part| {
        let text = looks.spelled(&sanitize(&part.text));
        let mut lines: Vec<String> = textwrap::wrap(&text, &options).into_iter().map(Cow::into_owned).collect();
        shorten(&mut lines, TEXT_ROWS_MAX, width, looks.ellipsis());
        (part, lines)
    };
    let [mut above, mut below] = parts.map(|parts| parts.into_iter().map(wrap).collect::<Vec<_>>());
    let count = |parts: &[(Part, Vec<String>)]| parts.iter().map(|(_, lines)| lines.len()).sum::<usize>();
    while count(&above) + count(&below) > room {
        let longest = below.iter_mut().rev().chain(above.iter_mut().rev()).max_by_key(|(_, lines)| lines.len());
        let secondary = |parts: &[(Part, Vec<String>)]| parts.iter().rposition(|(part, _)| part.role == Role::Aside);
        if let Some((_, lines)) = longest.filter(|(_, lines)| lines.len() > 1) {
            let fewer = lines.len() - 1;
            shorten(lines, fewer, width, looks.ellipsis());
        } else if let Some(secondary) = secondary(&below) {
            below.remove(secondary);
        } else if above.is_empty() {
            break;
        } else {
            above.remove(0);
        }
    }
    let part = |(part, lines): (Part, Vec<String>)| {
        let Part { name, role, .. } = part;
        let name_of = move |number: usize| if number == 0 { name } else { "" };
        lines.into_iter().enumerate().map(move |(number, text)| Row::Part { name: name_of(number), text, role })
    };
    above.into_iter().flat_map(part).chain([Row::Text]).chain(below.into_iter().flat_map(part)).collect()
}

/// Leaves out lines from `count` on, and says so at the end of the last one.
fn shorten(lines: &mut Vec<String>, count: usize, width: usize, ellipsis: char) {
    if lines.len() <= count {
        return;
    }
    lines.truncate(count);
    if let Some(last) = lines.last_mut() {
        while pen::width(last) >= width {
            last.pop();
        }
        last.push(ellipsis);
    }
}

/// Returns the parts above and below the text.
fn parts(state: &State, dialog: &Dialog, prompt: &Prompt, looks: Looks) -> (Vec<Part>, Vec<Part>) {
    let excerpt = &dialog.excerpt;
    let mut above = vec![Part::new("events", events(state, dialog), Role::Text)];
    let on = state.log.iter().flat_map(|log| &log.filters).filter(|filter| filter.is_on);
    let filters: Vec<&str> = on.map(|filter| filter.typed.as_str()).collect();
    if !filters.is_empty() {
        above.push(Part::new("filters", filters.join("  "), Role::Match));
    }
    let mut below = Vec::new();
    if prompt.kind == PromptKind::Replay {
        let speed = dialog.speed().map_or_else(|| "as fast as possible".to_owned(), times::speed);
        let into_log = if dialog.is_into_log { ", into a log" } else { "" };
        below.push(Part::new("speed", format!("{speed}{into_log}"), Role::Text));
    }
    let command = match prompt.kind {
        PromptKind::Export => dialog.export_command(&state.flags, &prompt.text),
        _ => dialog.replay_command(&state.flags, &prompt.text),
    };
    below.push(Part::new("command", command, Role::Aside));
    below.extend(stage(state, dialog, excerpt, prompt, looks));
    (above, below)
}

/// Returns how many events there are, and which.
fn events(state: &State, dialog: &Dialog) -> String {
    let excerpt = &dialog.excerpt;
    let logs = match excerpt.lanes.logs().len() {
        1 => "the whole log".to_owned(),
        several => format!("all {several} logs"),
    };
    let what = match (excerpt.from, excerpt.until) {
        (Some(from), Some(until)) => {
            let last = until.saturating_add_nanos(-1);
            format!("the range {} to {}", when::show(from, state.shown_zone()), with_zone(state, last))
        }
        (_, Some(until)) => format!("{logs} up to {}", with_zone(state, until)),
        (_, None) => logs,
    };
    match &dialog.total {
        None => format!("those of {what}; counting"),
        Some(Ok(Total { events, is_exact: true })) => format!("{} of {what}", human_count(*events)),
        Some(Ok(Total { events, is_exact: false })) => format!("about {} of {what}", human_count(*events)),
        Some(Err(why)) => format!("those of {what}; not counted: {why}"),
    }
}

/// Returns a time with the name of its zone.
fn with_zone(state: &State, time: Offset) -> String {
    let zone = state.shown_zone();
    format!("{} {}", when::show(time, zone), when::zoned(time, zone).strftime("%Z"))
}

/// Returns what Enter does, how far the work is, or what has come of it.
fn stage(state: &State, dialog: &Dialog, excerpt: &Excerpt, prompt: &Prompt, looks: Looks) -> Vec<Part> {
    let is_export = prompt.kind == PromptKind::Export;
    let total = dialog.total.as_ref().and_then(|total| total.as_ref().ok());
    let several = excerpt.lanes.are_several();
    match &dialog.stage {
        Stage::Choosing if is_export => {
            let events = match total {
                Some(Total { events, is_exact: true }) => counted(*events, "event"),
                Some(Total { events, is_exact: false }) => format!("about {}", counted(*events, "event")),
                None => "the events".to_owned(),
            };
            let order = if several { ", log by log" } else { "" };
            vec![Part::new("", format!("enter writes {events}{order}; hourlog import reads the file"), Role::Text)]
        }
        Stage::Choosing => {
            vec![Part::new("", "enter makes a dry run: it says what would be sent, and sends nothing", Role::Text)]
        }
        Stage::Blocked(what) => vec![
            Part::new("", what, Role::Bad),
            Part::new("", "enter once more begins again and replaces it; tab names another file", Role::Text),
        ],
        Stage::Running { progress, is_dry_run } => {
            vec![Part::new("", running(*progress, *is_dry_run, is_export, total, looks), Role::Good)]
        }
        Stage::Planned(plan) => planned(state, dialog, plan),
        Stage::Stopping => vec![Part::new("", "stopping; esc does not wait for it", Role::Text)],
        Stage::Done(what) => vec![Part::new("", what, Role::Good)],
        Stage::Failed(why) => vec![Part::new("", why, Role::Bad)],
    }
}

/// Returns how far the work is.
fn running(progress: Progress, is_dry_run: bool, is_export: bool, total: Option<&Total>, looks: Looks) -> String {
    let done = match (is_export, is_dry_run) {
        (true, _) => "written",
        (false, true) => "read",
        (false, false) => "sent",
    };
    let events = human_count(progress.events);
    let bytes = if is_export { format!(", {}", human_bytes(progress.bytes)) } else { String::new() };
    let Some(total) = total.filter(|total| total.events > 0) else { return format!("{events} events {done}{bytes}") };
    let full = (progress.events * BAR_COLUMNS / total.events).min(BAR_COLUMNS) as usize;
    let rest = BAR_COLUMNS as usize - full;
    let bar = looks.drawn("█", "#").repeat(full) + &looks.drawn("░", ".").repeat(rest);
    let about = if total.is_exact { "" } else { "about " };
    format!("{bar} {events} of {about}{} events {done}{bytes}", human_count(total.events))
}

/// Returns what a replay would send.
fn planned(state: &State, dialog: &Dialog, plan: &Plan) -> Vec<Part> {
    let (events, bytes) = (counted(plan.events, "event"), human_bytes(plan.bytes));
    let Some((first, last)) = plan.times else {
        return vec![Part::new("plan", "there is nothing to send", Role::Text)];
    };
    let (from, to) = (when::show(first, state.shown_zone()), with_zone(state, last));
    let time = match dialog.speed() {
        Some(speed) => {
            let nanos = last.nanos().saturating_sub(first.nanos()) as f64 / speed.factor();
            format!("in {}", times::duration(nanos as i64))
        }
        None => "as fast as possible".to_owned(),
    };
    let mut subjects = plan.subjects.join(", ");
    if plan.other_subjects > 0 {
        subjects += &format!(" and {} more", plan.other_subjects);
    }
    let mut parts = vec![
        Part::new("plan", format!("{events} ({bytes}) from {from} to {to}, {time}"), Role::Text),
        Part::new("subjects", subjects, Role::Text),
    ];
    parts.extend(plan.remarks.iter().map(|remark| Part::new("", remark, Role::Aside)));
    parts.push(Part::new("", format!("enter publishes {events}"), Role::Match));
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(width: usize, room: usize) -> Vec<String> {
        let above = vec![Part::new("events", "168 of the whole log", Role::Text)];
        let below = vec![
            Part::new("command", "hourlog export quakes.us --where 'json.mag >= 5' -O quakes.us.jsonl", Role::Aside),
            Part::new("", "enter writes 168 events", Role::Text),
        ];
        let row = |row: Row| match row {
            Row::Text => "<text>".to_owned(),
            Row::Part { name, text, .. } => format!("{name:8}{text}"),
        };
        let looks = Looks { theme: super::super::looks::Theme::Mono, ascii: false };
        rows([above, below], width, room, looks).into_iter().map(row).collect()
    }

    #[test]
    fn where_there_is_no_room_the_longest_text_is_cut() {
        assert_eq!(shown(80, 9).len(), 4);
        assert_eq!(
            shown(30, 9)[2..],
            [
                "command hourlog export quakes.us",
                "        --where 'json.mag >= 5' -O",
                "        quakes.us.jsonl",
                "        enter writes 168 events"
            ]
        );
        assert_eq!(
            shown(30, 4)[2..],
            [
                "command hourlog export quakes.us",
                "        --where 'json.mag >= 5' -O…",
                "        enter writes 168 events"
            ]
        );
        assert_eq!(shown(30, 3)[2..], ["command hourlog export quakes.us…", "        enter writes 168 events"]);
        assert_eq!(shown(30, 2)[1..], ["<text>", "        enter writes 168 events"], "the command goes");
        assert_eq!(shown(30, 1), ["<text>", "        enter writes 168 events"]);
    }
}
