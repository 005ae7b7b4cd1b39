//! `near`: the events, the buckets and the bursts around a moment of a log.

use futures_util::FutureExt;
use hourlog::{
    Error, LogId, Offset, Position, Result,
    read::{Query, near},
    store::Store,
    wire::{HEADROOM_BYTES, NearReply, NearRequest, When, json::JsonEvent},
};

use crate::reading::{self, Reading};

use super::{Api, DESCRIBE_BYTES, Reply, Request, page::AnyPage};

pub(super) async fn answer<S: Store>(api: &Api<S>, log: &LogId, request: &Request) -> Result<Reply> {
    let requested: NearRequest = request.body()?;
    // A reply has up to two events, each as large as a message.
    let turn = api.turn(request, DESCRIBE_BYTES + 4 * api.client.max_payload(), true).await?;
    let extent = match requested.at {
        When::First | When::Last | When::End => Some(api.extent(log, &api.store.totals(log).await?).await?),
        _ => None,
    };
    let at = requested.at.offset(api.health.time.now()).or_else(|| extent?.at(requested.at));
    let at = at.ok_or_else(|| Error::new(hourlog::ErrorKind::NotFound, format!("{log} holds no event")))?;
    let buckets = match api.store.snapshot()? {
        Some(snapshot) => {
            let log = log.clone();
            reading::elsewhere(move || near(&snapshot, &log, at).now_or_never()).await?
        }
        None => near(&api.store, log, at).await?,
    };
    let mut reply = NearReply {
        at,
        before: api.nearest(log, at, true).await?,
        after: api.nearest(log, at, false).await?,
        previous_bucket: buckets.previous.map(Into::into),
        next_bucket: buckets.next.map(Into::into),
        previous_burst: buckets.previous_burst.map(Into::into),
        next_burst: buckets.next_burst.map(Into::into),
        searched_from: buckets.searched_from,
        searched_to: buckets.searched_to,
    };
    let bytes_max = api.client.max_payload().saturating_sub(HEADROOM_BYTES / 2);
    let mut encoded = Reply::json(&reply)?;
    if encoded.body.len() > bytes_max {
        for event in [&mut reply.before, &mut reply.after].into_iter().flatten() {
            (event.data, event.data_base64) = (None, None);
        }
        encoded = Reply::json(&reply)?;
    }
    Ok(encoded.with_turn(turn))
}

impl<S: Store> Api<S> {
    /// Returns the newest event before `at`, or the oldest one from it on.
    async fn nearest(&self, log: &LogId, at: Offset, is_before: bool) -> Result<Option<JsonEvent>> {
        let edge = Position::at(at);
        let query = match is_before {
            true => Query { to: Some(edge), reverse: true, limit: 1, bytes: 1, ..Query::ALL },
            false => Query { from: edge, limit: 1, bytes: 1, ..Query::ALL },
        };
        let page = AnyPage::new(self.read(log, &Reading::Timeline(query)).await?, None);
        let Some(run) = page.runs.into_iter().next() else { return Ok(None) };
        Ok(run.into_events()?.first().map(|event| JsonEvent::from(&event.decode(log))))
    }
}
