//! The service: its instances, the endpoints of one of them, and what waits for the archive.

use hourlog::{Offset, time::SECOND, wire::ComponentStatus};
use ratatui::{buffer::Buffer, layout::Rect, style::Style};

use crate::{
    tui::{
        cover_areas,
        state::{Instance, RequestKind, State, Trouble},
        times,
    },
    when,
};

use super::{endpoints, instances, lag, looks::Looks, messages, pen::Pen, rule};

/// Limit of the rows of a sentence.
const SENTENCE_ROWS: usize = 3;

pub(super) fn draw(state: &State, looks: Looks, buffer: &mut Buffer, area: Rect) {
    let instances = state.instances.all().len();
    let sentences = sentences(state, usize::from(area.width), looks);
    if instances == 0 && state.instances.streams().len() == 0 {
        for (row, text) in placeholder(state).into_iter().chain(sentences).enumerate() {
            Pen::new(buffer, area, row as u16).put(" ", Style::new()).foreign(&looks.spelled(&text), Style::new());
        }
        return;
    }
    let areas = cover_areas::service_areas(area, instances, sentences.len());
    instances::draw(state, looks, buffer, areas.instances);
    for (row, text) in sentences.iter().enumerate() {
        Pen::new(buffer, areas.sentences, row as u16).put(" ", Style::new()).foreign(text, looks.bad());
    }
    if let Some(instance) = state.instances.selected() {
        endpoints::draw(instance, looks, buffer, areas.endpoints);
    }
    lag::draw(state, looks, buffer, areas.lag);
    if areas.messages.height > 0 {
        rule::draw(looks, buffer, areas.messages, "messages", "4 shows all");
        messages::draw_newest(state, looks, buffer, areas.messages);
    }
}

/// Returns the lines of the sentences about what is wrong: with the instance under the cursor, and with what was asked for.
fn sentences(state: &State, width: usize, looks: Looks) -> Vec<String> {
    let selected = state.instances.selected();
    let trouble = selected.and_then(|instance| Some(trouble(state, instance, &instance.trouble()?)));
    let all = trouble.iter().chain(&state.instances.unread);
    all.flat_map(|sentence| {
        let lines = textwrap::wrap(sentence, width.saturating_sub(2).max(1));
        lines.into_iter().take(SENTENCE_ROWS).map(|line| looks.spelled(&line)).collect::<Vec<_>>()
    })
    .collect()
}

/// Returns a sentence about an instance that is unwell.
fn trouble(state: &State, instance: &Instance, trouble: &Trouble<'_>) -> String {
    let id = &instance.id;
    let clock = |at: Offset| when::zoned(at, state.shown_zone()).strftime("%H:%M:%S").to_string();
    match trouble {
        Trouble::Silent => format!("{id} has not answered since {}", clock(instance.answered)),
        Trouble::Degraded(part, ComponentStatus { since, log, reason, .. }) => {
            let since = since.map_or_else(String::new, |since| format!(" since {}", clock(since)));
            let log = log.as_ref().map_or_else(String::new, |log| format!(", log {log}"));
            format!("{id}: {part} is degraded{since}{log}: {}", reason.as_deref().unwrap_or("no reason is told"))
        }
        Trouble::Deaf => format!("{id} does not hear its own heartbeats; others may have taken its slots over"),
        Trouble::Behind(stream, seconds) => {
            let waited = times::duration((seconds * SECOND as f64) as i64);
            format!("{id}: a message of {stream} has waited for the archive for {waited}")
        }
    }
}

/// Returns the lines that explain why there are no rows.
fn placeholder(state: &State) -> Vec<String> {
    let Some(outage) = state.requests.outage(RequestKind::Service) else {
        return vec!["asking the service".to_owned()];
    };
    let since = times::duration(state.nanos_since(outage.since));
    let what = if outage.denied { "you are not allowed to ask the service" } else { "the service does not answer" };
    vec![
        format!("{what}, since {since}"),
        format!("asked at {}; d copies the command that checks the whole path", state.server),
    ]
}
