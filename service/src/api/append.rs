//! `append`: writes one record and replies with its position once it is archived.

use std::time::Duration;

use async_nats::HeaderMap;
use hourlog::{
    ArrivalCursor, Error, ErrorKind, Event, LogId, Offset, Position, Result, header,
    nats::publish_error,
    read::{ArrivalQuery, arrivals_page},
    store::Store,
    wire::{AppendReply, HEADROOM_BYTES, wal_subject},
};
use tokio::time::{sleep, timeout};

use crate::stream::{
    decode::{Decoded, Decoder},
    headers::one_value,
    message::{Message, MessageKey},
    raw::{self, RawMessage},
};

use super::{Api, Reply, Request, fresh};

/// Time within which the stream can recognise a duplicate: its default window of two minutes, and a
/// reserve for clock differences.
const DUPLICATE_WINDOW_MAX: Duration = Duration::from_secs(5 * 60);
/// Number of message ids that an append tries. It needs a second one only if a client gave one id to
/// different records.
const ATTEMPTS_MAX: u32 = 8;
/// Longest wait for the archive. After that, the request fails with [`ErrorKind::Deadline`].
const ARCHIVED_MAX: Duration = Duration::from_secs(30);
/// Pause before an archived record that was not found is looked up again: a check of the stream is
/// quick, and may change nothing.
const LOOK_UP_AGAIN_AFTER: Duration = Duration::from_millis(100);

pub(super) async fn answer<S: Store>(api: &Api<S>, log: &LogId, request: &Request) -> Result<Reply> {
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
    let owner = api.sources.of_log(&api.store, log).await?;
    if !owner.health.is_wal {
        let context =
            format!("log {log} belongs to the stream {}; publish to a subject of that stream", owner.stream());
        return Err(Error::new(ErrorKind::Refused, context));
    }
    // Before the record is published: an append that is in the stream cannot be refused.
    request.place.begin_wait()?;
    let id = one_value(request.headers(), header::MSG_ID)?;
    let id = id.map_or_else(|| nuid::next().to_string(), str::to_owned);
    let mut headers = headers(request.headers())?;
    for attempt in 0..ATTEMPTS_MAX {
        let message_id = api.message_ids.of(log, &id, attempt);
        headers.insert(header::MSG_ID, message_id.as_str());
        let outcome = api.waiters.wait_for(&message_id);
        let waits = outcome.is_some();
        let appended = append(api, log, &headers, request, outcome).await;
        if waits {
            // The ingest removes the waiter, except when the record was not published or was a
            // duplicate.
            api.waiters.leave(&message_id);
        }
        if let Some((position, duplicate)) = appended? {
            return Reply::json(&AppendReply { log: log.clone(), position, time: position.offset, duplicate });
        }
    }
    let id = hourlog::wire::shorten(&id);
    Err(Error::new(
        ErrorKind::Refused,
        format!("{ATTEMPTS_MAX} other records were appended with the message id {id:?} already; give each its own"),
    ))
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
    let published = jetstream
        .publish_with_headers(wal_subject(log), headers.clone(), request.payload().clone())
        .await
        .map_err(failed)?
        .await
        .map_err(failed)?;
    if published.stream != stream {
        return Err(Error::new(
            ErrorKind::Refused,
            format!(
                "the stream {} captures the subject {}, so {stream} cannot; remove that subject from the other stream",
                published.stream,
                wal_subject(log)
            ),
        ));
    }
    let sequence = published.sequence;
    let archived = async {
        match outcome {
            _ if published.duplicate => {
                let position = position_of_duplicate(api, log, headers, request, sequence).await?;
                Ok(position.map(|position| (position, true)))
            }
            Some(outcome) => {
                let position = outcome.await.map_err(|_| not_archived(sequence))??;
                Ok(Some((position, false)))
            }
            // Another request with the same id waits for the ingest.
            None => Ok(Some((archived_at(api, log, sequence).await?, false))),
        }
    };
    timeout(ARCHIVED_MAX, archived).await.unwrap_or_else(|_| Err(not_archived(sequence)))
}

fn not_archived(sequence: u64) -> Error {
    let context =
        format!("the record is message {sequence} of the stream and not archived yet; hourlog doctor says why");
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
            && raw.headers().is_ok_and(|found| found == *headers);
        return match is_same {
            true => archived_at(api, log, sequence).await.map(Some),
            false => Ok(None),
        };
    }
    // It has left the stream, so it is archived, unless somebody else removed it.
    fresh::wait_until_archived(&wal.health, sequence, ARCHIVED_MAX).await?;
    let Some(event) = find(api, log, sequence).await? else { return Ok(None) };
    let key = MessageKey { sequence, time: event.arrival_time() };
    let message = Message { subject: &subject, headers: Some(headers), payload: request.payload().clone(), key };
    let record = Decoder::new(wal, &api.sources).decode(message, key.time).row.event.record;
    Ok((record == event.record).then_some(event.position))
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
        // `Hourlog-Once` could skip the record, but an append must store it to return a position.
        let is_replaced = [header::ONCE, header::STORED_MSG_ID].iter().any(|own| name_text.eq_ignore_ascii_case(own));
        if !is_replaced && !header::is_nats(name_text) {
            values.iter().for_each(|value| headers.append(name.clone(), value.clone()));
        }
    }
    let id = one_value(requested, header::MSG_ID)?;
    let stored_id = one_value(requested, header::STORED_MSG_ID)?.or(id).unwrap_or_default();
    headers.insert(header::STORED_MSG_ID, stored_id);
    Ok(headers)
}
