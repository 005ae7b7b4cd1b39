//! The preview: the bars and the newest events of what is under the cursor of the list.

use hourlog::wire::LogReply;
use ratatui::{buffer::Buffer, style::Style};

use crate::{
    output::counted,
    tui::{
        layout::PreviewAreas,
        state::{RequestKind, State},
    },
    when,
};

use super::{list, looks::Looks, pen::Pen, scrubber};

pub(super) fn draw(state: &State, looks: Looks, buffer: &mut Buffer, areas: PreviewAreas) {
    let rule = looks.drawn("─", "-");
    let mut pen = Pen::new(buffer, areas.title, 0);
    pen.put(rule, looks.aside());
    let Some(log) = &state.logs.preview else {
        pen.rest(rule, looks.aside());
        return;
    };
    pen.put(" ", Style::new()).foreign(&log.lanes.to_string(), looks.name()).put(" ", Style::new());
    let lanes = log.lanes.logs();
    let known: Vec<&LogReply> =
        state.logs.rows().into_iter().flatten().filter(|row| lanes.contains(&row.log)).collect();
    if !known.is_empty() {
        let events = known.iter().map(|known| known.events).sum();
        let first = known.iter().filter_map(|known| known.first).min();
        let last = known.iter().filter_map(|known| known.last).max();
        let time = |at| when::zoned(at, state.shown_zone()).strftime("%Y-%m-%d %H:%M:%S").to_string();
        let mut text = format!(" {}", counted(events, "event"));
        if let (Some(first), Some(last)) = (first, last) {
            text.push_str(&format!(" · {} … {}", time(first), time(last)));
        }
        text.push(' ');
        let text = looks.spelled(&text);
        let at = areas.title.right().saturating_sub(super::pen::width(&text) as u16 + 1);
        if pen.x() < at {
            pen.fill(at, rule, looks.aside()).put(&text, Style::new());
        }
    }
    pen.rest(rule, looks.aside());
    if let Some(outage) = state.requests.outage(RequestKind::Preview) {
        Pen::new(buffer, areas.list, 0).put(" ", Style::new()).foreign(&outage.reason, looks.bad());
        return;
    }
    scrubber::draw_preview(state, log, looks, buffer, areas.bars, areas.axis);
    list::draw(state, log, looks, buffer, areas.head, areas.list);
}
