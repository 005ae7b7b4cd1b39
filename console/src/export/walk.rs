//! Reading of a log for an export: in the order of time, up to the newest event at the start.
//!
//! While a log is read, events arrive behind the place that was reached. So a log has a greatest seq that was
//! archived when its export began, and only events up to it are exported. They are then all there, and an export
//! that is continued knows which ones it lacks.

use std::pin::pin;

use futures_util::TryStreamExt;
use hourlog::{
    ArrivalCursor, Cursor, Event, LogId, Offset, Position, Remote, Seq,
    read::End,
    wire::{Order, PAGE_EVENTS_MAX, ReplayRequest, Span, When},
};

use crate::{arrival::newest_arrival, exit::Failure};

use super::{contents::LogContents, scope::Scope, writer::Writer};

/// The events of the first page. A log that has no more is read with one request.
const FIRST_PAGE_EVENTS: u32 = 1_000;
/// The wait for an event that was being written when the last page ended before it.
const WAIT: Span = Span(hourlog::time::SECOND);

/// The findings when an export was continued.
#[derive(Debug, Default)]
pub(crate) struct Continued {
    /// Events that had come in behind the place where it was continued.
    pub(crate) late: u64,
    /// A sentence if the archive was set back meanwhile.
    pub(crate) moved: Option<String>,
    /// The time before which events were removed meanwhile, if any that the export lacks.
    pub(crate) expired: Option<Offset>,
}

/// Exports all events of `log`.
pub(crate) async fn whole(remote: &Remote, log: &LogId, scope: &Scope, writer: &mut Writer<'_>) -> Result<(), Failure> {
    // A page is a picture of one moment. With a bound, it tells if it shows everything before it.
    let to = scope.until.or(Some(When::At(Offset::MAX)));
    let request = ReplayRequest { limit: Some(FIRST_PAGE_EVENTS), to, ..scope.request() };
    let page = remote.replay(log, &request).await?;
    if matches!(page.end, End::Bound | End::Expired) {
        return page.events.iter().try_for_each(|event| writer.event(event));
    }
    let Some(whole_to) = newest_arrival(remote, log).await? else { return Ok(()) };
    writer.begin(log, whole_to)?;
    rest(remote, log, scope, None, whole_to.seq, writer).await
}

/// Exports the events of `log` that an unfinished export lacks: first those that came in behind its last one.
pub(crate) async fn lacking(
    remote: &Remote,
    contents: &LogContents,
    whole_to: Option<ArrivalCursor>,
    scope: &Scope,
    writer: &mut Writer<'_>,
) -> Result<Continued, Failure> {
    let log = &contents.log;
    let mut continued = Continued::default();
    let mut whole_to = whole_to.filter(|noted| contents.newest.seq < noted.seq).unwrap_or(contents.newest);
    loop {
        let request = ReplayRequest {
            after: Some(Cursor::Arrival(whole_to)),
            order: Order::Arrival,
            limit: Some(PAGE_EVENTS_MAX),
            ..ReplayRequest::default()
        };
        let page = remote.replay(log, &request).await?;
        continued.moved = continued.moved.or(page.moved.map(|moved| moved.to_string()));
        for event in &page.events {
            if event.position < contents.last && scope.is_after_start(event.position, contents.first) {
                writer.event(event)?;
                continued.late += 1;
            }
        }
        if let Some(Cursor::Arrival(next)) = page.next {
            whole_to = next;
        }
        if page.end.is_last() {
            break;
        }
    }
    writer.begin(log, whole_to)?;
    let after = Some(Cursor::Timeline(contents.last));
    let next = ReplayRequest { after, limit: Some(1), ..scope.request() };
    continued.expired = remote.replay(log, &next).await?.expired;
    rest(remote, log, scope, Some(contents.last), whole_to.seq, writer).await?;
    Ok(continued)
}

/// Exports the events after `last` up to the seq `whole_to`, in the order of time.
async fn rest(
    remote: &Remote,
    log: &LogId,
    scope: &Scope,
    mut last: Option<Position>,
    whole_to: Seq,
    writer: &mut Writer<'_>,
) -> Result<(), Failure> {
    // Everything up to the seq lies at or before the latest event. Without this bound, a log that gets events as
    // fast as they are read would never end.
    let to = scope.until.or(Some(When::End));
    let request = ReplayRequest { to, reverse: true, limit: Some(1), ..scope.request() };
    let Some(latest) = remote.replay(log, &request).await?.events.first().map(|event| event.position) else {
        return Ok(());
    };
    if last.is_some_and(|last| latest <= last) {
        return Ok(());
    }
    let to = Some(When::At(latest.offset.saturating_add_nanos(1)));
    // A start such as `last` may have moved past the place that was reached.
    let request = |last: Option<Position>| ReplayRequest {
        from: scope.since.filter(|_| last.is_none()),
        to,
        after: last.map(Cursor::Timeline),
        ..ReplayRequest::default()
    };
    let mut export = |event: &Event| if event.position.seq <= whole_to { writer.event(event) } else { Ok(()) };
    let mut events = pin!(remote.events(log.clone(), request(last)));
    while let Some(event) = events.try_next().await? {
        last = Some(event.position);
        export(&event)?;
    }
    // The last page may have ended before an event that was just being written, with others after it.
    loop {
        let next = ReplayRequest { limit: Some(PAGE_EVENTS_MAX), wait: Some(WAIT), ..request(last) };
        let page = remote.replay(log, &next).await?;
        last = page.events.last().map(|event| event.position).or(last);
        page.events.iter().try_for_each(&mut export)?;
        if matches!(page.end, End::Bound | End::Expired) {
            return Ok(());
        }
    }
}

/// Exports the events of a log that pass conditions, up to the newest one of now.
pub(crate) async fn selected(
    remote: &Remote,
    log: &LogId,
    request: &ReplayRequest,
    writer: &mut Writer<'_>,
) -> Result<(), Failure> {
    let Some(request) = up_to_newest(remote, log, request).await? else { return Ok(()) };
    let mut events = pin!(remote.events(log.clone(), request));
    while let Some(event) = events.try_next().await? {
        writer.event(&event)?;
    }
    Ok(())
}

/// Returns the request for the events of a log up to the newest one of now: a log that gets events as fast as they are
/// read would never end. `None` if there are no events.
pub(crate) async fn up_to_newest(
    remote: &Remote,
    log: &LogId,
    request: &ReplayRequest,
) -> Result<Option<ReplayRequest>, Failure> {
    let to = request.to.or(Some(When::End));
    let newest = ReplayRequest { from: request.from, to, reverse: true, limit: Some(1), ..ReplayRequest::default() };
    let newest = remote.replay(log, &newest).await?.events.first().map(|event| event.position.offset);
    let to = newest.map(|newest| Some(When::At(newest.saturating_add_nanos(1))));
    Ok(to.map(|to| ReplayRequest { to, ..request.clone() }))
}
