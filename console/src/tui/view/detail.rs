//! The detail of one event: tabs, and the text of the selected tab.

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    text::{Line, Span},
    widgets::Paragraph,
};

use crate::tui::{
    detail_text,
    state::{DetailTab, Log, State},
};

use super::looks::Looks;

pub(super) fn draw(state: &State, log: &Log, looks: Looks, frame: &mut Frame<'_>, area: Rect) {
    let [head, body] = Layout::vertical([Constraint::Length(1), Constraint::Min(0)]).areas(area);
    let tabs = DetailTab::ALL.iter().flat_map(|tab| {
        let style = if *tab == log.detail.tab { Looks::cursor() } else { looks.aside() };
        [Span::styled(format!(" {} ", name(*tab)), style), Span::raw(" ")]
    });
    frame.render_widget(Line::from(tabs.collect::<Vec<_>>()), head);
    let Some(event) = log.cursor_event() else { return };
    let rows = detail_text::rows(log, event, state.shown_zone(), body.width);
    let text = rows.text.into_iter().map(Line::from);
    let note = rows.note.into_iter().map(|row| Line::styled(row, looks.aside()));
    let visible: Vec<Line<'_>> = text.chain(note).skip(log.detail_scroll()).take(usize::from(body.height)).collect();
    let sideways = if log.detail.wraps { 0 } else { u16::try_from(log.sideways).unwrap_or(u16::MAX) };
    frame.render_widget(Paragraph::new(visible).scroll((0, sideways)), body);
}

fn name(tab: DetailTab) -> &'static str {
    match tab {
        DetailTab::Pretty => "Pretty",
        DetailTab::Raw => "Raw",
        DetailTab::Hex => "Hex",
        DetailTab::Headers => "Headers",
    }
}
