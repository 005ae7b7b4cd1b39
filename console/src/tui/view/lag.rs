//! The messages that wait for the archive, over the last ten minutes.

use hourlog::{Offset, time::SECOND};
use ratatui::{buffer::Buffer, layout::Rect, style::Style};

use crate::{
    output::{counted, human_bytes, human_count},
    tui::{
        bars,
        layout::SCALE_COLUMNS,
        state::{Heights, LEVELS_NANOS, State, StreamFacts},
        times,
    },
    when,
};

use super::{
    looks::Looks,
    pen::{self, Pen},
    rule,
};

/// Eighths of a row.
const EIGHTHS: usize = 8;
/// Columns of a rule that neither its title nor its facts take.
const AROUND_TITLE: usize = 6;
/// Limit of the columns. A column has to be as long as two readings, or some would have none.
const COLUMNS_MAX: u16 = 150;

pub(super) fn draw(state: &State, looks: Looks, buffer: &mut Buffer, area: Rect) {
    if area.height == 0 {
        return;
    }
    let title = if area.width >= 60 { "what waits for the archive" } else { "lag" };
    let room = usize::from(area.width).saturating_sub(title.len() + AROUND_TITLE);
    rule::draw(looks, buffer, area, title, &facts(state, room));
    let rows = usize::from(area.height.saturating_sub(2));
    if rows == 0 {
        return;
    }
    let columns = area.width.saturating_sub(SCALE_COLUMNS + 1).min(COLUMNS_MAX);
    let levels = state.instances.lag.columns(usize::from(columns));
    let peak = levels.iter().flatten().copied().max().unwrap_or(0);
    for row in 0..rows {
        let mut pen = Pen::new(buffer, area, row as u16 + 1);
        let label = match row {
            0 if peak > 0 => times::short_count(peak),
            _ if row + 1 == rows => "0".to_owned(),
            _ => String::new(),
        };
        let axis = if label.is_empty() { looks.drawn("│", "|") } else { looks.drawn("┤", "|") };
        pen.put(&format!("{label:>4}"), looks.aside()).put(axis, looks.aside());
        for level in &levels {
            let below = (rows - 1 - row) * EIGHTHS;
            match level {
                None if row + 1 == rows => pen.put(looks.drawn("·", ","), looks.aside()),
                None => pen.put(" ", Style::new()),
                Some(level) => {
                    let height = bars::height(*level, peak, rows * EIGHTHS, Heights::Linear);
                    pen.put(looks.bar(height.saturating_sub(below)), Style::new())
                }
            };
        }
    }
    axis(state, looks, &mut Pen::new(buffer, area, rows as u16 + 1), area, &levels);
}

/// Draws when the bars begin and end.
fn axis(state: &State, looks: Looks, pen: &mut Pen<'_>, area: Rect, levels: &[Option<u64>]) {
    let tick = looks.drawn("└", "+");
    let begin = levels.iter().position(Option::is_some).filter(|begin| *begin > 0);
    let (begin, text) = match (begin, state.instances.lag.since()) {
        (Some(begin), Some(since)) => {
            let since = when::zoned(since, state.shown_zone()).strftime("%H:%M");
            (begin, format!("since {since}"))
        }
        _ => (0, format!("{} ago", times::step_of(LEVELS_NANOS))),
    };
    let now = format!("{tick}now");
    let now_at = area.x + SCALE_COLUMNS + levels.len() as u16 - (pen::width(&now) as u16).min(levels.len() as u16);
    // A young begin leaves no room for both.
    let text_width = pen::width(&text) as u16 + 2;
    let begin_at = (area.x + SCALE_COLUMNS + begin as u16).min(now_at.saturating_sub(text_width));
    pen.go_to(begin_at).put(tick, looks.aside()).put(&text, looks.aside());
    pen.go_to(now_at).put(&now, looks.aside());
}

/// Returns the facts about the streams, as many as there is room for: name, bytes of how many, and the age of what waits
/// longest.
fn facts(state: &State, room: usize) -> String {
    let mut streams = state.instances.streams();
    let Some((name, facts)) = streams.next() else { return String::new() };
    let bytes = facts.bytes.map(|bytes| {
        let of = facts.bytes_max.map_or_else(String::new, |max| format!(" of {}", human_bytes(max)));
        format!("{}{of}", human_bytes(bytes))
    });
    let others = streams.len() as u64;
    let others = (others > 0).then(|| format!("{} more", counted(others, "stream")));
    let mut text = format!("stream {name}");
    for part in [bytes, oldest(facts, state.service_now()), others].into_iter().flatten() {
        let longer = format!("{text} · {part}");
        if pen::width(&longer) > room {
            break;
        }
        text = longer;
    }
    text
}

/// Returns the age of the message that waits longest; without a status, that of the oldest one in the stream.
fn oldest(facts: &StreamFacts, now: Offset) -> Option<String> {
    let age = |nanos: i64| times::short_duration(nanos.max(0));
    match (facts.waiting_seconds, facts.oldest) {
        (Some(0.0), _) => Some("nothing waits".to_owned()),
        (Some(seconds), _) => Some(format!("oldest {}", age((seconds * SECOND as f64) as i64))),
        (None, Some(oldest)) => {
            let messages =
                facts.messages.map_or_else(String::new, |count| format!("{} messages, ", human_count(count)));
            Some(format!("{messages}the oldest {}", age(now.nanos().saturating_sub(oldest.nanos()))))
        }
        (None, None) => None,
    }
}
