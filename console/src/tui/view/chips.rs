//! The filters and the search of a log, above its list.

use ratatui::{buffer::Buffer, layout::Rect};

use crate::{
    output::{counted, human_count},
    tui::{
        filter::Selection,
        state::{Log, Mode, Sorted, State},
        survey::Surveyed,
    },
};

use super::{
    looks::Looks,
    pen::{self, Pen},
};

pub(super) fn draw(state: &State, log: &Log, looks: Looks, buffer: &mut Buffer, area: Rect) {
    let keys = if log.filters.len() > 1 { "esc, ctrl-f clear · alt-1 alt-2 toggle" } else { "esc, ctrl-f clear" };
    let keys = looks.spelled(keys);
    let keys_at = area.right().saturating_sub(pen::width(&keys) as u16 + 1);
    let mut pen = Pen::new(buffer, area, 0);
    pen.put(" ", looks.aside());
    let last = log.filters.len();
    for (number, filter) in log.filters.iter().enumerate() {
        let style = if filter.is_on { looks.found() } else { looks.aside() };
        pen.put("& ", style).foreign(&filter.typed, style);
        if number + 1 == last {
            pen.put(&counts(state, log), looks.aside());
        }
        pen.put("   ", looks.aside());
    }
    if let Some(search) = &log.search {
        pen.put("/ ", looks.found()).foreign(search.pattern().typed(), looks.found());
        let hits = search.hits();
        let here = hits.range(..=log.playhead).count();
        let (of, progress) = (human_count(hits.len() as u64), search.progress());
        let hits = if hits.contains(&log.playhead) {
            format!("hit {here} of {of}")
        } else {
            counted(hits.len() as u64, "hit")
        };
        let percent = progress.percent().map(|percent| if progress.is_complete() { percent } else { percent.min(99) });
        let scanned = percent.map_or_else(String::new, |percent| format!("{percent} % searched · "));
        let text = match (search.runs(), progress.is_complete()) {
            (true, _) => format!("  {scanned}{hits} · esc stops"),
            (false, true) => format!("  {hits}"),
            (false, false) => format!("  {scanned}{hits} so far · n and N continue"),
        };
        pen.put(&looks.spelled(&text), looks.aside());
    }
    if let Some(sorted) = &log.sorted {
        let arrow = if sorted.is_falling() { looks.drawn("↓", "v") } else { looks.drawn("↑", "^") };
        pen.put(arrow, looks.name()).put(" ", looks.name()).foreign(&sorted.survey.path, looks.name());
        pen.put(&looks.spelled(&sorted_text(state, log, sorted)), looks.aside());
    }
    if pen.x() + 2 <= keys_at {
        pen.go_to(keys_at).put(&keys, looks.aside());
    }
}

/// Returns how much of the window is in a sorted list.
fn sorted_text(state: &State, log: &Log, sorted: &Sorted) -> String {
    let Surveyed { read, having, goes_on, is_cut, ref events, .. } = sorted.result;
    if goes_on {
        let all = log.counts_query(Selection::default(), state.bars_zone());
        let of = all.and_then(|query| log.scrubber.counts.answer(&query)).filter(|_| !log.is_filtered());
        let of = of.map_or_else(String::new, |reply| format!(" of {}", human_count(reply.count)));
        return format!("  read {}{of} · esc stops", human_count(read));
    }
    let first = match having > events.len() as u64 {
        true => format!("the first {} of {}", human_count(events.len() as u64), counted(having, "event")),
        false => counted(having, "event"),
    };
    let without = match read - having {
        0 => String::new(),
        without => format!(", {} without it", human_count(without)),
    };
    let scope = if is_cut { "in what was read of the window" } else { "in the window" };
    format!("  {first} {scope}{without} · enter goes there")
}

/// Returns the number of events in the window that pass the filters, of how many, and how far they are counted.
fn counts(state: &State, log: &Log) -> String {
    let zone = state.bars_zone();
    let answer = |counting: &crate::tui::state::counting::Counting, selection| {
        log.counts_query(selection, zone).and_then(|query| counting.answer(&query).map(|reply| reply.count))
    };
    let matches = answer(&log.scrubber.matches, log.selection());
    let all = answer(&log.scrubber.counts, Selection::default());
    let (Some(matches), Some(all)) = (matches, all) else { return String::new() };
    let (matches, all) = (human_count(matches), human_count(all));
    match log.scrubber.matches.progress() {
        Some((scanned, of)) => {
            let percent = scanned * 100 / of.max(1);
            format!(
                "  {matches} so far, looked at {} of {} · {percent} % · esc stops",
                human_count(scanned),
                human_count(of)
            )
        }
        // While events come in, the two counts are of different moments.
        None if log.mode == Mode::Live => format!("  {matches} in the window"),
        None => format!("  {matches} of {all} in the window"),
    }
}
