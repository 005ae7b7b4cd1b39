//! `newest`: the newest events of many logs below a prefix, for a list that shows them.

use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use hourlog::{
    Error, ErrorKind, Event, LogId, Position, Result, Seq,
    read::{Query, page_of_runs},
    store::{Run, Store},
    wire::{HEADROOM_BYTES, LOGS_LOOKED_INTO_MAX, NewestOfLog, NewestReply, NewestRequest, PREVIEWS_MAX, Preview},
};

use crate::{
    pattern::Pattern,
    reading::{self, Reading},
};

use super::{
    Api, Reply, Request,
    below::Below,
    page::AnyPage,
    reply::{at_least_one, encoded_elsewhere},
};

/// The bytes of data that a preview shows.
const PREVIEW_BYTES: usize = 1 << 10;
/// The bytes of the events that are read for previews of one log. An event may be larger.
const READ_BYTES: usize = 64 << 10;
/// The logs that are read at the same time from a database.
const READ_AT_ONCE: usize = 16;

/// Answers a request for the logs below `prefix`, or for all.
pub(super) async fn answer<S: Store>(api: &Api<S>, prefix: Option<&LogId>, request: &Request) -> Result<Reply> {
    let requested: NewestRequest = request.body()?;
    api.gather(request, false).await?;
    let limit = at_least_one("limit", requested.limit)?.unwrap_or(1).min(PREVIEWS_MAX) as usize;
    let turn = api.turn(request, LOGS_LOOKED_INTO_MAX as usize * limit * PREVIEW_BYTES * 2 + READ_BYTES, true).await?;
    let logs = match requested.logs {
        Some(logs) => named(prefix, logs, requested.pattern.as_deref())?,
        None => {
            let below = Below::new(prefix, requested.pattern.as_deref())?;
            below.first_logs(api, LOGS_LOOKED_INTO_MAX as usize).await?
        }
    };
    let query = Query { to: Some(api.ahead_from()), reverse: true, limit, bytes: READ_BYTES, ..Query::ALL };
    let logs = match api.store.snapshot()? {
        None => {
            let newest = stream::iter(logs).map(|log| async move {
                let page = api.read(&log, &Reading::Timeline(query)).await;
                newest_of(log, page.map(|page| AnyPage::new(page, None).runs))
            });
            newest.buffered(READ_AT_ONCE).try_collect().await?
        }
        Some(snapshot) => {
            reading::elsewhere(move || {
                let of_log = |log: LogId| {
                    let page = page_of_runs(&snapshot, &log, &query, Seq::MAX).now_or_never()?;
                    Some(newest_of(log, page.map(|page| page.events)))
                };
                logs.into_iter().map(of_log).collect()
            })
            .await?
        }
    };
    let bytes_max = api.client.max_payload().saturating_sub(HEADROOM_BYTES / 2);
    Ok(encoded_elsewhere(move || encode(logs, bytes_max)).await?.with_turn(turn))
}

/// Checks the logs that a request names: the permission is for those below the prefix.
fn named(prefix: Option<&LogId>, logs: Vec<LogId>, pattern: Option<&str>) -> Result<Vec<LogId>> {
    if pattern.is_some() {
        return Err(Error::invalid("logs and pattern exclude each other; leave one out"));
    }
    if logs.len() > LOGS_LOOKED_INTO_MAX as usize {
        return Err(Error::invalid(format!("logs names {} logs; name at most {LOGS_LOOKED_INTO_MAX}", logs.len())));
    }
    let is_below = |log: &LogId| prefix.is_none_or(|prefix| Pattern::from(log).is_below(prefix));
    match logs.iter().find(|log| !is_below(log)) {
        Some(log) => Err(Error::invalid(format!("the log {log} is not below the prefix that the subject names"))),
        None => Ok(logs),
    }
}

/// Returns the previews of what was read of a log.
fn newest_of(log: LogId, read: Result<Vec<Run>>) -> Result<NewestOfLog> {
    let mut events = Vec::new();
    match read {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        read => {
            for run in read? {
                events.extend(run.into_events()?.iter().map(|event| preview(&event.decode(&log))));
            }
        }
    }
    Ok(NewestOfLog { log, events })
}

/// Encodes the reply, with shorter previews if it does not fit into a message.
fn encode(mut logs: Vec<NewestOfLog>, bytes_max: usize) -> Result<Reply> {
    let mut shown = PREVIEW_BYTES;
    loop {
        let reply = NewestReply { logs };
        let encoded = Reply::json(&reply)?;
        if encoded.body.len() <= bytes_max || shown == 0 {
            return Ok(encoded);
        }
        shown /= 2;
        logs = reply.logs;
        for event in logs.iter_mut().flat_map(|log| &mut log.events) {
            let end = (0..=shown.min(event.data.len())).rev().find(|at| event.data.is_char_boundary(*at));
            event.data.truncate(end.unwrap_or(0));
        }
    }
}

fn preview(event: &Event) -> Preview {
    let (Position { offset, .. }, data) = (event.position, &event.record.data);
    let shown = &data[..data.len().min(PREVIEW_BYTES)];
    let data = shown.utf8_chunks().map(|chunk| chunk.valid()).collect::<Vec<_>>().join("\u{fffd}");
    Preview { position: event.position, time: offset, bytes: event.record.data.len() as u64, data }
}
