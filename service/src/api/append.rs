//! `append`: writes one record and answers once the archive holds it.

use std::{sync::Arc, time::Duration};

use async_nats::{
    HeaderMap,
    jetstream::{ErrorCode, context::PublishErrorKind},
};
use hourlog::{
    Arrival, ArrivalQuery, Error, ErrorKind, LogId, Position, Result, Store, arrival_page, header,
    wire::{AppendReply, HEADROOM_BYTES, wal_subject},
};

use crate::{
    ingest::{Decoded, Decoder},
    raw,
};

use super::{Api, Reply, Request, fresh};

/// For how long a stream knows ids: two minutes, unless it was made otherwise, and some for clocks that differ.
const DUPLICATES_WITHIN: Duration = Duration::from_secs(5 * 60);
/// How long the archive may take, before whoever asks is told.
const ARCHIVED_MAX: Duration = Duration::from_secs(30);

pub(super) async fn answer<S: Store>(api: &Api<S>, log: &LogId, request: &Request) -> Result<Reply> {
    if log.is_system() {
        return Err(Error::invalid(format!("log {log} is the system's own; ids that begin with _ are not written to")));
    }
    let bytes_max = api.client.max_payload().saturating_sub(HEADROOM_BYTES);
    if request.payload().len() > bytes_max {
        let context =
            format!("a record of {} bytes is more than the {bytes_max} that fit here", request.payload().len());
        return Err(Error::new(ErrorKind::TooLarge, context));
    }
    let headers = headers(log, request.headers());
    let id = headers.get(header::MSG_ID).map(|id| id.as_str().to_owned()).unwrap_or_default();
    let waiting = api.waiters.wait_for(&id);
    let waits = waiting.is_some();
    let appended = append(api, log, headers, request, waiting).await;
    if waits {
        // It is still there where the record was not published, or was a duplicate.
        api.waiters.leave(&id);
    }
    let (position, duplicate) = appended?;
    Reply::json(&AppendReply { log: log.to_string(), position, time: position.offset, duplicate })
}

async fn append<S: Store>(
    api: &Api<S>,
    log: &LogId,
    headers: HeaderMap,
    request: &Request,
    waiting: Option<tokio::sync::oneshot::Receiver<Result<Position>>>,
) -> Result<(Position, bool)> {
    let stream = &api.settings.stream;
    let unavailable = |error: async_nats::jetstream::context::PublishError| {
        match error.kind() {
        PublishErrorKind::Other if refused_as_full(&error) => Error::new(
            ErrorKind::Refused,
            format!("the stream {stream} is full (max_bytes); the archive has to catch up first, hourlog doctor says why it has not"),
        )
        .because(error),
        PublishErrorKind::MaxPayloadExceeded => {
            Error::new(ErrorKind::TooLarge, "the record is more than this server takes").because(error)
        }
        _ => Error::new(ErrorKind::Unavailable, format!("the stream {stream} did not take the record")).because(error),
    }
    };
    let jetstream = api.jetstream();
    let published = jetstream
        .publish_with_headers(wal_subject(log), headers, request.payload().clone())
        .await
        .map_err(unavailable)?
        .await
        .map_err(unavailable)?;
    if published.stream != *stream {
        return Err(Error::new(
            ErrorKind::Refused,
            format!("the subject {} is captured by the stream {}, not by {stream}", wal_subject(log), published.stream),
        ));
    }
    let late = || {
        Error::new(
            ErrorKind::Deadline,
            format!(
                "the record is message {} of the stream and not archived yet; hourlog doctor says why",
                published.sequence
            ),
        )
    };
    match waiting.filter(|_| !published.duplicate) {
        Some(outcome) => match tokio::time::timeout(ARCHIVED_MAX, outcome).await {
            Ok(Ok(position)) => Ok((position?, false)),
            _ => Err(late()),
        },
        None => {
            let found = tokio::time::timeout(ARCHIVED_MAX, archived_at(api, log, published.sequence)).await;
            Ok((found.unwrap_or_else(|_| Err(late()))?, published.duplicate))
        }
    }
}

/// Where the stream's message `sequence` is, once it is there. A stream that has forked has it under another seq than the ingest
/// knows of yet, so what was computed is looked up.
async fn archived_at<S: Store>(api: &Api<S>, log: &LogId, sequence: u64) -> Result<Position> {
    loop {
        fresh::archived(api, sequence, ARCHIVED_MAX).await?;
        let position = position(api, log, sequence).await?;
        if api.store.event(log, position).await?.is_some() {
            return Ok(position);
        }
        fresh::looked_at(api, ARCHIVED_MAX).await?;
    }
}

/// Where the stream's message `sequence`, which is archived, is: a pure function of it, where the stream still has it. Else it is
/// looked for among what arrived lately.
async fn position<S: Store>(api: &Api<S>, log: &LogId, sequence: u64) -> Result<Position> {
    let (epochs, stream) = (Arc::clone(&api.epochs.borrow()), &api.settings.stream);
    let seq = epochs.seq(log.slot(), sequence);
    if let Some(raw) = raw::fetch(&api.client, stream, sequence).await?.filter(|raw| raw.sequence == sequence) {
        return match Decoder::new(epochs).decode_raw(&raw, raw.time) {
            Decoded { rejected: Some(error), .. } => Err(error),
            Decoded { row, .. } => Ok(row.event.position),
        };
    }
    let lately = i64::try_from(DUPLICATES_WITHIN.as_nanos()).expect("it is minutes");
    let behind = Arrival { time: (api.settings.clock)().saturating_add_nanos(-lately), seq: seq - 1 };
    let query = ArrivalQuery { after: behind, limit: 1, bytes: usize::MAX, visible: seq };
    let found = match arrival_page(&api.store, log, &query).await {
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        page => page?.events.into_iter().next(),
    };
    found.map(|event| event.position).ok_or_else(|| {
        let context = format!("the record is not in log {log}; hourlog read _rejected says why, if it was rejected");
        Error::new(ErrorKind::Rejected, context)
    })
}

/// JetStream's word for a stream, or an account, that may not grow any more.
fn refused_as_full(error: &async_nats::jetstream::context::PublishError) -> bool {
    std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<async_nats::jetstream::Error>()).is_some_and(
        |cause| {
            [ErrorCode::STREAM_STORE_FAILED, ErrorCode::INSUFFICIENT_RESOURCES, ErrorCode::ACCOUNT_RESOURCES_EXCEEDED]
                .contains(&cause.error_code())
        },
    )
}

/// What is published: the asker's headers without NATS's own, and a message id that is unique to the log. Ids are looked
/// at stream-wide, so another log's must never be taken for it.
fn headers(log: &LogId, asked: Option<&HeaderMap>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, values) in asked.into_iter().flat_map(HeaderMap::iter) {
        let name_text: &str = name.as_ref();
        // Who appends wants the record stored, and is told where.
        if !name_text.starts_with("Nats-") && name_text != header::ONCE {
            values.iter().for_each(|value| headers.append(name.clone(), value.clone()));
        }
    }
    let own = |name| asked.and_then(|asked| asked.get_last(name)).map(|id| id.as_str().to_owned());
    let id = own(header::MSG_ID);
    let stored = own(header::STORED_MSG_ID).or_else(|| id.clone()).unwrap_or_default();
    headers.insert(header::STORED_MSG_ID, stored);
    headers.insert(header::MSG_ID, format!("{log}:{}", id.unwrap_or_else(|| nuid::next().to_string())));
    headers
}
