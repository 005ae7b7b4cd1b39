//! Counting the events of one log after the other: from the index, or by reading them.

use std::{sync::Arc, time::Duration};

use hourlog::{
    Cursor, ErrorKind, LogId, Offset, Position, Result, Seq,
    read::{Counting, Query, histogram},
    store::{Run, Store},
};
use tokio::time::Instant;

use crate::{
    filter::{Filter, Grouping},
    reading::{Reading, elsewhere},
};

use super::{
    super::{Api, page::AnyPage},
    tally::Tally,
};

/// The events and the bytes that are read at a time.
const SLICE: (usize, usize) = (8_000, 2 << 20);
/// Before the first event of a log. It has a text, as what a requester gets must have.
const BEGIN: Position = Position { offset: Offset::MIN, seq: Seq::ZERO };
/// The time after which a reply returns with what was counted, if every event is read.
const TIME_MAX: Duration = Duration::from_secs(1);

/// The events that are counted, and how.
#[derive(Debug)]
pub(super) struct Events {
    pub(super) filter: Option<Filter>,
    pub(super) by: Option<Grouping>,
    /// The most events to read where the index is too coarse.
    pub(super) reads_max: u64,
    /// Ends at `reads_max`, instead of counting the rest from the index.
    pub(super) exact: bool,
}

impl Events {
    /// Returns true if each event is read.
    pub(super) fn reads_all(&self) -> bool {
        self.filter.is_some() || self.by.is_some()
    }
}

/// The counts of all logs.
#[derive(Debug)]
pub(super) struct Counted {
    pub(super) tally: Tally,
    pub(super) is_exact: bool,
    pub(super) grain_nanos: i64,
    pub(super) edge: u64,
    pub(super) scanned: u64,
    pub(super) of: u64,
    /// The index of a log, and its position up to which everything is counted; the later logs are not counted.
    pub(super) next: Option<(usize, Position)>,
}

/// Counts the events of `logs` between `edges`, from the position of the log with the index in `after` on.
pub(super) async fn count<S: Store>(
    api: &Api<S>,
    logs: &[LogId],
    after: Option<(usize, Position)>,
    edges: Vec<Offset>,
    events: &Arc<Events>,
) -> Result<Counted> {
    let reads_all = events.reads_all();
    let tally = Tally::new(edges.clone(), events.by.is_some());
    let mut counted = Counted { tally, is_exact: true, grain_nanos: 0, edge: 0, scanned: 0, of: 0, next: None };
    let deadline = Instant::now() + TIME_MAX;
    let (start, position) = after.unwrap_or((0, BEGIN));
    for (index, log) in logs.iter().enumerate().skip(start) {
        let after = Some(position).filter(|_| index == start);
        let reads_left = if reads_all { 0 } else { events.reads_max.saturating_sub(counted.scanned) };
        let is_full = counted.next.is_some() || events.exact && !reads_all && reads_left == 0;
        // The index counts the rest, so that the reply can say how much it is.
        let exact = events.exact && !reads_all && !is_full;
        let ends = [edges[0], edges[edges.len() - 1]];
        let edges = if reads_all { ends.to_vec() } else { edges.clone() };
        let counting = Counting { edges, after, reads_max: if is_full { 0 } else { reads_left }, exact };
        let found = match histogram(&api.store, log, &counting).await {
            // It was deleted since the logs were listed.
            Err(error) if error.kind() == ErrorKind::NotFound && logs.len() > 1 => continue,
            found => found?,
        };
        if reads_all {
            counted.of += found.count + found.edge;
            if counted.next.is_none() {
                let from = after.unwrap_or(BEGIN).max(Position { offset: ends[0], ..BEGIN });
                let query =
                    Query { from, to: Some(Position::at(ends[1])), reverse: false, limit: SLICE.0, bytes: SLICE.1 };
                let next = read(api, log, query, events, &mut counted, deadline).await?;
                counted.next = next.map(|next| (index, next));
            }
            continue;
        }
        counted.of += found.to_read;
        if is_full {
            counted.next.get_or_insert((index, after.unwrap_or(BEGIN)));
            continue;
        }
        for (count, bin) in counted.tally.counts.iter_mut().zip(&found.bins) {
            *count += bin.count;
        }
        counted.is_exact &= found.is_exact;
        counted.grain_nanos = counted.grain_nanos.max(found.grain_nanos);
        counted.edge += found.edge;
        counted.scanned += found.read;
        counted.next = found.next.map(|next| (index, next));
    }
    Ok(counted)
}

/// Reads the events of a log and counts them. Returns the position up to which they are counted, if the time is over.
async fn read<S: Store>(
    api: &Api<S>,
    log: &LogId,
    mut query: Query,
    events: &Arc<Events>,
    counted: &mut Counted,
    deadline: Instant,
) -> Result<Option<Position>> {
    loop {
        if counted.scanned > 0 && Instant::now() >= deadline {
            return Ok(Some(query.from));
        }
        let slice = match api.read(log, &Reading::Timeline(query)).await {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            slice => AnyPage::new(slice?, None),
        };
        let (runs, is_last) = (slice.runs, slice.end.is_last());
        let tally = std::mem::replace(&mut counted.tally, Tally::new(Vec::new(), false));
        let (events, log) = (Arc::clone(events), log.clone());
        let (tally, scanned, last) = elsewhere(move || Some(add(tally, &log, runs, &events, deadline))).await?;
        counted.tally = tally;
        counted.scanned += scanned;
        let Some(last) = last else { return Ok(None) };
        query.from = last.next();
        if is_last && Some(Cursor::Timeline(last)) == slice.next {
            return Ok(None);
        }
    }
}

/// Counts the events of a slice, up to the time at which the reply ends. Returns their number and the last position.
fn add(
    mut tally: Tally,
    log: &LogId,
    runs: Vec<Run>,
    events: &Events,
    deadline: Instant,
) -> Result<(Tally, u64, Option<Position>)> {
    let (mut scanned, mut last) = (0, None);
    for run in runs {
        for encoded in run.into_events()? {
            if scanned > 0 && Instant::now() >= deadline {
                return Ok((tally, scanned, last));
            }
            scanned += 1;
            last = Some(encoded.position());
            let filter = events.filter.as_ref();
            if filter.is_some_and(|filter| filter.rules_out(encoded.as_field())) {
                continue;
            }
            let event = encoded.decode(log);
            if filter.is_none_or(|filter| filter.selects(&event)) {
                tally.add(event.position.offset, || events.by.as_ref()?.value_of(&event));
            }
        }
    }
    Ok((tally, scanned, last))
}
