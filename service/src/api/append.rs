//! `append`: writes one record and replies with its position once it is archived.

use std::time::Duration;

use async_nats::HeaderMap;
use hourlog::{
    ArrivalCursor, Error, ErrorKind, LogId, Position, Result, header,
    nats::publish_error,
    read::{ArrivalQuery, arrivals_page},
    store::Store,
    wire::{AppendReply, HEADROOM_BYTES, wal_subject},
};

use crate::stream::{
    decode::{Decoded, Decoder},
    headers::one_value,
    raw,
};

use super::{Api, Reply, Request, fresh};

/// Time within which the stream can recognise a duplicate: its default window of two minutes, and a
/// reserve for clock differences.
const DUPLICATE_WINDOW_MAX: Duration = Duration::from_secs(5 * 60);
/// Longest wait for the archive. After that, the request fails with [`ErrorKind::Deadline`].
const ARCHIVED_MAX: Duration = Duration::from_secs(30);

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
    let headers = headers(log, request.headers())?;
    let id = headers.get(header::MSG_ID).map(|id| id.as_str().to_owned()).unwrap_or_default();
    let outcome = api.waiters.wait_for(&id);
    let waits = outcome.is_some();
    let appended = append(api, log, headers, request, outcome).await;
    if waits {
        // The ingest removes the waiter, except when the record was not published or was a
        // duplicate.
        api.waiters.leave(&id);
    }
    let (position, duplicate) = appended?;
    Reply::json(&AppendReply { log: log.clone(), position, time: position.offset, duplicate })
}

/// Publishes the record and waits until it is archived. Returns its position, and true for a
/// duplicate.
async fn append<S: Store>(
    api: &Api<S>,
    log: &LogId,
    headers: HeaderMap,
    request: &Request,
    outcome: Option<tokio::sync::oneshot::Receiver<Result<Position>>>,
) -> Result<(Position, bool)> {
    let wal = api.sources.wal();
    let stream = &**wal.stream();
    let failed = |error| publish_error(&format!("the stream {stream}"), error);
    let jetstream = api.jetstream();
    let published = jetstream
        .publish_with_headers(wal_subject(log), headers, request.payload().clone())
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
    let not_archived = || {
        let context = format!(
            "the record is message {} of the stream and not archived yet; hourlog doctor says why",
            published.sequence
        );
        Error::new(ErrorKind::Deadline, context)
    };
    match outcome.filter(|_| !published.duplicate) {
        Some(outcome) => match tokio::time::timeout(ARCHIVED_MAX, outcome).await {
            Ok(Ok(position)) => Ok((position?, false)),
            _ => Err(not_archived()),
        },
        None => {
            let found = tokio::time::timeout(ARCHIVED_MAX, archived_at(api, log, published.sequence)).await;
            Ok((found.unwrap_or_else(|_| Err(not_archived()))?, published.duplicate))
        }
    }
}

/// Waits until the stream's message `sequence` is archived, and returns its position. After a fork
/// that the ingest has not noticed yet, the computed position is wrong: so this looks the event up.
async fn archived_at<S: Store>(api: &Api<S>, log: &LogId, sequence: u64) -> Result<Position> {
    loop {
        let wal = &api.sources.wal().health;
        fresh::wait_until_archived(wal, sequence, ARCHIVED_MAX).await?;
        let position = position(api, log, sequence).await?;
        if api.store.event(log, position).await?.is_some() {
            return Ok(position);
        }
        fresh::wait_for_stream_check(wal, ARCHIVED_MAX).await?;
    }
}

/// Returns the position of the archived message `sequence`. The position is a pure function of the
/// message. When the stream no longer has the message, this searches the latest arrivals.
async fn position<S: Store>(api: &Api<S>, log: &LogId, sequence: u64) -> Result<Position> {
    let (wal, jetstream) = (api.sources.wal(), api.jetstream());
    let seq = wal.epochs().seq(log.slot(), sequence);
    let raw = raw::fetch(&jetstream, wal.stream(), sequence).await?;
    if let Some(raw) = raw.filter(|raw| raw.key.sequence == sequence) {
        return match Decoder::new(wal, &api.sources).decode_raw(&raw, raw.key.time) {
            Decoded { rejected: Some(rejection), .. } => Err(rejection.error),
            Decoded { row, .. } => Ok(row.event.position),
        };
    }
    let window = i64::try_from(DUPLICATE_WINDOW_MAX.as_nanos()).expect("the window is minutes long");
    let after =
        ArrivalCursor { time: (api.settings.clock)().saturating_add_nanos(-window), seq: seq.saturating_previous() };
    let query = ArrivalQuery { after, limit: 1, bytes: usize::MAX };
    let found = match arrivals_page(&api.store, log, &query, seq).await {
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        page => page?.events.into_iter().next(),
    };
    found.map(|event| event.position).ok_or_else(|| {
        let context =
            format!("log {log} does not hold the record; if it was rejected, hourlog read _rejected says why");
        Error::new(ErrorKind::Rejected, context)
    })
}

/// Returns the headers to publish: those of the request without NATS's own, and a message id that
/// begins with the log id. JetStream compares message ids across the whole stream, so the ids of
/// two logs must differ. The blank keeps them apart, because no log id contains one.
fn headers(log: &LogId, requested: Option<&HeaderMap>) -> Result<HeaderMap> {
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
    headers.insert(header::MSG_ID, format!("{log} {}", id.map_or_else(|| nuid::next().to_string(), str::to_owned)));
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_ids_of_two_logs_never_collide() {
        let published = |log: &str, id: &str| {
            let mut requested = HeaderMap::new();
            requested.insert("nats-msg-id", id);
            let headers = headers(&log.parse().expect("a valid id"), Some(&requested)).expect("one message id");
            headers.get(header::MSG_ID).map(ToString::to_string).expect("a message has an id")
        };
        assert_ne!(published("a", "b:c"), published("a:b", "c"));
        assert_ne!(published("a", "b c"), published("a.b", "c"));
        assert_eq!(published("a:b", "c"), "a:b c");
    }
}
