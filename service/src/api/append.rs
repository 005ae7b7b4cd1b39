//! `append`: writes one record and replies with its position once it is archived.
//!
//! An error tells what has become of the record: its sender must not send it again if it is in the stream.

mod progress;

use std::time::Duration;

use async_nats::HeaderMap;
use hourlog::{
    ArrivalCursor, Error, ErrorKind, Event, LogId, Offset, Position, Result, Sent, header,
    nats::publish_error,
    read::{ArrivalQuery, arrivals_page},
    store::Store,
    wire::{AppendReply, HEADROOM_BYTES, Span, WAIT, wal_subject},
};
use tokio::time::{Instant, sleep, timeout_at};

use crate::peers::{APPEND_ID, RELAYED_AT, REQUESTER};
use crate::stream::{
    decode::{Decoded, Decoder},
    headers::one_value,
    message::{Message, MessageKey},
    raw::{self, RawMessage},
};

use super::{Api, Reply, Request, fresh};
pub(super) use progress::Progress;

/// Time within which the stream can recognise a duplicate: its default window of two minutes, and a
/// reserve for clock differences.
const DUPLICATE_WINDOW_MAX: Duration = Duration::from_secs(5 * 60);
/// Number of message ids that an append tries. It needs a second one only if a client gave one id to
/// different records.
const ATTEMPTS_MAX: u32 = 8;
/// Longest wait for the archive, unless the request asks for a shorter one. After that, the request fails
/// with [`ErrorKind::Deadline`].
const ARCHIVED_MAX: Duration = Duration::from_secs(30);
/// Pause before an archived record that was not found is looked up again: a check of the stream is
/// quick, and may change nothing.
const LOOK_UP_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// Writes the record. If this is stopped halfway, the progress of `request` tells what has become of it.
pub(super) async fn answer<S: Store>(api: &Api<S>, log: &LogId, request: &Request) -> Result<Reply> {
    let begun = Instant::now();
    if log.is_system() {
        return Err(Error::invalid(format!("log {log} is a system log; append to an id that does not begin with _")));
    }
    let bytes_max = api.client.max_payload().saturating_sub(HEADROOM_BYTES);
    if request.payload().len() > bytes_max {
        let context =
            format!("a record of {} bytes is above this server's limit of {bytes_max}", request.payload().len());
        return Err(Error::new(ErrorKind::TooLarge, context));
    }
    let mapped = api.sources.wal().mapping.log(&wal_subject(log))?;
    if mapped != *log {
        return Err(Error::invalid(format!(
            "by the patterns of the service's --logs, an event on the subject {} belongs to log {mapped}; append to that log",
            wal_subject(log)
        )));
    }
    let until = begun + longest_wait(request.headers())?;
    let owner = timeout_at(until, api.sources.of_log(&api.store, log)).await.unwrap_or_else(|_| {
        Err(Error::new(ErrorKind::Deadline, "the archive does not answer; hourlog doctor says why"))
    })?;
    if !owner.health.is_wal {
        let context =
            format!("log {log} belongs to the stream {}; publish to a subject of that stream", owner.stream());
        return Err(Error::new(ErrorKind::Refused, context));
    }
    // Before the record is published: an append that is in the stream cannot be refused.
    request.place.begin_wait()?;
    let id = one_value(request.headers(), header::MSG_ID)?;
    let id = id.map_or_else(|| request.append_id.clone(), str::to_owned);
    let mut headers = headers(request.headers())?;
    for attempt in 0..ATTEMPTS_MAX {
        let message_id = api.message_ids.of(log, &id, attempt);
        headers.insert(header::MSG_ID, message_id.as_str());
        let outcome = api.waiters.wait_for(&message_id);
        let waits = outcome.is_some();
        let appended = timeout_at(until, append(api, log, &headers, request, outcome)).await;
        if waits {
            // The ingest removes the waiter, except when the record was not published or was a
            // duplicate.
            api.waiters.leave(&message_id);
        }
        let late = || Error::new(ErrorKind::Deadline, "the time for the answer is over");
        if let Some((position, duplicate)) = appended.unwrap_or_else(|_| Err(late()))? {
            return Reply::json(&AppendReply { log: log.clone(), position, time: position.offset, duplicate });
        }
        request.progress.not_sent();
    }
    let id = hourlog::wire::shorten(&id);
    Err(Error::new(
        ErrorKind::Refused,
        format!("{ATTEMPTS_MAX} other records were appended with the message id {id:?} already; give each its own"),
    ))
}

/// Returns the time in which the request must be answered.
pub(super) fn longest_wait(headers: Option<&HeaderMap>) -> Result<Duration> {
    let Some(text) = one_value(headers, WAIT)? else { return Ok(ARCHIVED_MAX) };
    let span: Span = text.parse().map_err(|error| Error::invalid(format!("{WAIT}: {error}")))?;
    Ok(span.duration().min(ARCHIVED_MAX))
}

/// Publishes the record and waits until it is archived. Returns its position, and true for a
/// duplicate. Returns `None` if the stream holds another record under this message id.
async fn append<S: Store>(
    api: &Api<S>,
    log: &LogId,
    headers: &HeaderMap,
    request: &Request,
    outcome: Option<tokio::sync::oneshot::Receiver<Result<Position>>>,
) -> Result<Option<(Position, bool)>> {
    let wal = api.sources.wal();
    let stream = &**wal.stream();
    let failed = |error| publish_error(&format!("the stream {stream}"), error);
    let jetstream = api.jetstream();
    request.progress.publishing();
    let published = jetstream
        .publish_with_headers(wal_subject(log), headers.clone(), request.payload().clone())
        .await
        .map_err(failed)?
        .await
        .map_err(failed)?;
    let sequence = published.sequence;
    if published.stream != stream {
        let context = format!(
            "the stream {} captures the subject {}, so {stream} cannot; remove that subject from the other stream",
            published.stream,
            wal_subject(log)
        );
        let sent = Sent::InStream { stream: published.stream.into(), sequence };
        return Err(Error::new(ErrorKind::Refused, context).with_sent(sent));
    }
    // A duplicate may be another record with the same id.
    if !published.duplicate {
        request.progress.in_stream(sequence);
    }
    match outcome {
        _ if published.duplicate => {
            let position = position_of_duplicate(api, log, headers, request, sequence).await?;
            Ok(position.map(|position| (position, true)))
        }
        Some(outcome) => {
            let position = outcome.await.map_err(|_| super::stopping())??;
            Ok(Some((position, false)))
        }
        // Another request with the same id waits for the ingest.
        None => Ok(Some((archived_at(api, log, sequence).await?, false))),
    }
}

/// Adds to the error of an append what has become of its record, unless it says so itself.
///
/// A failure behind the publish gets a sentence of its own, because its advice would be to retry.
pub(super) fn with_sent(error: Error, progress: &Progress, stream: &str) -> Error {
    if error.sent().is_some() {
        return error;
    }
    let sent = progress.sent(stream);
    let may_pass = matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Deadline);
    let error = match &sent {
        Sent::InStream { sequence, .. } if may_pass => not_archived(stream, *sequence).because(error),
        Sent::Unknown if may_pass => not_acknowledged(stream).because(error),
        _ => error,
    };
    error.with_sent(sent)
}

fn not_archived(stream: &str, sequence: u64) -> Error {
    let context = format!(
        "the record is message {sequence} of the stream {stream}, and will be archived; hourlog doctor says why it is \
         not yet"
    );
    Error::new(ErrorKind::Deadline, context)
}

fn not_acknowledged(stream: &str) -> Error {
    let context = format!(
        "the stream {stream} has not acknowledged the record; send it again with the same {}, hourlog doctor says why",
        header::MSG_ID
    );
    Error::new(ErrorKind::Deadline, context)
}

/// Waits until the message `sequence` is archived, which the stream takes for the record, and returns
/// its position. Returns `None` if it is another record, or of another log.
async fn position_of_duplicate<S: Store>(
    api: &Api<S>,
    log: &LogId,
    headers: &HeaderMap,
    request: &Request,
    sequence: u64,
) -> Result<Option<Position>> {
    let (wal, subject) = (api.sources.wal(), wal_subject(log));
    if let Some(raw) = exactly(api, sequence).await? {
        let is_same = raw.subject() == subject
            && raw.payload() == request.payload()
            && raw.headers().is_ok_and(|found| are_same(&found, headers));
        return match is_same {
            true => {
                request.progress.in_stream(sequence);
                archived_at(api, log, sequence).await.map(Some)
            }
            false => Ok(None),
        };
    }
    // It has left the stream, so it is archived, unless somebody else removed it.
    fresh::wait_until_archived(&wal.health, sequence, ARCHIVED_MAX).await?;
    let Some(event) = find(api, log, sequence).await? else { return Ok(None) };
    let key = MessageKey { sequence, time: event.arrival_time() };
    let message = Message { subject: &subject, headers: Some(headers), payload: request.payload().clone(), key };
    let mut record = Decoder::new(wal, &api.sources).decode(message, key.time).row.event.record;
    let mut found = event.record;
    for record in [&mut record, &mut found] {
        record.metadata.remove_any_case(header::MSG_ID);
    }
    Ok((record == found).then_some(event.position))
}

/// Returns true if both messages hold the same metadata. The client's message id is the same, because both have
/// the id that was made of it. One may store it and the other not: the first attempt of a call does not, and one
/// by hand does.
fn are_same(one: &HeaderMap, other: &HeaderMap) -> bool {
    let plain = |headers: &HeaderMap| {
        let mut headers = headers.clone();
        headers.insert(header::STORED_MSG_ID, "");
        headers
    };
    plain(one) == plain(other)
}

/// Returns the stream's message `sequence`, if the stream still has it.
async fn exactly<S: Store>(api: &Api<S>, sequence: u64) -> Result<Option<RawMessage>> {
    let found = raw::fetch(&api.jetstream(), api.sources.wal().stream(), sequence).await?;
    Ok(found.filter(|raw| raw.key.sequence == sequence))
}

/// Waits until the stream's message `sequence` is archived, and returns its position. After a fork
/// that the ingest has not noticed yet, the computed position is wrong: so this looks the event up.
async fn archived_at<S: Store>(api: &Api<S>, log: &LogId, sequence: u64) -> Result<Position> {
    loop {
        let wal = &api.sources.wal().health;
        fresh::wait_until_archived(wal, sequence, ARCHIVED_MAX).await?;
        let (position, time) = position(api, log, sequence).await?;
        if api.store.event(log, position).await?.is_some() {
            return Ok(position);
        }
        if let Some(refusal) = refusal(api, MessageKey { sequence, time }).await? {
            return Err(refusal);
        }
        fresh::wait_for_stream_check(wal, ARCHIVED_MAX).await?;
        sleep(LOOK_UP_AGAIN_AFTER).await;
    }
}

/// Returns the position of the archived message `sequence`, and its arrival time. The position is a
/// pure function of the message, unless a limit has refused it. When the stream no longer has the
/// message, this searches the latest arrivals.
async fn position<S: Store>(api: &Api<S>, log: &LogId, sequence: u64) -> Result<(Position, Offset)> {
    if let Some(raw) = exactly(api, sequence).await? {
        return match Decoder::new(api.sources.wal(), &api.sources).decode_raw(&raw, raw.key.time) {
            Decoded { rejected: Some(rejection), .. } => Err(rejection.error),
            Decoded { row, .. } => Ok((row.event.position, raw.key.time)),
        };
    }
    find(api, log, sequence).await?.map(|event| (event.position, event.arrival_time())).ok_or_else(|| {
        let context =
            format!("log {log} does not hold the record; if it was rejected, hourlog read _rejected says why");
        Error::new(ErrorKind::Rejected, context)
    })
}

/// Returns the error of a message that is in the log of rejected events.
async fn refusal<S: Store>(api: &Api<S>, key: MessageKey) -> Result<Option<Error>> {
    let wal = api.sources.wal();
    let log = &wal.rejected_log;
    let position = Position { offset: key.time, seq: wal.epochs().seq(log.slot(), key.sequence) };
    let Some(event) = api.store.event(log, position).await? else { return Ok(None) };
    let reason = event.record.metadata.get(header::REJECTED).first().cloned();
    Ok(reason.map(|reason| Error::new(ErrorKind::Rejected, reason)))
}

/// Returns the event of the stream's message `sequence`, if it is among the latest arrivals of the log.
async fn find<S: Store>(api: &Api<S>, log: &LogId, sequence: u64) -> Result<Option<Event>> {
    let seq = api.sources.wal().epochs().seq(log.slot(), sequence);
    let window = i64::try_from(DUPLICATE_WINDOW_MAX.as_nanos()).expect("the window is minutes long");
    let after =
        ArrivalCursor { time: api.health.time.now().saturating_add_nanos(-window), seq: seq.saturating_previous() };
    let query = ArrivalQuery { after, limit: 1, bytes: usize::MAX };
    match arrivals_page(&api.store, log, &query, seq).await {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        page => Ok(page?.events.into_iter().next()),
    }
}

/// Returns the headers to publish: those of the request without NATS's own. The client's message id
/// is kept under another name, because the message has one of ours.
fn headers(requested: Option<&HeaderMap>) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    for (name, values) in requested.into_iter().flat_map(HeaderMap::iter) {
        let name_text: &str = name.as_ref();
        // `Hourlog-Once` could skip the record, but an append must store it to return a position. `Hourlog-Wait` is
        // for this request.
        let is_replaced =
            [header::ONCE, header::RECEIPT, header::STORED_MSG_ID, WAIT, REQUESTER, APPEND_ID, RELAYED_AT]
                .iter()
                .any(|own| name_text.eq_ignore_ascii_case(own));
        if !is_replaced && !header::is_nats(name_text) {
            values.iter().for_each(|value| headers.append(name.clone(), value.clone()));
        }
    }
    let id = one_value(requested, header::MSG_ID)?;
    let stored_id = one_value(requested, header::STORED_MSG_ID)?.or(id).unwrap_or_default();
    headers.insert(header::STORED_MSG_ID, stored_id);
    Ok(headers)
}
