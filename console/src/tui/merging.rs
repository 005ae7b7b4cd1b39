//! Several logs as one: their pages are merged by time, and their counts are added.

use futures_util::{
    Stream,
    future::{join_all, try_join_all},
    stream,
};
use hourlog::{
    Error, ErrorKind, LogId, Offset, Position, Result,
    wire::{BinReply, GroupReply, Span, TimelineReply, TimelineRequest, When},
};

use crate::tui::{filter::Selection, lanes::Lanes, pages::Fetched, scan::Direction, source::Source};

/// Limit of the requests with which the events of one log are counted.
const REQUESTS_MAX: usize = 100;

/// Returns selected events of all lanes from a position on, or before it.
pub(super) async fn page(
    source: &impl Source,
    lanes: &Lanes,
    at: Position,
    direction: Direction,
    limit: u32,
    selection: &Selection,
) -> Result<Fetched> {
    let pages = lanes.logs().iter().map(|log| source.page(log, at, direction, limit, selection));
    merged(join_all(pages).await, direction.rest(at))
}

/// Returns the selected events of all lanes in a stretch of the timeline, page by page. A page knows how far it reads, which
/// may be beyond the stretch.
pub(super) fn stretch<'a>(
    source: &'a impl Source,
    lanes: &'a Lanes,
    (from, to): (Position, Position),
    limit: u32,
    selection: &'a Selection,
) -> impl Stream<Item = Result<Fetched>> + Send + 'a {
    stream::try_unfold(from, move |at| async move {
        if at >= to {
            return Ok(None);
        }
        let mut page = page(source, lanes, at, Direction::Forward, limit, selection).await?;
        page.events.retain(|event| event.position < to);
        let next = page.to;
        Ok(Some((page, next)))
    })
}

/// Returns the newest selected events of all lanes that do not lie ahead of now.
pub(super) async fn newest(source: &impl Source, lanes: &Lanes, limit: u32, selection: &Selection) -> Result<Fetched> {
    let pages = lanes.logs().iter().map(|log| source.newest(log, limit, selection));
    merged(join_all(pages).await, (Position::MIN, Position::MAX))
}

/// Merges pages: what they have in common is covered. A log that does not exist has no events in `whole`.
fn merged(pages: Vec<Result<Fetched>>, whole: (Position, Position)) -> Result<Fetched> {
    let (mut found, mut missing) = (Vec::new(), None);
    for page in pages {
        match page {
            Ok(page) => found.push(page),
            Err(error) if error.kind() == ErrorKind::NotFound => missing = Some(error),
            Err(error) => return Err(error),
        }
    }
    if let (true, Some(error)) = (found.is_empty(), missing) {
        return Err(error);
    }
    let from = found.iter().map(|page| page.from).max().unwrap_or(whole.0);
    let to = found.iter().map(|page| page.to).min().unwrap_or(whole.1);
    let scanned = found.iter().map(|page| page.scanned).sum();
    let mut events: Vec<_> = found.into_iter().flat_map(|page| page.events).collect();
    events.retain(|event| (from..to).contains(&event.position));
    events.sort_by(|one, other| (one.position, &one.log).cmp(&(other.position, &other.log)));
    Ok(Fetched { from, to: to.max(from), events, scanned })
}

/// Counts the events of all lanes; of several, also those of each.
pub(super) async fn count(source: &impl Source, lanes: &Lanes, request: &TimelineRequest) -> Result<TimelineReply> {
    if !lanes.are_several() {
        return source.count(lanes.first(), request).await;
    }
    let request = match (request.from, request.to) {
        (Some(_), Some(_)) => request.clone(),
        _ => {
            let Some((from, to)) = extent(source, lanes).await? else {
                return source.count(lanes.first(), request).await;
            };
            TimelineRequest { from: Some(When::At(from)), to: Some(When::At(to)), ..request.clone() }
        }
    };
    let replies = lanes.logs().iter().map(|log| complete(source, log, &request));
    let mut sum: Option<TimelineReply> = None;
    let mut groups = Vec::new();
    for (log, reply) in lanes.logs().iter().zip(try_join_all(replies).await?) {
        let Some(reply) = reply else { continue };
        let bins = reply.bins.iter().map(|bin| bin.count).collect();
        groups.push(GroupReply { value: Some(log.to_string()), count: reply.count, bins });
        sum = Some(match sum {
            None => reply,
            Some(sum) => added(sum, reply),
        });
    }
    let missing = || Error::new(ErrorKind::NotFound, format!("there is no log of {lanes}"));
    Ok(TimelineReply { groups: Some(groups), ..sum.ok_or_else(missing)? })
}

/// Returns the time from the oldest to the newest event of all lanes.
async fn extent(source: &impl Source, lanes: &Lanes) -> Result<Option<(Offset, Offset)>> {
    let request = TimelineRequest { bins: Some(1), ..TimelineRequest::default() };
    let replies = try_join_all(lanes.logs().iter().map(|log| complete(source, log, &request))).await?;
    let with_events = || replies.iter().flatten().filter(|reply| !reply.bins.is_empty());
    Ok(with_events().map(|reply| reply.from).min().zip(with_events().map(|reply| reply.to).max()))
}

/// Counts the events of one log; `None` for one that does not exist.
async fn complete(source: &impl Source, log: &LogId, request: &TimelineRequest) -> Result<Option<TimelineReply>> {
    let counted = counted(source, log, request).await?;
    // The timelines have no counts for the events that were left out, so the sum is not exact.
    Ok(counted.map(|(sum, is_complete)| TimelineReply { exact: sum.exact && is_complete, ..sum }))
}

/// Counts the events of one log in as many requests as that takes, and returns true if that was enough to count all of them;
/// `None` for a log that does not exist.
pub(super) async fn counted(
    source: &impl Source,
    log: &LogId,
    request: &TimelineRequest,
) -> Result<Option<(TimelineReply, bool)>> {
    let (mut sum, mut after): (Option<TimelineReply>, _) = (None, request.after);
    for _ in 0..REQUESTS_MAX {
        let reply = match source.count(log, &TimelineRequest { after, ..request.clone() }).await {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            reply => reply?,
        };
        after = reply.next;
        sum = Some(match sum {
            None => reply,
            Some(sum) => added(sum, reply),
        });
        if after.is_none() {
            break;
        }
    }
    Ok(sum.map(|sum| (TimelineReply { next: None, ..sum }, after.is_none())))
}

/// Returns the counts of both.
fn added(sum: TimelineReply, more: TimelineReply) -> TimelineReply {
    let both = |(one, other): (BinReply, &BinReply)| BinReply { count: one.count + other.count, ..one };
    let bins = if sum.bins.len() == more.bins.len() {
        sum.bins.into_iter().zip(&more.bins).map(both).collect()
    } else {
        sum.bins
    };
    TimelineReply {
        bins,
        count: sum.count + more.count,
        exact: sum.exact && more.exact,
        grain: Span(sum.grain.0.max(more.grain.0)),
        edge: sum.edge + more.edge,
        scanned: sum.scanned + more.scanned,
        of: sum.of + more.of,
        ahead: sum.ahead.or(more.ahead),
        next: more.next,
        ..sum
    }
}
