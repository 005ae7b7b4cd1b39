//! The preview: the bars and the newest events of what is under the cursor of the list.

use hourlog::wire::LogReply;
use ratatui::{buffer::Buffer, style::Style};

use crate::{
    output::counted,
    tui::{
        layout::PreviewAreas,
        state::{Log, RequestKind, State},
    },
    when,
};

use super::{list, looks::Looks, pen::Pen, rule, scrubber};

pub(super) fn draw(state: &State, looks: Looks, buffer: &mut Buffer, areas: PreviewAreas) {
    let Some(log) = &state.logs.preview else { return rule::draw_plain(looks, buffer, areas.title) };
    rule::draw(looks, buffer, areas.title, &log.lanes.to_string(), &facts(state, log));
    if let Some(outage) = state.requests.outage(RequestKind::Preview) {
        Pen::new(buffer, areas.list, 0).put(" ", Style::new()).foreign(&outage.reason, looks.bad());
        return;
    }
    scrubber::draw_preview(state, log, looks, buffer, areas.bars, areas.axis);
    list::draw(state, log, looks, buffer, areas.head, areas.list);
}

/// Returns how many events the logs have, and from when to when.
fn facts(state: &State, log: &Log) -> String {
    let lanes = log.lanes.logs();
    let known: Vec<&LogReply> =
        state.logs.rows().into_iter().flatten().filter(|row| lanes.contains(&row.log)).collect();
    if known.is_empty() {
        return String::new();
    }
    let events = counted(known.iter().map(|known| known.events).sum(), "event");
    let first = known.iter().filter_map(|known| known.first).min();
    let last = known.iter().filter_map(|known| known.last).max();
    let time = |at| when::zoned(at, state.shown_zone()).strftime("%Y-%m-%d %H:%M:%S").to_string();
    match first.zip(last) {
        Some((first, last)) => format!("{events} · {} … {}", time(first), time(last)),
        None => events,
    }
}
