//! An open log: its events, the detail of one of them, and the scrubber.

use ratatui::buffer::Buffer;

use crate::tui::{
    layout,
    state::{Log, State},
};

use super::{chips, detail, list, looks::Looks, pen::Pen, scrubber, spread};

pub(super) fn draw(state: &State, log: &Log, looks: Looks, buffer: &mut Buffer) {
    let areas = layout::log_areas(log, state.size);
    if areas.chips.height > 0 {
        chips::draw(state, log, looks, buffer, areas.chips);
    }
    if areas.list.width > 0 {
        list::draw(state, log, looks, buffer, areas.head, areas.list);
    }
    for row in 0..areas.rule.height {
        Pen::new(buffer, areas.rule, row).put(looks.drawn("│", "|"), looks.aside());
    }
    if areas.detail.width > 0 {
        detail::draw(state, log, looks, buffer, areas.detail);
    }
    if let Some(numbers) = log.numbers.as_ref().filter(|_| areas.spread.width > 0 && areas.spread.height > 0) {
        spread::draw(log, numbers, looks, buffer, areas.spread);
    }
    scrubber::draw(state, log, looks, buffer, areas.scrubber);
}
