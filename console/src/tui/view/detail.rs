//! The detail of one event: tabs, and the text of the selected tab.

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    style::{Modifier, Style},
};

use crate::{
    output::human_bytes,
    tui::{
        detail_text::{self, Run},
        pretty::Ink,
        state::{DetailTab, Log, State},
    },
};

use super::{
    looks::{Looks, Role},
    pen::{self, Pen},
};

pub(super) fn draw(state: &State, log: &Log, looks: Looks, buffer: &mut Buffer, area: Rect) {
    let mut pen = Pen::new(buffer, area, 0);
    for tab in DetailTab::ALL {
        let style = if tab == log.detail.tab { looks.name() } else { looks.aside() };
        pen.put(" ", Style::new()).put(name(tab), style);
    }
    let Some(event) = log.detail_event() else { return };
    let bytes = human_bytes(event.record.data.len() as u64);
    if pen.room() > pen::width(&bytes) + 2 {
        let at = area.right() - pen::width(&bytes) as u16 - 1;
        pen.go_to(at).put(&bytes, looks.aside());
    }
    let body = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
    let rows = detail_text::rows(log, event, state.shown_zone(), body.width);
    let sideways = if log.detail.wraps { 0 } else { log.sideways };
    for (index, row) in rows.skip(log.detail_scroll()).take(usize::from(body.height)).enumerate() {
        let mut pen = Pen::new(buffer, body, index as u16);
        let mut left = sideways;
        for run in &row.runs {
            let shown: String = run.text.chars().skip(left).collect();
            left = left.saturating_sub(run.text.chars().count());
            put(log, looks, run, &shown, &mut pen);
        }
        let is_here = log.detail.is_open && row.line == Some(log.detail.line);
        if is_here {
            let y = body.y + index as u16;
            for x in body.left()..body.right() {
                buffer[(x, y)].set_style(Style::reset().add_modifier(Modifier::REVERSED));
            }
            continue;
        }
        if row.is_rule {
            pen.put(" ", looks.aside()).rest(looks.drawn("─", "-"), looks.aside());
        }
    }
}

fn put(log: &Log, looks: Looks, run: &Run, text: &str, pen: &mut Pen<'_>) {
    let style = match run.ink {
        Ink::Key => looks.name(),
        Ink::Text => Style::new(),
        Ink::Number => looks.style(Role::Good),
        Ink::Word => looks.style(Role::Mine),
        Ink::Punctuation => looks.aside(),
        Ink::Changed => looks.found(),
    };
    let Some(pattern) = log.search.as_ref().map(|search| search.pattern()) else {
        pen.foreign(text, style);
        return;
    };
    let mut at = 0;
    for place in pattern.places(text) {
        pen.foreign(&text[at..place.start], style);
        pen.foreign(&text[place.clone()], looks.found().patch(Looks::here()));
        at = place.end;
    }
    pen.foreign(&text[at..], style);
}

fn name(tab: DetailTab) -> &'static str {
    match tab {
        DetailTab::Pretty => "Pretty",
        DetailTab::Raw => "Raw",
        DetailTab::Hex => "Hex",
        DetailTab::Changes => "Changes",
    }
}
